// Draws diagrams from numbers as SVG. Colours are CSS variables, so that they follow the page's.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function node(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

function html(name, attributes, parent, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}

// A number as it is read: enough digits and no more.
function show(value, digits = 2) {
  if (value === null || value === undefined || !isFinite(value)) return "–";
  return value.toFixed(digits).replace("-", "−");
}

function short(value) {
  return String(+value.toPrecision(4)).replace("-", "−");
}

function niceTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw || 1));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-6; t += step) ticks.push(+t.toPrecision(12));
  return ticks;
}

function logTicks(low, high) {
  let ticks = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++)
    for (const f of [1, 2, 3, 5, 7]) ticks.push(f * 10 ** p);
  ticks = ticks.filter((t) => t >= low * 0.999 && t <= high * 1.001).map((t) => +t.toPrecision(6));
  return ticks.length >= 2 ? ticks : niceTicks(low, high, 4);
}

function measureText(text) {
  const context = (measureText.context ||= document.createElement("canvas").getContext("2d"));
  context.font = "12px system-ui, sans-serif";
  return context.measureText(text).width;
}

// Draws anew whenever the width changes: text stays readable on a phone.
function responsive(element, draw) {
  let width = 0;
  const again = () => {
    const now = Math.floor(element.clientWidth);
    if (now > 0 && now !== width) draw((width = now));
  };
  again();
  new ResizeObserver(again).observe(element);
}

