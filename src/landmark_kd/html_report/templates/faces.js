// Faces with their landmarks: cards, rows, a browser to sort and filter, one face enlarged.
"use strict";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUE = Object.fromEntries([...LETTERS].map((letter, i) => [letter, i]));
// Cards that are added at a time.
const BATCH = 48;

// Landmarks as thumbnails.py writes them: shares of the image's side, null where missing.
function decodePoints(text) {
  const points = [];
  for (let i = 0; i < text.length; i += 4) {
    if (text[i] === ".") { points.push(null); continue; }
    const [a, b, c, d] = [0, 1, 2, 3].map((k) => VALUE[text[i + k]]);
    points.push([((a * 64 + b) / 4095) * 2 - 0.5, ((c * 64 + d) / 4095) * 2 - 0.5]);
  }
  return points;
}

// faces: {names, subset_names, subsets, errors, traits}; shown: {row: {image, hard, network…}};
// sets: [{key, label, colour}] of landmarks; main, other: networks whose errors cards show.
class FaceViews {
  constructor({ faces, shown, sets, contours, main, other, look }) {
    Object.assign(this, { faces, shown, sets, contours, main, other, look });
    this.on = new Set(["hard", main].filter((key) => sets.some((s) => s.key === key)));
    this.overlays = new Map();
    this.listeners = [];
    this.makeDialog();
  }

  error(row, key) { return this.faces.errors[key]?.[row] ?? null; }

  toggles(parent) {
    const group = html("div", { class: "toggles", role: "group", "aria-label": "landmarks shown on the images" }, parent);
    for (const set of this.sets) {
      const button = html("button", { type: "button", "data-set": set.key, style: `--c:${set.colour}` }, group);
      html("i", { class: "swatch" }, button);
      button.append(set.label);
      const paint = () => button.setAttribute("aria-pressed", String(this.on.has(set.key)));
      paint();
      this.listeners.push(paint);
      button.addEventListener("click", () => {
        this.on.has(set.key) ? this.on.delete(set.key) : this.on.add(set.key);
        this.repaint();
      });
    }
  }

  repaint() {
    this.listeners.forEach((paint) => paint());
    for (const [frame, { row, lines }] of this.overlays) {
      if (!frame.isConnected) { this.overlays.delete(frame); continue; }
      this.overlay(frame, row, lines);
    }
  }

  // The image of a face with the landmarks that are switched on.
  frame(parent, row, lines = false) {
    const frame = html("span", { class: "frame" }, parent), entry = this.shown[row];
    if (!entry) {
      html("span", { class: "none" }, frame, "image not in this page");
      return frame;
    }
    const image = html("img", { alt: "", decoding: "async" }, frame);
    image.src = `data:image/jpeg;base64,${entry.image}`;
    this.overlays.set(frame, { row, lines });
    this.overlay(frame, row, lines);
    return frame;
  }

