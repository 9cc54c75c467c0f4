// Fills the diagrams of a page from the numbers embedded in it.
"use strict";

const DATA = JSON.parse(document.getElementById("data").textContent);
const LOOK = JSON.parse(document.getElementById("look").textContent);
const DASH = { tough: "7 3", tolerant: "7 3 2 3", mean_shape: "2 3" };
// Hard-landmarks on images are white, whatever the page's colours are.
const HARD = { key: "hard", label: "hard-landmarks", colour: "var(--ink)", onImage: "#ffffff" };

function look(key) {
  return { label: LOOK[key]?.label ?? key, colour: `var(--c-${LOOK[key]?.slot ?? "other"})`, onImage: LOOK[key]?.onImage ?? "#ffffff", dash: DASH[key] };
}

function into(id, draw) {
  const element = document.getElementById(id);
  if (element) draw(element);
}

function lineSeries(columns) {
  return Object.entries(columns.series).map(([key, y]) => ({ key, ...look(key), x: columns.x, y }));
}

const mix = (from, to, share) => from.map((v, i) => Math.round(v + (to[i] - v) * share));
const clamp = (v) => Math.max(0, Math.min(1, v));
// From pale to vermilion; and from the green of better to the vermilion of worse. Readable on white
// and on black, and to colour-blind people.
const SEQUENTIAL = [[253, 231, 196], [244, 165, 90], [213, 94, 0], [122, 32, 4]];
const DIVERGING = [[0, 104, 77], [60, 184, 144], [214, 214, 210], [240, 150, 90], [184, 66, 0]];
function ramp(colours, share) {
  const at = clamp(share) * (colours.length - 1), i = Math.min(colours.length - 2, Math.floor(at));
  return mix(colours[i], colours[i + 1], at - i);
}
const sequential = (share) => [...ramp(SEQUENTIAL, share), 0.85];
const diverging = (share) => [...ramp(DIVERGING, share), 0.3 + 0.6 * Math.abs(2 * clamp(share) - 1)];
const gradient = (colours) => `linear-gradient(to right, ${colours.map((c) => `rgb(${c.join(" ")})`).join(", ")})`;

function scaleBar(element, colours, low, high, label) {
  const bar = html("div", { class: "scale" }, element);
  html("span", {}, bar, low);
  html("i", { style: `background:${gradient(colours)}` }, bar);
  html("span", {}, bar, high);
  if (label) html("span", {}, bar, label);
}

function themeButton() {
  const button = document.getElementById("theme"), root = document.documentElement;
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const paint = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; paint(); });
  paint();
}

function drawCed(element, ced) {
  lineChart(element, {
    series: lineSeries(ced).map((s) => ({ ...s, y: s.y.map((v) => (v === null ? null : 100 * v)) })),
    x: { label: "NME, % of the normaliser", tip: "NME up to", unit: " %", low: 0, high: ced.x[ced.x.length - 1] },
    y: { label: "faces with at most this error", unit: " %", low: 0, high: 100, digits: 1 },
    rules: [{ x: 8, label: "8 %", low: true }],
  });
}

function drawMeanFaces(ids, mean, scheme, networks, compared) {
  const [base, student] = compared, errors = networks.map((n) => mean.errors[n]);
  const high = Math.max(...errors.flat().filter((v) => v !== null)), low = Math.min(...errors.flat().filter((v) => v !== null));
  networks.forEach((n, i) => into(ids[i], (element) => {
    heatFace(element, { points: mean.points, contours: scheme.contours, values: mean.errors[n], colour: sequential, low, high, label: `error of ${look(n).label} by landmark`, text: (k) => `${scheme.names[k]}: ${show(mean.errors[n][k])} %` });
    scaleBar(element, SEQUENTIAL, `${show(low, 1)} %`, `${show(high, 1)} %`);
  }));
  into(ids[networks.length], (element) => {
    const apart = mean.errors[student].map((v, k) => (v === null || mean.errors[base][k] === null ? null : v - mean.errors[base][k]));
    const most = Math.max(1e-9, ...apart.filter((v) => v !== null).map(Math.abs));
    heatFace(element, { points: mean.points, contours: scheme.contours, values: apart, colour: diverging, low: -most, high: most, label: `difference of ${look(student).label} and ${look(base).label}`, text: (k) => `${scheme.names[k]}: ${apart[k] > 0 ? "+" : ""}${show(apart[k])}` });
    scaleBar(element, DIVERGING, `−${show(most)}`, `+${show(most)}`);
  });
}

