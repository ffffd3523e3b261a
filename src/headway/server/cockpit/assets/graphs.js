// The guard's metrics, the new build against the old one, with a line wherever something was
// deployed, configured or taken back. Lines that would touch become one, with their number.
"use strict";

const graphs = document.getElementById("graphs");
const EVERY_MS = 5000;
const KINDS = { deploy: ["▲", "new", []], config: ["◆", "held", [6, 3]], revert: ["↺", "failed", [2, 3]] };
const TOUCH = 12;
const HEIGHT = 140;
const SHORTEST = 300;
const drawn = new Map();

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function read(value, share) {
  if (value === null || value === undefined) return "–";
  return share ? `${+(value * 100).toPrecision(3)} %` : `${+value.toPrecision(3)}`;
}

// Lines whose marks would touch, together; the kind that asks for most attention gives the sign.
function clusters(lines, x) {
  const found = [];
  for (const line of lines) {
    const at = x(line.at);
    const last = found.at(-1);
    if (last && at - last.end < TOUCH) { last.lines.push(line); last.end = at; } else found.push({ start: at, end: at, lines: [line] });
  }
  const order = ["revert", "config", "deploy"];
  return found.map((one) => ({ ...one, kind: order.find((kind) => one.lines.some((line) => line.kind === kind)) }));
}

function drawLines(plot, state) {
  const { ctx: pen, bbox } = plot;
  const ratio = devicePixelRatio || 1;
  pen.save();
  pen.font = `${11 * ratio}px system-ui, sans-serif`;
  pen.textAlign = "center";
  state.marks = clusters(state.lines, (at) => plot.valToPos(at, "x"));
  for (const { start, end, lines, kind } of state.marks) {
    const [sign, colour, dash] = KINDS[kind];
    pen.strokeStyle = pen.fillStyle = ink(colour);
    pen.lineWidth = ratio * (lines.length > 1 ? 2 : 1);
    pen.setLineDash(dash.map((length) => length * ratio));
    for (const at of new Set([start, end])) {
      const x = bbox.left + at * ratio;
      pen.beginPath(); pen.moveTo(x, bbox.top); pen.lineTo(x, bbox.top + bbox.height); pen.stroke();
    }
    pen.fillText(lines.length > 1 ? `${sign}${lines.length}` : sign, bbox.left + (start + end) / 2 * ratio, bbox.top - 3 * ratio);
  }
  if (state.bound !== null && state.bound <= plot.scales.y.max) {
    const y = plot.valToPos(state.bound, "y", true);
    pen.strokeStyle = ink("failed");
    pen.lineWidth = ratio;
    pen.setLineDash([2 * ratio, 4 * ratio]);
    pen.beginPath(); pen.moveTo(bbox.left, y); pen.lineTo(bbox.left + bbox.width, y); pen.stroke();
  }
  pen.restore();
}

function say(state, index) {
  const at = index ?? state.data[0].length - 1;
  const [news, olds] = [state.data[1][at], state.data[2][at]];
  state.values.replaceChildren();
  for (const [key, word, value] of [["new", state.names[0], news], ["old", state.names[1], olds]]) {
    const part = document.createElement("span");
    part.className = `key ${key}`;
    part.textContent = `${word} ${read(value, state.share)}`;
    state.values.append(part);
  }
}

function mark(plot, state) {
  const { left } = plot.cursor;
  const near = (state.marks ?? []).find((one) => left >= one.start - 6 && left <= one.end + 6);
  state.note.textContent = near && left >= 0 ? near.lines.map((line) => `${KINDS[line.kind][0]} ${line.label}`).join(" · ") : "";
}

function hour(seconds) {
  const timeZone = localStorage.getItem("zone") === "utc" ? "UTC" : undefined;
  return new Intl.DateTimeFormat("sv-SE", { hour: "2-digit", minute: "2-digit", timeZone }).format(seconds * 1000);
}

function make(name, state) {
  const box = document.createElement("section");
  box.className = "graph";
  const title = document.createElement("h3");
  title.textContent = name;
  state.values = document.createElement("p");
  state.values.className = "values";
  state.note = document.createElement("p");
  state.note.className = "note hint";
  const room = document.createElement("div");
  room.setAttribute("role", "img");
  box.append(title, state.values, room, state.note);
  graphs.append(box);
  state.room = room;
  const axis = { stroke: () => ink("soft"), grid: { stroke: () => ink("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  state.plot = new uPlot({
    width: Math.max(200, graphs.clientWidth),
    height: HEIGHT,
    padding: [16, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { range: () => state.span }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.15 : state.share ? 0.01 : 1] } },
    axes: [{ ...axis, space: 60, size: 26, values: (_, ticks) => ticks.map(hour) }, { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => read(tick, state.share)) }],
    series: [
      {},
      { stroke: () => ink("new"), width: 2, spanGaps: false, points: { show: false } },
      { stroke: () => ink("old"), width: 2, dash: [5, 3], spanGaps: false, points: { show: false } },
    ],
    hooks: {
      draw: [(plot) => drawLines(plot, state)],
      setCursor: [(plot) => { say(state, plot.cursor.idx); mark(plot, state); }],
    },
  }, state.data, room);
  return state;
}

function show(page) {
  graphs.hidden = page.charts.length === 0;
  for (const [name, state] of drawn) {
    if (!page.charts.some((chart) => chart.metric === name)) { state.room.parentElement.remove(); drawn.delete(name); }
  }
  for (const chart of page.charts) {
    const state = drawn.get(chart.metric) ?? {};
    state.data = [page.times, chart.new, chart.old];
    state.span = [Math.max(page.since, Math.min(page.times[0] ?? page.until, page.until - SHORTEST)), page.until];
    state.names = [page.new, page.old];
    state.share = chart.share;
    state.bound = chart.bound;
    state.lines = page.lines;
    if (state.plot) state.plot.setData(state.data); else drawn.set(chart.metric, make(chart.metric, state));
    say(state, state.plot.cursor.idx);
    const last = page.times.length - 1;
    state.room.setAttribute("aria-label", `${chart.metric}: ${page.new} ${read(chart.new[last], chart.share)}, ${page.old} ${read(chart.old[last], chart.share)}; ${page.lines.length} deploy lines`);
  }
}

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(graphs.dataset.from, { headers: { Accept: "application/json" } }).catch(() => null);
  if (answer?.ok) show(await answer.json());
}

new ResizeObserver(() => {
  for (const { plot } of drawn.values()) plot.setSize({ width: Math.max(200, graphs.clientWidth), height: HEIGHT });
}).observe(graphs);
const redraw = () => { for (const { plot } of drawn.values()) plot.redraw(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
document.addEventListener("headway:zone", () => { for (const { plot, data } of drawn.values()) plot.setData(data); });
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, EVERY_MS);
refresh();