function dashKey(parent, colour, dash, width = 2.5) {
  const svg = node("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, parent);
  node("line", { x1: 0, x2: 22, y1: 4, y2: 4, stroke: colour, "stroke-width": width, "stroke-dasharray": dash || "none" }, svg);
}

// Lines over one axis. spec: {series: [{key, label, colour, dash, x, y, markers, width, area}],
// x, y: {label, low, high, log, digits, unit}, rules: [{x, label}], steps, tip}.
function lineChart(element, spec) {
  const box = html("div", { class: "chart" }, element);
  const tip = html("div", { class: "tip", hidden: "" }, box);
  const hidden = new Set(spec.series.filter((s) => s.off).map((s) => s.key));
  let paint;
  if (spec.legend !== false) {
    const legend = html("div", { class: "legend" }, element);
    for (const s of spec.series) {
      const key = html("button", { type: "button", "aria-pressed": String(!hidden.has(s.key)) }, legend);
      dashKey(key, s.colour, s.dash);
      key.append(s.label);
      key.addEventListener("click", () => {
        hidden.has(s.key) ? hidden.delete(s.key) : hidden.add(s.key);
        key.setAttribute("aria-pressed", String(!hidden.has(s.key)));
        paint();
      });
    }
  }
  responsive(box, (width) => {
    paint = () => draw(width);
    paint();
  });

  function extent(axis, key) {
    let low = axis.low ?? Infinity, high = axis.high ?? -Infinity;
    for (const s of spec.series) {
      if (hidden.has(s.key) && spec.series.length > hidden.size) continue;
      for (const v of s[key]) {
        if (v === null || (axis.log && v <= 0)) continue;
        if (axis.low === undefined) low = Math.min(low, v);
        if (axis.high === undefined) high = Math.max(high, v);
      }
    }
    if (!isFinite(low)) low = axis.log ? 1 : 0;
    if (!isFinite(high)) high = low + 1;
    if (high <= low) [low, high] = axis.log ? [low * 0.9, low * 1.1] : [low - 0.5, low + 0.5];
    if (key === "y" && axis.log) { low *= 0.94; high *= 1.06; }
    else if (key === "y") { const room = 0.06 * (high - low); if (axis.low === undefined) low -= room; if (axis.high === undefined) high += room; }
    return [low, high];
  }

  function draw(width) {
    box.querySelector("svg")?.remove();
    const height = spec.height || Math.min(380, Math.max(240, width * 0.52));
    const [x0, x1] = extent(spec.x, "x"), [y0, y1] = extent(spec.y, "y");
    const yTicks = spec.y.log ? logTicks(y0, y1) : niceTicks(y0, y1, 5);
    const left = Math.ceil(Math.max(...yTicks.map((t) => measureText(short(t) + (spec.y.unit || ""))))) + 12;
    const right = 14, top = spec.strips ? 16 + 20 * spec.strips.length : 12, bottom = 44;
    const X = (v) => left + ((v - x0) / (x1 - x0)) * (width - left - right);
    const f = spec.y.log ? Math.log : (v) => v;
    const Y = (v) => top + (1 - (f(v) - f(y0)) / (f(y1) - f(y0))) * (height - top - bottom);
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spec.title || spec.y.label }, box);
    for (const t of yTicks) {
      node("line", { class: "gridline", x1: left, x2: width - right, y1: Y(t), y2: Y(t) }, svg);
      node("text", { x: left - 7, y: Y(t) + 4, "text-anchor": "end" }, svg, short(t) + (spec.y.unit || ""));
    }
    let xTicks = niceTicks(x0, x1, Math.max(2, Math.floor((width - left) / 80)));
    if (spec.x.whole) xTicks = xTicks.filter((t) => Number.isInteger(t));
    for (const t of xTicks) {
      node("line", { class: "axis", x1: X(t), x2: X(t), y1: height - bottom, y2: height - bottom + 4 }, svg);
      node("text", { x: X(t), y: height - bottom + 18, "text-anchor": "middle" }, svg, short(t) + (spec.x.unit || ""));
    }
    node("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }, svg);
    if (y0 < 0 && y1 > 0) node("line", { class: "axis", x1: left, x2: width - right, y1: Y(0), y2: Y(0), "stroke-opacity": 0.6 }, svg);
    node("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, svg, spec.x.narrow && measureText(spec.x.label) > width - left ? spec.x.narrow : spec.x.label);
    if (spec.behind) spec.behind({ svg, X, width, height, left, right, top, bottom });
    for (const rule of spec.rules || []) {
      node("line", { class: "rule", x1: X(rule.x), x2: X(rule.x), y1: top, y2: height - bottom, style: `stroke:${rule.colour || "var(--faint)"}` }, svg);
      if (rule.label) node("text", { x: X(rule.x) + 5, y: rule.low ? height - bottom - 6 : top + 10 }, svg, rule.label);
    }
    const clip = `clip${(lineChart.count = (lineChart.count || 0) + 1)}`;
    node("rect", { x: left - 7, y: top - 7, width: Math.max(0, width - left - right + 14), height: height - top - bottom + 14 }, node("clipPath", { id: clip }, node("defs", {}, svg)));
    const lines = node("g", { "clip-path": `url(#${clip})` }, svg);
    const shown = spec.series.filter((s) => !hidden.has(s.key));
    for (const s of shown) {
      let path = "", begun = false;
      s.x.forEach((v, i) => {
        if (s.y[i] === null || (spec.y.log && s.y[i] <= 0)) return void (begun = false);
        path += `${begun ? "L" : "M"}${X(v).toFixed(1)} ${Y(s.y[i]).toFixed(1)}`;
        begun = true;
      });
      node("path", { d: path, fill: "none", stroke: s.colour, "stroke-width": s.width || 2, "stroke-dasharray": s.dash || "none", "stroke-linejoin": "round" }, lines);
      if (s.markers && s.x.length <= 80) s.x.forEach((v, i) => s.y[i] !== null && node("circle", { cx: X(v), cy: Y(s.y[i]), r: 2.4, fill: s.colour }, lines));
      if (s.best !== undefined && s.best !== null) {
        const i = s.x.indexOf(s.best);
        if (i >= 0) node("circle", { cx: X(s.best), cy: Y(s.y[i]), r: 5, fill: "var(--panel)", stroke: s.colour, "stroke-width": 2.2 }, lines);
      }
    }
    const cross = node("line", { class: "rule", y1: top, y2: height - bottom, visibility: "hidden" }, svg);
    const area = node("rect", { x: left, y: top, width: Math.max(0, width - left - right), height: height - top - bottom, fill: "transparent" }, svg);
    area.addEventListener("pointermove", (event) => {
      const at = x0 + ((event.offsetX - left) / (width - left - right)) * (x1 - x0);
      const longest = shown.reduce((a, b) => (b.x.length > (a?.x.length || 0) ? b : a), null);
      if (!longest) return;
      const i = longest.x.reduce((best, v, j) => (Math.abs(v - at) < Math.abs(longest.x[best] - at) ? j : best), 0);
      const x = longest.x[i];
      cross.setAttribute("x1", X(x)); cross.setAttribute("x2", X(x)); cross.setAttribute("visibility", "visible");
      tip.replaceChildren();
      html("b", {}, tip, `${spec.x.tip || spec.x.label}: ${short(x)}${spec.x.unit || ""}`);
      for (const s of shown) {
        const j = s.x.indexOf(x);
        if (j < 0 || s.y[j] === null) continue;
        const line = html("div", {}, tip);
        const name = html("span", {}, line);
        html("i", { class: "swatch", style: `--c:${s.colour}` }, name);
        name.append(s.label);
        html("span", {}, line, show(s.y[j], spec.y.digits ?? 2) + (spec.y.unit || ""));
      }
      tip.hidden = false;
      const side = X(x) + 14 + tip.offsetWidth > width ? X(x) - 14 - tip.offsetWidth : X(x) + 14;
      tip.style.left = `${Math.max(0, side)}px`; tip.style.top = `${top}px`;
    });
    area.addEventListener("pointerleave", () => { tip.hidden = true; cross.setAttribute("visibility", "hidden"); });
  }
}

// Means with their intervals, one below the other. rows: [{label, value, low, high, colour, open, note}].
function forestChart(element, rows, spec) {
  const box = html("div", { class: "chart" }, element);
  const digits = spec.digits ?? 2;
  responsive(box, (width) => {
    box.replaceChildren();
    const narrow = width < 460, rowHeight = narrow ? 44 : 32, top = 6, bottom = 40;
    const labelWidth = narrow ? 0 : Math.min(width * 0.42, 14 + Math.max(...rows.map((r) => measureText(r.label))));
    const valueWidth = Math.max(...rows.map((r) => measureText(show(r.value, digits)))) + 12;
    const left = labelWidth + 6, right = valueWidth + 6, height = top + rows.length * rowHeight + bottom;
    const ends = [...rows.flatMap((r) => [r.low ?? r.value, r.high ?? r.value]), ...(spec.zero ? [0] : [])];
    const least = Math.min(...ends), most = Math.max(...ends), room = 0.08 * (most - least || 1);
    const low = spec.zero && least === 0 ? 0 : least - room, high = most + room;
    const X = (v) => left + ((v - low) / (high - low)) * (width - left - right);
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spec.label }, box);
    for (const t of niceTicks(low, high, Math.max(2, Math.floor((width - left - right) / 70)))) {
      node("line", { class: t === 0 && low < 0 ? "axis" : "gridline", x1: X(t), x2: X(t), y1: top, y2: height - bottom }, svg);
      node("text", { x: X(t), y: height - bottom + 16, "text-anchor": "middle" }, svg, short(t));
    }
    node("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, svg, narrow ? spec.label.split(";")[0] : spec.label);
    rows.forEach((r, i) => {
      const y = top + (i + 0.5) * rowHeight + (narrow ? 8 : 0);
      const name = node("text", { class: "name", x: narrow ? left : left - 10, y: narrow ? y - 14 : y + 4, "text-anchor": narrow ? "start" : "end" }, svg, r.label);
      if (r.strong) name.style.fontWeight = 600;
      if (r.low !== null && r.low !== undefined)
        node("line", { x1: X(r.low), x2: X(r.high), y1: y, y2: y, stroke: r.colour, "stroke-width": 5, "stroke-opacity": 0.32, "stroke-linecap": "round" }, svg);
      const mark = r.open
        ? node("rect", { x: X(r.value) - 4.2, y: y - 4.2, width: 8.4, height: 8.4, transform: `rotate(45 ${X(r.value)} ${y})`, fill: "var(--panel)", stroke: r.colour, "stroke-width": 2 }, svg)
        : node("circle", { cx: X(r.value), cy: y, r: 5.2, fill: r.colour }, svg);
      const interval = r.low !== null && r.low !== undefined ? ` [${show(r.low, digits)}, ${show(r.high, digits)}]` : "";
      node("title", {}, mark, `${r.label}: ${show(r.value, digits)}${interval}${r.note ? `, ${r.note}` : ""}`);
      const value = node("text", { class: "name", x: width - 2, y: y + 4, "text-anchor": "end" }, svg, show(r.value, digits));
      if (r.strong) value.style.fontWeight = 600;
    });
  });
}