function drawRegions(element, kd) {
  const percent = (v) => `${short(v)} %`;
  const networks = Object.keys(kd.histograms);
  const most = Math.max(...networks.flatMap((n) => kd.histograms[n]));
  const strips = kd.beta === null ? null : networks;
  const names = { total: "KD-Loss", main: "main part", tough: "assistive, tough", tolerant: "assistive, tolerant" };
  const colour = { total: "var(--ink)", main: "var(--faint)" };
  const series = Object.entries(kd.curve.series).map(([key, y]) => ({ key, label: names[key], x: kd.curve.x, y, colour: colour[key] || look(key).colour, width: key === "total" ? 2.6 : 1.8, dash: key === "main" ? "2 3" : DASH[key] }));
  lineChart(element, {
    series, strips, height: 380,
    x: { label: "|t − g| of the teachers (areas) and |p − g| of the student (lines), % of the crop's side", narrow: "error, % of the crop's side", tip: "error", unit: " %", low: 0, high: kd.edges[kd.edges.length - 1] },
    y: { label: "loss", digits: 5 },
    behind: ({ svg, X, height, left, right, width, top, bottom }) => {
      for (const n of networks) {
        const share = kd.histograms[n];
        let path = `M${X(kd.edges[0])} ${height - bottom}`;
        share.forEach((v, i) => {
          const y = height - bottom - (v / most) * 0.72 * (height - top - bottom);
          path += `L${X(kd.edges[i]).toFixed(1)} ${y.toFixed(1)}L${X(kd.edges[i + 1]).toFixed(1)} ${y.toFixed(1)}`;
        });
        path += `L${X(kd.edges[share.length])} ${height - bottom}Z`;
        node("path", { d: path, fill: look(n).colour, "fill-opacity": 0.16, stroke: look(n).colour, "stroke-opacity": 0.45, "stroke-width": 1 }, svg);
      }
      if (!strips) return;
      strips.forEach((n, i) => {
        const d = kd.medians[n], y = 4 + 20 * i, end = width - right;
        const parts = [[0, kd.beta * d, "low influence", 0.1], [kd.beta * d, d, "negative", 0.5], [d, Infinity, `positive: beyond ${look(n).label}'s median ${percent(d)}`, 0.24]];
        for (const [from, to, text, opacity] of parts) {
          const a = X(from), b = Math.min(end, X(Math.min(to, 1e9)));
          if (!(b > a)) continue;
          const r = node("rect", { x: a, y, width: b - a - 1, height: 16, rx: 3, fill: look(n).colour, "fill-opacity": opacity }, svg);
          node("title", {}, r, `${look(n).label}: ${text}`);
          const fits = [text, text.split(":")[0], text.slice(0, 3)].find((t) => measureText(t) * 0.92 + 8 < b - a);
          if (fits) node("text", { x: a + 5, y: y + 12, style: "font-size:11px;fill:var(--ink)" }, svg, fits);
        }
        node("line", { class: "rule", x1: X(d), x2: X(d), y1: y + 16, y2: height - bottom, style: `stroke:${look(n).colour}` }, svg);
      });
    },
  });
}

function drawModes(element, asm, contours) {
  const grid = html("div", { class: "modes" }, element), deviations = 3;
  const moved = (m, by) => asm.mean.map((p, i) => [p[0] + by * asm.modes[m][i][0], p[1] + by * asm.modes[m][i][1]]);
  const all = asm.modes.flatMap((_, m) => [...moved(m, deviations), ...moved(m, -deviations)]);
  const frame = [Math.min(...all.map((p) => p[0])), Math.min(...all.map((p) => p[1])), Math.max(...all.map((p) => p[0])), Math.max(...all.map((p) => p[1]))];
  asm.modes.forEach((_, m) => {
    const figure = html("figure", {}, grid), drawing = html("div", { class: "chart" }, figure);
    const draw = (by) => {
      drawing.replaceChildren();
      shapeChart(drawing, [
        { points: moved(m, -deviations), colour: "var(--c-baseline)", opacity: 0.35 },
        { points: moved(m, deviations), colour: "var(--warm)", opacity: 0.35 },
        { points: moved(m, by), colour: "var(--ink)", width: 1.8 },
      ], contours, frame);
    };
    draw(0);
    html("figcaption", {}, figure, `mode ${m + 1}: ${show(100 * asm.shares[m], 1)} % of the variance`);
    const slider = html("input", { type: "range", class: "noprint", min: -deviations, max: deviations, step: 0.1, value: 0, "aria-label": `mode ${m + 1}, standard deviations` }, figure);
    slider.addEventListener("input", () => draw(+slider.value));
  });
}
