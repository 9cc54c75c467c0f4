// The page of one run.
"use strict";

const named = DATA.networks.filter((n) => n !== "mean_shape");
const has = (n) => DATA.networks.includes(n);
const compared = [has("baseline") ? "baseline" : named[0], "kd"];

themeButton();
into("forest", (element) => {
  const own = DATA.forest.own.map(([name, value, low, high]) => ({ ...look(name), value, low, high, strong: name === "kd" }));
  const others = DATA.forest.published.map(([who, value, low, high, source, subset, faces]) => ({ label: who, value, low, high, colour: "var(--faint)", open: true, note: `${subset}, ${faces} faces; ${source}` }));
  forestChart(element, [...own, ...(DATA.forest.same ? others : [])], { label: "NME, % of the normaliser; 95 % interval over the faces" });
});
into("ced", (element) => drawCed(element, DATA.ced));
into("val", (element) => {
  const series = Object.entries(DATA.training).map(([key, c]) => ({ key, ...look(key), x: c.epochs, y: c.nme, markers: true, best: c.epochs[c.nme.indexOf(Math.min(...c.nme.filter((v) => v !== null)))] }));
  lineChart(element, { series, x: { label: "epoch", whole: true }, y: { label: "validation NME, %", log: true, unit: " %" } });
});
into("parts", (element) => {
  const kd = DATA.training.kd;
  if (!kd) return;
  const colours = { loss: "var(--ink)", main: "var(--faint)", features: "var(--c-other)", heatmap: "var(--warm)" };
  const names = { loss: "total", tough: "assistive, tough", tolerant: "assistive, tolerant", features: "feature maps", heatmap: "heat maps" };
  const series = Object.entries(kd.losses).map(([key, y]) => ({ key, label: names[key] || key, colour: colours[key] || look(key).colour, dash: DASH[key], x: kd.epochs, y, markers: true, width: key === "loss" ? 2.6 : 2 }));
  lineChart(element, { series, x: { label: "epoch", whole: true }, y: { label: "loss", digits: 4 } });
});
into("losses", (element) => {
  const series = Object.entries(DATA.training).filter(([, c]) => c.losses.loss).map(([key, c]) => ({ key, ...look(key), x: c.epochs, y: c.losses.loss, markers: true }));
  lineChart(element, { series, x: { label: "epoch", whole: true }, y: { label: "training loss", log: series.every((s) => s.y.every((v) => v > 0)), digits: 4 } });
});
if (DATA.mean_face) drawMeanFaces(["face-a", "face-b", "face-c"], DATA.mean_face, DATA.scheme, compared, compared);
for (const trait of ["yaw", "tilt", "size"])
  into(`by-${trait}`, (element) => {
    const c = DATA.conditions[trait];
    if (c && c.bins.length) binChart(element, { ...c, look, label: `error by ${trait}`, off: Object.keys(c.series).filter((n) => !compared.includes(n)) });
    else html("p", { class: "soft" }, element, "Too few faces to say.");
  });
into("reliability", (element) => {
  const r = DATA.reliability, x = r.x.map((v) => 100 * v);
  const ideal = { key: "ideal", label: "as it is to be", colour: "var(--faint)", dash: "2 3", width: 1.4, x: [0, 100], y: [0, 100] };
  const series = Object.entries(r.series).map(([key, y]) => ({ key, ...look(key), x, y: y.map((v) => (v === null ? null : 100 * v)), markers: true }));
  lineChart(element, { series: [...series, ideal], x: { label: "landmarks that a region is to cover", tip: "to cover", unit: " %", low: 0, high: 100 }, y: { label: "landmarks that it does cover", unit: " %", low: 0, high: 100, digits: 1 } });
});
into("modes", (element) => drawModes(element, DATA.asm, DATA.scheme.contours));
into("variance", (element) => {
  const modes = DATA.asm.cumulative.map((_, i) => i + 1);
  lineChart(element, {
    series: [{ key: "cumulative", label: "variance explained", colour: "var(--c-tolerant)", x: modes, y: DATA.asm.cumulative.map((v) => 100 * v), markers: true }],
    legend: false, x: { label: "modes kept", whole: true }, y: { label: "variance explained", unit: " %", digits: 1, high: 100 }, rules: [{ x: DATA.asm.kept, label: `kept: ${DATA.asm.kept}` }],
  });
});
into("softness", (element) => {
  const modes = DATA.asm.nme.map((_, i) => i + 1);
  lineChart(element, {
    series: [{ key: "nme", label: "soft- from hard-landmarks", colour: "var(--c-tolerant)", x: modes, y: DATA.asm.nme, markers: true }],
    legend: false, x: { label: "modes kept", whole: true }, y: { label: "soft- from hard-landmarks", unit: " %", low: 0 }, rules: [{ x: DATA.asm.kept, label: `kept: ${DATA.asm.kept}` }],
  });
});
into("regions", (element) => drawRegions(element, DATA.kd));

const sets = [HARD, ...named.map((key) => ({ key, ...look(key) }))].filter((s) => Object.values(DATA.shown).some((entry) => entry[s.key]));
const views = new FaceViews({ faces: DATA.faces, shown: DATA.shown, sets, contours: DATA.scheme.contours, main: "kd", other: has("baseline") ? "baseline" : undefined, look });
into("points", (element) => views.toggles(element));
for (const part of ["best", "median", "worst"]) into(part, (element) => views.row(element, DATA.picked[part]));
into("browser", (element) => {
  const error = (key) => (row) => views.error(row, key), trait = (key) => (row) => DATA.faces.traits[key][row];
  const away = (key) => (row) => (trait(key)(row) === null ? null : Math.abs(trait(key)(row)));
  const gain = (key) => (row) => (views.error(row, key) === null || views.error(row, "kd") === null ? null : views.error(row, key) - views.error(row, "kd"));
  const sorts = [{ label: "KD error, largest first", value: error("kd"), down: true }, { label: "KD error, smallest first", value: error("kd") }];
  for (const key of ["baseline", "control"].filter(has)) {
    sorts.push({ label: `largest gain over the ${key}`, value: gain(key), down: true }, { label: `largest loss against the ${key}`, value: gain(key) });
  }
  for (const key of named.filter((n) => n !== "kd")) sorts.push({ label: `${look(key).label}: error, largest first`, value: error(key), down: true });
  if (DATA.faces.traits.yaw) sorts.push({ label: "yaw, most turned first", value: away("yaw"), down: true });
  sorts.push({ label: "tilt, most tilted first", value: away("tilt"), down: true }, { label: "size, smallest first", value: trait("size") }, { label: "order of the data set", value: (row) => row });
  views.browser(element, sorts);
});
