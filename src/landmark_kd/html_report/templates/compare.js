// The page that compares experiments.
"use strict";

const keys = DATA.keys;

themeButton();
into("forest", (element) => forestChart(element, DATA.forest.map(([key, value, low, high]) => ({ ...look(key), value, low, high })), { label: "NME of kd, % of the normaliser; 95 % interval over the faces" }));
into("differences", (element) => {
  const rows = DATA.differences.map(([key, value, low, high]) => ({ ...look(key), value, low, high }));
  if (rows.length) forestChart(element, rows, { zero: true, digits: 3, label: `difference of the NME to ${look(keys[0]).label}; paired 95 % interval` });
});
into("ced", (element) => drawCed(element, DATA.ced));
into("val", (element) => {
  const series = Object.entries(DATA.training).map(([key, c]) => ({ key, ...look(key), x: c.epochs, y: c.nme, markers: true, best: c.epochs[c.nme.indexOf(Math.min(...c.nme.filter((v) => v !== null)))] }));
  lineChart(element, { series, x: { label: "epoch", whole: true }, y: { label: "validation NME of kd", log: true, unit: " %" } });
});
into("loss", (element) => {
  const series = Object.entries(DATA.training).filter(([, c]) => c.losses.loss).map(([key, c]) => ({ key, ...look(key), x: c.epochs, y: c.losses.loss, markers: true }));
  lineChart(element, { series, x: { label: "epoch", whole: true }, y: { label: "training loss of kd", log: series.every((s) => s.y.every((v) => v > 0)), digits: 4 } });
});

const sets = [HARD, ...keys.map((key) => ({ key, ...look(key) }))].filter((s) => Object.values(DATA.shown).some((entry) => entry[s.key]));
const views = new FaceViews({ faces: DATA.faces, shown: DATA.shown, sets, contours: DATA.scheme.contours, main: keys[0], other: keys[1], look });
for (const key of keys.slice(0, 2)) if (sets.some((s) => s.key === key)) views.on.add(key);
views.caption = (row) => keys.map((key) => show(views.error(row, key))).join(" → ").replace(/$/, " %");
into("points", (element) => views.toggles(element));
for (const [part, rows] of Object.entries(DATA.changed)) into(part, (element) => {
  if (rows.length) views.row(element, rows);
  else html("p", { class: "soft" }, element, "No face.");
});
into("browser", (element) => {
  const error = (key) => (row) => views.error(row, key);
  const change = (key) => (row) => (error(key)(row) === null || error(keys[0])(row) === null ? null : error(key)(row) - error(keys[0])(row));
  const sorts = [];
  for (const key of keys.slice(1)) sorts.push({ label: `${look(key).label}: largest change`, value: (row) => (change(key)(row) === null ? null : Math.abs(change(key)(row))), down: true }, { label: `${look(key).label}: most gained`, value: change(key) }, { label: `${look(key).label}: most lost`, value: change(key), down: true });
  for (const key of keys) sorts.push({ label: `${look(key).label}: error, largest first`, value: error(key), down: true });
  sorts.push({ label: "order of the data set", value: (row) => row });
  views.browser(element, sorts);
});