  overlay(frame, row, lines) {
    frame.querySelector("svg")?.remove();
    const svg = node("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" }, frame), entry = this.shown[row];
    for (const set of this.sets) {
      if (!this.on.has(set.key) || !entry[set.key]) continue;
      const points = decodePoints(entry[set.key]), at = (p) => `${(100 * p[0]).toFixed(2)} ${(100 * p[1]).toFixed(2)}`;
      let path = points.map((p) => (p ? `M${at(p)}h0` : "")).join("");
      const dots = { d: path, fill: "none", "stroke-linecap": "round" };
      if (lines)
        for (const [indices, closed] of this.contours) {
          const there = indices.map((i) => points[i]);
          const drawn = there.map((p, j) => (p ? `${j && there[j - 1] ? "L" : "M"}${at(p)}` : "")).join("");
          const whole = closed && there.every(Boolean) ? "Z" : "";
          node("path", { d: drawn + whole, fill: "none", stroke: set.onImage, "stroke-width": 0.35, "stroke-opacity": 0.75 }, svg);
        }
      const size = lines ? 1.05 : 2;
      node("path", { ...dots, stroke: "#000", "stroke-opacity": 0.55, "stroke-width": size * 1.6 }, svg);
      node("path", { ...dots, stroke: set.onImage, "stroke-width": size }, svg);
    }
  }

  card(parent, row, order) {
    const card = html("button", { type: "button", class: "face", "data-row": row }, parent);
    this.frame(card, row);
    const text = html("span", { class: "label" }, card);
    text.append(this.caption(row));
    html("span", { title: this.faces.names[row] }, text, this.faces.names[row]);
    card.addEventListener("click", () => this.enlarge(row, order()));
    return card;
  }

  caption(row) {
    const main = this.error(row, this.main), other = this.other === undefined ? null : this.error(row, this.other);
    return `${show(main)} %${other === null ? "" : ` · ${show(other)} %`}`;
  }

  row(parent, rows) {
    const grid = html("div", { class: "faces row" }, parent);
    for (const row of rows) this.card(grid, row, () => rows);
  }

  makeDialog() {
    const dialog = (this.dialog = html("dialog", { class: "large", "aria-label": "one face, enlarged" }, document.body));
    const bar = html("div", { class: "bar" }, dialog);
    this.title = html("h3", {}, bar);
    const buttons = html("div", {}, bar);
    for (const [label, step] of [["‹", -1], ["›", 1]]) {
      const button = html("button", { type: "button", class: "button", "aria-label": step < 0 ? "previous face" : "next face" }, buttons, label);
      button.addEventListener("click", () => this.step(step));
    }
    html("button", { type: "button", class: "button", "data-close": "" }, buttons, "Close").addEventListener("click", () => dialog.close());
    const body = html("div", { class: "body" }, dialog);
    this.picture = html("div", {}, body);
    this.facts = html("div", {}, body);
    // Of the document: what had the focus may be replaced by the next face's.
    document.addEventListener("keydown", (event) => {
      if (!dialog.open) return;
      if (event.key === "ArrowLeft") this.step(-1);
      if (event.key === "ArrowRight") this.step(1);
    });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }

  step(by) {
    const next = this.order[this.order.indexOf(this.current) + by];
    if (next !== undefined) this.enlarge(next, this.order);
  }

  enlarge(row, order) {
    this.current = row;
    this.order = order;
    this.title.textContent = this.faces.names[row];
    this.picture.replaceChildren();
    this.frame(this.picture, row, true);
    this.facts.replaceChildren();
    this.toggles(this.facts);
    const table = html("table", {}, this.facts), head = html("tr", {}, html("thead", {}, table));
    html("th", {}, head, "network");
    html("th", {}, head, "NME %");
    const body = html("tbody", {}, table);
    for (const key of Object.keys(this.faces.errors)) {
      const line = html("tr", {}, body), name = html("td", {}, line);
      html("i", { class: "swatch", style: `--c:${this.look(key).colour}` }, name);
      name.append(this.look(key).label);
      html("td", {}, line, show(this.error(row, key)));
    }
    const facts = [["subsets", this.faces.subsets[row].map((i) => this.faces.subset_names[i]).join(", ")]];
    const units = { yaw: "°", tilt: "°", size: " px" };
    for (const [trait, values] of Object.entries(this.faces.traits))
      facts.push([trait, values[row] === null ? "–" : show(values[row], trait === "size" ? 0 : 1) + (units[trait] || "")]);
    html("p", { class: "small soft" }, this.facts, facts.map(([a, b]) => `${a}: ${b}`).join(" · "));
    if (!this.dialog.open) this.dialog.showModal();
  }

  // The whole set: sorted, filtered, more of it as one scrolls.
  browser(parent, sorts) {
    const n = this.faces.names.length, rows = [...Array(n).keys()], lower = this.faces.names.map((name) => name.toLowerCase());
    const controls = html("div", { class: "controls" }, parent);
    const labelled = (text) => html("label", {}, controls, text);
    const sort = html("select", { "data-control": "sort" }, labelled("Sort by"));
    sorts.forEach((s, i) => html("option", { value: i }, sort, s.label));
    const subset = html("select", { "data-control": "subset" }, labelled("Subset"));
    html("option", { value: "" }, subset, "all");
    this.faces.subset_names.forEach((name, i) => html("option", { value: i }, subset, name));
    const text = html("input", { type: "search", "data-control": "name", placeholder: "part of a name" }, labelled("Name"));
    const least = html("input", { type: "number", "data-control": "least", min: 0, step: 0.5, placeholder: "0" }, labelled(`${this.look(this.main).label}: NME from`));
    const known = Object.keys(this.shown).length;
    const tick = html("label", { class: "tick" }, controls), only = html("input", { type: "checkbox", "data-control": "images" }, tick);
    tick.append(" with image only");
    only.checked = known > 0 && known < n;
    tick.hidden = known === n || known === 0;
    const line = html("p", { class: "small soft", "data-count": "", "aria-live": "polite" }, parent);
    this.toggles(parent);
    const grid = html("div", { class: "faces", "data-grid": "" }, parent);
    const more = html("button", { type: "button", class: "button noprint" }, parent, "Show more");
    let order = [], count = 0;
    const add = () => {
      for (const row of order.slice(count, count + BATCH)) this.card(grid, row, () => order);
      count = Math.min(order.length, count + BATCH);
      more.hidden = count >= order.length;
    };
    const apply = () => {
      const part = text.value.trim().toLowerCase(), from = parseFloat(least.value), in_ = subset.value === "" ? null : +subset.value;
      const by = sorts[+sort.value];
      order = rows.filter((row) =>
        (!part || lower[row].includes(part)) && (in_ === null || this.faces.subsets[row].includes(in_)) &&
        (!(from > 0) || this.error(row, this.main) >= from) && (!only.checked || this.shown[row]));
      const keys = new Map(order.map((row) => [row, by.value(row)]));
      order.sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        if (x === null || y === null) return (x === null) - (y === null) || a - b;
        return (by.down ? y - x : x - y) || a - b;
      });
      line.textContent = `${order.length} of ${n} faces`;
      grid.replaceChildren();
      count = 0;
      add();
    };
    let waiting;
    text.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 80); });
    least.addEventListener("input", apply);
    for (const control of [sort, subset, only]) control.addEventListener("change", apply);
    more.addEventListener("click", add);
    new IntersectionObserver((entries) => { if (entries[0].isIntersecting && count > 0 && count < order.length) add(); }, { rootMargin: "200px" }).observe(more);
    apply();
  }
}
