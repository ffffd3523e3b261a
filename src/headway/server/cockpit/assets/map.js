// The map of all nodes: one letter for each, drawn as a shape; three nodes or ten thousand.
// A letter says a node's state and the part of its build, counted as the server counts them.
"use strict";

const map = document.getElementById("map");
const { states, roles } = map.dataset;
const STATES = states.split(" ");
const ROLES = roles.split(" ");
const WORDS = { new: "the new build", live: "the live build", old: "the old build", other: "another build", none: "no build" };
const PITCHES = [[120, 21], [400, 15], [1500, 10], [4000, 7], [Infinity, 5]];
const FIRST = "A".charCodeAt(0);

let layout = map.dataset.layout;
let letters = [...map.dataset.letters];
let tiers = JSON.parse(map.dataset.tiers).map(([tier, size]) => ({ tier, size, nodes: null }));
let pitch = 0; // in the page's pixels
let ratio = 1; // pixels of the screen for one of the page
let cell = 0; // in the screen's pixels
let sprites = null;
const labels = new Map();

const meaning = (letter) => {
  const number = letter.charCodeAt(0) - FIRST;
  return [STATES[Math.floor(number / ROLES.length)], ROLES[number % ROLES.length]];
};

// Shapes: filled new, ring old, half moving, cross failed, dashed unknown, bars held.
function drawShape(pen, state, role, size, colour) {
  const middle = size / 2;
  const radius = middle - 1;
  const small = size < 9;
  const disc = (from = 0, to = 2 * Math.PI, r = radius) => { pen.beginPath(); pen.arc(middle, middle, r, from, to); };
  const box = size - 1;
  pen.fillStyle = pen.strokeStyle = colour(state === "done" ? { live: "done" }[role] ?? role : state);
  pen.lineWidth = Math.max(1, size / 7);
  if (state === "failed") {
    if (small) { pen.fillRect(0, 0, size, size); return; }
    pen.lineWidth = size / 4;
    pen.beginPath();
    pen.moveTo(2, 2); pen.lineTo(size - 2, size - 2); pen.moveTo(size - 2, 2); pen.lineTo(2, size - 2);
    pen.stroke();
  } else if (state === "held") {
    const bar = Math.max(1, Math.floor(box / 3));
    pen.fillRect(0, 0, bar, box); pen.fillRect(box - bar, 0, bar, box);
  } else if (state === "unknown") {
    if (small) { pen.strokeRect(0.5, 0.5, box - 1, box - 1); return; }
    pen.setLineDash([size / 6, size / 8]); disc(0, 2 * Math.PI, radius - 1); pen.stroke(); pen.setLineDash([]);
  } else if (state === "moving") {
    if (small) { pen.fillRect(0, box / 2, box, box / 2); pen.fillRect(0, 0, 1, box); return; }
    disc(Math.PI / 2, 1.5 * Math.PI); pen.fill(); disc(0, 2 * Math.PI, radius - 1); pen.stroke();
  } else if (small) {
    if (role === "old" || role === "none") pen.strokeRect(0.5, 0.5, box - 1, box - 1); else pen.fillRect(0, 0, box, box);
  } else if (role === "old" || role === "none") {
    pen.lineWidth = size / 5; disc(0, 2 * Math.PI, radius - size / 10); pen.stroke();
  } else {
    disc(); pen.fill();
  }
}

// Every shape once, as pixels. Ten thousand of them are copied faster than a canvas can draw them.
function makeSprites() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const size = Math.max(4, pitch > 12 ? pitch - 5 : pitch - 1);
  const step = Math.ceil(size * ratio);
  const sheet = document.createElement("canvas");
  sheet.width = step;
  sheet.height = step * STATES.length * ROLES.length;
  const pen = sheet.getContext("2d");
  STATES.forEach((state, s) => ROLES.forEach((role, r) => {
    pen.setTransform(ratio, 0, 0, ratio, 0, (s * ROLES.length + r) * step);
    drawShape(pen, state, role, size, colour);
  }));
  return { size, step, ink: new Uint32Array(pen.getImageData(0, 0, sheet.width, sheet.height).data.buffer) };
}

function drawCell(tier, index) {
  const { step, ink } = sprites;
  const { pixels, columns, first } = tier;
  const width = tier.image.width;
  const row = Math.floor(index / columns);
  let to = row * cell * width + (index - row * columns) * cell;
  let from = (letters[first + index].charCodeAt(0) - FIRST) * step * step;
  for (let y = 0; y < step; y += 1, to += width - step) {
    for (let x = 0; x < step; x += 1) pixels[to++] = ink[from++];
  }
  tier.stale = true;
}

function flush() {
  for (const tier of tiers) {
    if (!tier.stale) continue;
    tier.pen.putImageData(tier.image, 0, 0);
    tier.stale = false;
    drawCursor(tier);
  }
}

function drawCursor(tier) {
  if (document.activeElement !== tier.canvas || !tier.size) return;
  const { pen, cursor, columns } = tier;
  pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink");
  pen.lineWidth = 1.5 * ratio;
  pen.strokeRect((cursor % columns) * cell + 0.5, Math.floor(cursor / columns) * cell + 0.5, sprites.step - 1, sprites.step - 1);
}

function build() {
  map.replaceChildren();
  let first = 0;
  for (const tier of tiers) {
    const group = document.createElement("div");
    group.className = "group";
    const title = document.createElement("h3");
    title.textContent = tier.tier;
    title.id = `tier-${tier.tier}`;
    tier.canvas = document.createElement("canvas");
    tier.canvas.tabIndex = 0;
    tier.canvas.setAttribute("role", "application");
    tier.canvas.setAttribute("aria-roledescription", "map of nodes; arrow keys go from node to node");
    tier.canvas.setAttribute("aria-labelledby", title.id);
    tier.first = first;
    tier.cursor = 0;
    first += tier.size;
    listen(tier);
    group.append(title, tier.canvas);
    map.append(group);
  }
  fit();
}