// Means with intervals in bins. spec: {bins, n, series: {key: [[mean, low, high]]}, look(key), label}.
function binChart(element, spec) {
  const box = html("div", { class: "chart" }, element);
  const keys = Object.keys(spec.series), hidden = new Set(spec.off || []);
  const tip = html("div", { class: "tip", hidden: "" }, box);
  const legend = html("div", { class: "legend" }, element);
  let paint;
  for (const k of keys) {
    const key = html("button", { type: "button", "aria-pressed": String(!hidden.has(k)) }, legend);
    html("i", { class: "swatch", style: `--c:${spec.look(k).colour};margin:0` }, key);
    key.append(spec.look(k).label);
    key.addEventListener("click", () => {
      hidden.has(k) ? hidden.delete(k) : hidden.add(k);
      key.setAttribute("aria-pressed", String(!hidden.has(k)));
      paint();
    });
  }
  responsive(box, (width) => { paint = () => draw(width); paint(); });
  function draw(width) {
    box.querySelector("svg")?.remove();
    const shown = keys.filter((k) => !hidden.has(k));
    const all = shown.flatMap((k) => spec.series[k].flat()).filter((v) => v !== null);
    const right = 6, top = 12;
    const high = 1.05 * Math.max(...all, 1e-9), low = 0;
    const ticks = niceTicks(low, high, 5);
    const left = Math.ceil(Math.max(...ticks.map((t) => measureText(short(t))))) + 12;
    const step = (width - left - right) / spec.bins.length;
    const names = spec.bins.map((bin) => (spec.bins.every((b) => measureText(b) * 0.92 < step - 4) ? [bin] : bin.split(/(?<= to) /)));
    const lines = Math.max(...names.map((n) => n.length)), bottom = 26 + 14 * lines, height = 214 + bottom;
    const Y = (v) => top + (1 - (v - low) / (high - low)) * (height - top - bottom);
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spec.label }, box);
    for (const t of ticks) {
      node("line", { class: "gridline", x1: left, x2: width - right, y1: Y(t), y2: Y(t) }, svg);
      node("text", { x: left - 7, y: Y(t) + 4, "text-anchor": "end" }, svg, short(t));
    }
    node("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }, svg);
    spec.bins.forEach((bin, b) => {
      const middle = left + (b + 0.5) * step;
      names[b].forEach((part, i) => node("text", { x: middle, y: height - bottom + 15 + 13 * i, "text-anchor": "middle", style: "font-size:11px" }, svg, part));
      node("text", { x: middle, y: height - 6, "text-anchor": "middle", style: "font-size:10.5px;fill:var(--faint)" }, svg, (step > 60 ? "n " : "") + spec.n[b]);
      shown.forEach((k, i) => {
        const [mean, from, to] = spec.series[k][b], colour = spec.look(k).colour;
        if (mean === null) return;
        const x = middle + (i - (shown.length - 1) / 2) * Math.min(13, (step * 0.8) / Math.max(1, shown.length));
        node("line", { x1: x, x2: x, y1: Y(from), y2: Y(to), stroke: colour, "stroke-width": 4, "stroke-opacity": 0.32, "stroke-linecap": "round" }, svg);
        node("circle", { cx: x, cy: Y(mean), r: 4, fill: colour }, svg);
      });
      const area = node("rect", { x: left + b * step, y: top, width: step, height: height - top - bottom, fill: "transparent" }, svg);
      area.addEventListener("pointerenter", () => {
        tip.replaceChildren();
        html("b", {}, tip, `${bin}, ${spec.n[b]} faces`);
        for (const k of shown) {
          const [mean, from, to] = spec.series[k][b], line = html("div", {}, tip), name = html("span", {}, line);
          html("i", { class: "swatch", style: `--c:${spec.look(k).colour}` }, name);
          name.append(spec.look(k).label);
          html("span", {}, line, `${show(mean)} [${show(from)}, ${show(to)}]`);
        }
        tip.hidden = false;
        tip.style.left = `${Math.max(0, Math.min(width - tip.offsetWidth, middle - tip.offsetWidth / 2))}px`;
        tip.style.top = "0px";
      });
      area.addEventListener("pointerleave", () => { tip.hidden = true; });
    });
  }
}

