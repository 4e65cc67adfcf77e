"use strict";
// A point for each run, by any two of the metrics that all runs have.

const { runs, metrics } = JSON.parse(document.getElementById("points").textContent);
const plot = document.getElementById("plot");
const selects = ["across", "up"].map((id) => document.getElementById(id));
const HEIGHT = 400; // pixels, as the style has it
const ARROWS = { up: " ↑", down: " ↓", "": "" };

const add = (name, attributes, text = "") => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  plot.append(element);
};

// A scale of the values of a metric with their errors, from pixel `start` to `end`.
function scale({ values, errors }, start, end) {
  const low = Math.min(...values.map((value, i) => value - (errors[i] ?? 0)));
  const high = Math.max(...values.map((value, i) => value + (errors[i] ?? 0)));
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  const [from, to] = [low - room, high + room];
  const place = (value) => start + (end - start) * (value - from) / (to - from);
  const raw = (to - from) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const ticks = [];
  for (let k = Math.ceil(from / step); k * step <= to; k++) ticks.push(Number((k * step).toPrecision(6)));
  return { place, ticks };
}

function draw() {
  const [across, up] = selects.map((select) => metrics[select.value]);
  const width = plot.clientWidth;
  const box = { left: 75, right: width - 15, top: 15, bottom: HEIGHT - 45 };
  plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  plot.replaceChildren();
  const x = scale(across, box.left, box.right);
  const y = scale(up, box.bottom, box.top);
  for (const tick of x.ticks) {
    const at = x.place(tick);
    add("line", { class: "axis", x1: at, x2: at, y1: box.top, y2: box.bottom });
    add("text", { class: "tick", x: at, y: box.bottom + 18, "text-anchor": "middle" }, tick);
  }
  for (const tick of y.ticks) {
    const at = y.place(tick);
    add("line", { class: "axis", x1: box.left, x2: box.right, y1: at, y2: at });
    add("text", { class: "tick", x: box.left - 8, y: at + 4, "text-anchor": "end" }, tick);
  }
  const middle = (box.top + box.bottom) / 2;
  add("text", { x: (box.left + box.right) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, across.name + ARROWS[across.direction]);
  add("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(16 ${middle}) rotate(-90)` }, up.name + ARROWS[up.direction]);
  runs.forEach((run, i) => {
    const [cx, cy] = [x.place(across.values[i]), y.place(up.values[i])];
    const reach = (scaled, { values, errors }) => [-1, 1].map((side) => scaled.place(values[i] + side * (errors[i] ?? 0)));
    const [[x1, x2], [y1, y2]] = [reach(x, across), reach(y, up)];
    add("line", { class: "error", x1, x2, y1: cy, y2: cy });
    add("line", { class: "error", x1: cx, x2: cx, y1, y2 });
    add("circle", { cx, cy, r: 5 });
    const left = cx > (box.left + box.right) / 2;
    add("text", { x: cx + (left ? -9 : 9), y: cy - 8, "text-anchor": left ? "end" : "start" }, run);
  });
}

// At first, what can be better or worse.
const first = metrics.flatMap(({ direction }, k) => (direction ? [k] : []));
selects.forEach((select, i) => {
  metrics.forEach(({ name }, k) => select.add(new Option(name, k)));
  select.value = first[i] ?? i;
  select.onchange = draw;
});
document.getElementById("scatter").hidden = false;
draw();
new ResizeObserver(draw).observe(plot);