// The size of a cell follows the number of nodes, the number of columns the width of the page.
function fit() {
  ratio = window.devicePixelRatio || 1;
  pitch = PITCHES.find(([most]) => letters.length <= most)[1];
  cell = Math.ceil(pitch * ratio);
  sprites = makeSprites();
  for (const tier of tiers) {
    const { canvas } = tier;
    const width = canvas.parentElement.clientWidth - canvas.offsetLeft + canvas.parentElement.offsetLeft;
    tier.columns = Math.max(1, Math.floor(width / pitch));
    canvas.width = Math.max(1, Math.min(tier.size, tier.columns)) * cell;
    canvas.height = Math.max(1, Math.ceil(tier.size / tier.columns)) * cell;
    canvas.style.width = `${canvas.width / ratio}px`;
    canvas.style.height = `${canvas.height / ratio}px`;
    tier.pen = canvas.getContext("2d");
    tier.image = tier.pen.createImageData(canvas.width, canvas.height);
    tier.pixels = new Uint32Array(tier.image.data.buffer);
    for (let index = 0; index < tier.size; index += 1) drawCell(tier, index);
  }
  flush();
}

function apply(news) {
  const start = performance.now();
  if (news.whole) {
    letters = [...news.runs[0][1]];
    if (news.layout !== layout) place(); else fit();
  } else {
    let at = 0;
    for (const [place, run] of news.runs) {
      for (let offset = 0; offset < run.length; offset += 1) {
        const index = place + offset;
        while (index >= tiers[at].first + tiers[at].size) at += 1;
        letters[index] = run[offset];
        drawCell(tiers[at], index - tiers[at].first);
      }
    }
    flush();
  }
  performance.measure("map", { start });
}

// Which node stands where; fetched once, and again when nodes come, go or move.
async function place() {
  const answer = await fetch(map.dataset.places, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const places = await answer.json();
  labels.clear();
  if (places.layout === layout && places.tiers.length === tiers.length) {
    tiers.forEach((tier, index) => { tier.nodes = places.tiers[index].nodes; });
    return;
  }
  layout = places.layout;
  tiers = places.tiers.map(({ tier, nodes }) => ({ tier, size: nodes.length, nodes }));
  const wanted = tiers.reduce((sum, tier) => sum + tier.size, 0);
  letters = Array.from({ length: wanted }, (_, index) => letters[index] ?? "A");
  build();
}

const tip = document.getElementById("tip");
let asked = 0;

function tell(tier, index) {
  const name = tier.nodes?.[index] ?? "";
  const [state, role] = meaning(letters[tier.first + index]);
  const known = labels.get(name);
  tip.textContent = known ?? `${name} · ${state} · runs ${WORDS[role]}`;
  tip.hidden = false;
  const at = tier.canvas.getBoundingClientRect();
  const left = Math.min(at.left + (index % tier.columns) * pitch, innerWidth - tip.offsetWidth - 12);
  tip.style.left = `${Math.max(12, left)}px`;
  tip.style.top = `${at.top + (Math.floor(index / tier.columns) + 1) * pitch + 8}px`;
  clearTimeout(asked);
  if (name && !known) asked = setTimeout(() => explain(tier, index, name), 120);
}

async function explain(tier, index, name) {
  const answer = await fetch(`${map.dataset.places}/${encodeURIComponent(name)}`);
  if (!answer.ok) return;
  labels.set(name, (await answer.json()).label);
  setTimeout(() => labels.delete(name), 2000);
  if (!tip.hidden && tip.textContent.startsWith(`${name} ·`)) tell(tier, index);
}

function under(tier, event) {
  const at = tier.canvas.getBoundingClientRect();
  const column = Math.floor((event.clientX - at.left) / pitch);
  const index = Math.floor((event.clientY - at.top) / pitch) * tier.columns + column;
  return column < tier.columns && index >= 0 && index < tier.size ? index : -1;
}

function visit(tier, index) {
  const name = tier.nodes?.[index];
  if (name) location.assign(`${map.dataset.pages}/${encodeURIComponent(name)}`);
}

function listen(tier) {
  const { canvas } = tier;
  const hide = () => { clearTimeout(asked); tip.hidden = true; };
  canvas.addEventListener("pointermove", (event) => {
    const index = under(tier, event);
    if (index < 0) hide(); else tell(tier, index);
  });
  canvas.addEventListener("pointerleave", hide);
  canvas.addEventListener("click", (event) => { const index = under(tier, event); if (index >= 0) visit(tier, index); });
  canvas.addEventListener("focus", () => { tier.stale = true; flush(); if (tier.size) tell(tier, tier.cursor); });
  canvas.addEventListener("blur", () => { tier.stale = true; flush(); hide(); });
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: tier.columns, ArrowUp: -tier.columns, Home: -tier.size, End: tier.size };
    if (event.key === "Enter") { visit(tier, tier.cursor); return; }
    if (!(event.key in steps) || !tier.size) return;
    tier.cursor = Math.min(tier.size - 1, Math.max(0, tier.cursor + steps[event.key]));
    tier.stale = true;
    flush();
    tell(tier, tier.cursor);
    event.preventDefault();
  });
}

build();
place();
new ResizeObserver(() => { if (letters.length) fit(); }).observe(map);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fit);
document.addEventListener("htmx:sseBeforeMessage", (event) => {
  if (event.detail.type !== "map") return;
  event.preventDefault();
  apply(JSON.parse(event.detail.data));
});