function convexHull(points) {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (list) => {
    const found = [];
    for (const p of list) {
      while (found.length > 1) {
        const [a, b] = found.slice(-2);
        if ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0) break;
        found.pop();
      }
      found.push(p);
    }
    return found.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

// How far a place is outside a convex polygon, 0 inside.
function distanceOutside(hull, x, y) {
  let inside = true, nearest = Infinity;
  hull.forEach((a, i) => {
    const b = hull[(i + 1) % hull.length], dx = b[0] - a[0], dy = b[1] - a[1];
    if (dx * (y - a[1]) - dy * (x - a[0]) < 0) inside = false;
    const t = Math.max(0, Math.min(1, ((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy || 1)));
    nearest = Math.min(nearest, Math.hypot(x - a[0] - t * dx, y - a[1] - t * dy));
  });
  return inside ? 0 : nearest;
}

// A shape whose points have values, as a smooth field and dots.
// spec: {points, contours, values, names, colour(share) -> [r, g, b, a], low, high, text(i)}.
function heatFace(element, spec) {
  const box = html("div", { class: "chart heat" }, element);
  const known = spec.points.map((p, i) => [p, spec.values[i], i]).filter(([p, v]) => p[0] !== null && v !== null);
  const xs = known.map(([p]) => p[0]), ys = known.map(([p]) => p[1]);
  const low = [Math.min(...xs), Math.min(...ys)], high = [Math.max(...xs), Math.max(...ys)];
  const size = Math.max(high[0] - low[0], high[1] - low[1]), pad = 0.1 * size;
  const wide = high[0] - low[0] + 2 * pad, tall = high[1] - low[1] + 2 * pad;
  const place = (p) => [(p[0] - low[0] + pad) / wide, (p[1] - low[1] + pad) / tall];
  const shape = { width: 150, height: Math.round((150 * tall) / wide) };
  const canvas = html("canvas", { width: shape.width, height: shape.height, "aria-hidden": "true" }, box);
  const context = canvas.getContext("2d"), image = context.createImageData(shape.width, shape.height);
  const hull = convexHull(known.map(([p]) => p)), edge = 0.07 * size, soft = (0.04 * size) ** 2;
  for (let y = 0; y < shape.height; y++)
    for (let x = 0; x < shape.width; x++) {
      const px = low[0] - pad + ((x + 0.5) / shape.width) * wide, py = low[1] - pad + ((y + 0.5) / shape.height) * tall;
      const outside = distanceOutside(hull, px, py);
      if (outside > edge) continue;
      let total = 0, sum = 0;
      for (const [p, v] of known) {
        // Near landmarks count most, far ones fill the cheeks.
        const dx = p[0] - px, dy = p[1] - py, square = dx * dx + dy * dy + soft, w = 1 / (square * Math.sqrt(square));
        total += w; sum += w * v;
      }
      const [r, g, b, a] = spec.colour((sum / total - spec.low) / (spec.high - spec.low));
      const at = 4 * (y * shape.width + x), fade = 1 - Math.max(0, outside) / edge;
      image.data[at] = r; image.data[at + 1] = g; image.data[at + 2] = b;
      image.data[at + 3] = 255 * a * fade * fade * (3 - 2 * fade);
    }
  context.putImageData(image, 0, 0);
  responsive(box, (width) => {
    box.querySelector("svg")?.remove();
    const height = Math.round((width * tall) / wide);
    const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spec.label }, box);
    const at = (i) => { const [x, y] = place(spec.points[i]); return [x * width, y * height]; };
    for (const [indices, closed] of spec.contours) {
      const there = indices.filter((i) => spec.points[i][0] !== null);
      const path = there.map((i, j) => `${j ? "L" : "M"}${at(i).map((v) => v.toFixed(1)).join(" ")}`).join("") + (closed ? "Z" : "");
      node("path", { d: path, fill: "none", stroke: "var(--ink)", "stroke-opacity": 0.28, "stroke-width": 1 }, svg);
    }
    const radius = Math.max(2, Math.min(4.2, width / 90));
    for (const [, v, i] of known) {
      const [x, y] = at(i), [r, g, b] = spec.colour(1 * ((v - spec.low) / (spec.high - spec.low)));
      const dot = node("circle", { cx: x, cy: y, r: radius, fill: `rgb(${r} ${g} ${b})`, stroke: "var(--panel)", "stroke-width": 0.8 }, svg);
      node("title", {}, dot, spec.text(i));
    }
  });
}

// A shape drawn as lines; `shapes`: [{points, colour, width, opacity}].
function shapeChart(element, shapes, contours, frame) {
  const [x0, y0, x1, y1] = frame, pad = 0.05 * Math.max(x1 - x0, y1 - y0);
  const svg = node("svg", { viewBox: `${x0 - pad} ${y0 - pad} ${x1 - x0 + 2 * pad} ${y1 - y0 + 2 * pad}`, role: "img" }, element);
  const unit = (x1 - x0) / 150;
  for (const s of shapes)
    for (const [indices, closed] of contours) {
      const path = indices.map((i, j) => `${j ? "L" : "M"}${s.points[i][0].toFixed(4)} ${s.points[i][1].toFixed(4)}`).join("") + (closed ? "Z" : indices.length === 1 ? "h0" : "");
      node("path", { d: path, fill: "none", stroke: s.colour, "stroke-width": (s.width || 1.4) * unit * (indices.length === 1 ? 2 : 1), "stroke-opacity": s.opacity ?? 1, "stroke-linejoin": "round", "stroke-linecap": "round" }, svg);
    }
  return svg;
}
