// What the server cannot do from afar: ages and countdowns, the tab's title and icon, the label
// of the node under pointer or focus, and saying so when the page is no longer live.
"use strict";

const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function inWords(seconds) {
  const [unit, length] = units.find(([, length]) => seconds >= length) ?? ["s", 1];
  return `${Math.floor(seconds / length)} ${unit}`;
}

function tick() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    time.textContent = seconds < 1 ? "just now" : `${inWords(seconds)} ago`;
  }
  for (const time of document.querySelectorAll("time[data-until]")) {
    const left = Math.ceil((Date.parse(time.dateTime) - Date.now()) / 1000);
    const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    time.textContent = left > 0 ? clock : "";
  }
}

function announce() {
  const banner = document.querySelector("[data-tab]");
  if (!banner) return;
  document.title = banner.dataset.tab;
  const icon = document.getElementById("icon");
  if (icon.getAttribute("href") !== banner.dataset.icon) icon.href = banner.dataset.icon;
}

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true");
document.body.append(tip);

function label(event) {
  const node = event.target.closest?.(".grid li");
  tip.hidden = !node;
  if (!node) return;
  tip.textContent = node.getAttribute("aria-label");
  const at = node.getBoundingClientRect();
  const left = Math.min(at.left, innerWidth - tip.offsetWidth - 12);
  tip.style.left = `${Math.max(12, left)}px`;
  tip.style.top = `${at.bottom + 8}px`;
}

function walk(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const node = event.target.closest?.(".grid li");
  if (!step || !node) return;
  const nodes = [...document.querySelectorAll(".grid li")];
  nodes[nodes.indexOf(node) + step]?.focus();
  event.preventDefault();
}

const lost = document.getElementById("lost");
if (lost) {
  document.addEventListener("htmx:sseError", () => { lost.hidden = false; });
  document.addEventListener("htmx:sseOpen", () => { lost.hidden = true; });
}
document.addEventListener("htmx:sseMessage", () => { announce(); tick(); });
document.addEventListener("mouseover", label);
document.addEventListener("focusin", label);
document.addEventListener("keydown", walk);
setInterval(tick, 1000);
tick();
