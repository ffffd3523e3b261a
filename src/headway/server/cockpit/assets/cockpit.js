// What the server cannot do from afar: ages and countdowns, times in the reader's zone, the tab's
// title and icon, notifications, and saying so when the page is no longer live.
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

// Times: in the reader's own zone or in UTC, as they chose; the other one is in the title.
const zone = document.getElementById("zone");
const isUtc = () => localStorage.getItem("zone") === "utc";
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

function written(moment, timeZone, dated) {
  const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone };
  if (dated) Object.assign(parts, { year: "numeric", month: "2-digit", day: "2-digit" });
  return new Intl.DateTimeFormat("sv-SE", parts).format(moment);
}

function showTimes() {
  for (const time of document.querySelectorAll("time[data-at], time[data-clock], time[data-age]")) {
    const moment = Date.parse(time.dateTime);
    if (Number.isNaN(moment)) continue;
    time.title = `${written(moment, own, true)} ${own} · ${written(moment, "UTC", true)} UTC`;
    if ("age" in time.dataset) continue;
    time.textContent = written(moment, isUtc() ? "UTC" : own, "at" in time.dataset);
  }
  if (zone) zone.textContent = isUtc() ? "UTC" : own.split("/").at(-1).replaceAll("_", " ");
}

zone?.addEventListener("click", () => {
  localStorage.setItem("zone", isUtc() ? "own" : "utc");
  showTimes();
  document.dispatchEvent(new Event("headway:zone"));
});

// Title, icon and, for whoever asked, a notification when the state turns.
const notify = document.getElementById("notify");
let before = null;

const wanted = () => "Notification" in window && Notification.permission === "granted" && localStorage.getItem("notify") === "on";

function showNotify() {
  if (!notify) return;
  notify.hidden = !("Notification" in window) || Notification.permission === "denied" || !document.querySelector("[data-tab]");
  notify.setAttribute("aria-pressed", String(wanted()));
}

notify?.addEventListener("click", async () => {
  if (wanted()) localStorage.setItem("notify", "off");
  else if (await Notification.requestPermission() === "granted") localStorage.setItem("notify", "on");
  showNotify();
});

function announce() {
  const banner = document.querySelector("[data-tab]");
  if (!banner) return;
  const { tab, tone, sentence, icon: href } = banner.dataset;
  document.title = tab;
  const icon = document.getElementById("icon");
  if (icon.getAttribute("href") !== href) icon.href = href;
  if (before !== null && before !== tone && wanted()) new Notification(tab, { body: sentence, icon: href, tag: location.pathname });
  before = tone;
}

const lost = document.getElementById("lost");
if (lost) {
  document.addEventListener("htmx:sseError", () => { lost.hidden = false; });
  document.addEventListener("htmx:sseOpen", () => { lost.hidden = true; });
}
document.addEventListener("htmx:sseMessage", () => { announce(); tick(); showTimes(); });
setInterval(tick, 1000);
announce();
tick();
showTimes();
showNotify();
