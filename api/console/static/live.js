// What is so, as the stream tells it: `now` by kind, and how old it is.
//
// A page whose stream is silent, or whose system is, is stale: it says so, and whatever would act on old
// figures (`data-acts`) is disabled. Halt and Flatten are not: they say that they act blind.
import { by } from "./dom.js";
import { t } from "./words.js";

const SILENT_MS = 5000; // a heartbeat comes every two seconds
const QUIET_S = 15; // without a word of the decisions, while the session runs
const KEPT = 40;
const UNSEEN_MS = 30000; // a tab that nobody sees lets its connection go: a browser has six for all its tabs
const FIGURES = ["state", "pnl", "positions", "feed", "health"];
const EVENTS = ["signal", "verdict", "order", "alert"];

export const now = { recent: { signal: [], verdict: [], order: [], alert: [] }, curve: [] };
export const live = new EventTarget();

let source = null;
let lastId = "";
let heardAt = 0;
let ages = { log_age_s: 0, account_age_s: 0 };
let linked = "";

const tell = (kind, detail) => live.dispatchEvent(new CustomEvent(kind, { detail }));

// What came with the page itself; the stream goes on from there.
export function begin() {
  takeSnapshot(JSON.parse(by("figures").textContent));
  lastId = document.querySelector("[data-last-id]").dataset.lastId;
}

export function start() {
  open();
  setInterval(look, 500);
  document.addEventListener("visibilitychange", seen);
}

let unseen = 0;
function seen() {
  clearTimeout(unseen);
  if (document.hidden) {
    unseen = setTimeout(() => {
      source.close();
      source = null;
    }, UNSEEN_MS);
    return;
  }
  if (!source) open();
  look();
}

export const stale = () => linked === "stale" || linked === "quiet";

export const age = () => (heardAt ? Math.round((performance.now() - heardAt) / 1000) : null);

function open() {
  source?.close();
  source = new EventSource(`/api/v1/live${lastId ? `?last_event_id=${encodeURIComponent(lastId)}` : ""}`);
  const on = (kind, take) =>
    source.addEventListener(kind, (event) => {
      heardAt = performance.now();
      if (event.lastEventId) lastId = event.lastEventId;
      take(JSON.parse(event.data));
      look();
    });
  on("snapshot", takeSnapshot);
  on("heartbeat", (told) => (ages = told));
  on("reset", () => tell("reset"));
  on("cut", () => {});
  for (const kind of FIGURES) on(kind, (told) => takeFigure(kind, told));
  for (const kind of EVENTS) on(kind, (told) => takeEvent(kind, told));
  source.onerror = () => {
    // refused (signed out, too many readers): the browser does not try again by itself
    if (source.readyState === EventSource.CLOSED) refused();
  };
}

let retrying = false;
async function refused() {
  if (retrying) return;
  retrying = true;
  const reply = await fetch("/api/v1/live/snapshot").catch(() => null);
  if (reply?.status === 401) document.dispatchEvent(new CustomEvent("kp:signed-out"));
  else
    setTimeout(() => {
      retrying = false;
      if (source) open();
    }, 1000);
}

// Also for whoever asks while the stream is dead.
export function takeSnapshot(told) {
  Object.assign(now, told);
  for (const kind of FIGURES) if (now[kind]) tell(kind, now[kind]);
  for (const kind of EVENTS) tell(`${kind}s`, now.recent[kind]);
  tell("curve", now.curve);
  tell("any");
}

function takeFigure(kind, told) {
  now[kind] = told;
  if (kind === "pnl") extend(told);
  tell(kind, told);
  tell("any");
}

function extend(pnl) {
  const last = now.curve.at(-1);
  if (last && pnl.at_ms - last[0] < 15000) return;
  now.curve.push([pnl.at_ms, pnl.gross_paise, pnl.net_paise]);
  tell("curve", now.curve);
}

function takeEvent(kind, told) {
  const kept = now.recent[kind];
  kept.push(told);
  if (kept.length > KEPT) kept.shift();
  tell(kind, told);
  tell(`${kind}s`, kept);
}

function linkNow() {
  if (!heardAt) return performance.now() > SILENT_MS ? "stale" : "opening";
  if (performance.now() - heardAt > SILENT_MS) return "stale";
  if (ages.log_age_s > QUIET_S) return "quiet";
  return ages.account_age_s > QUIET_S && !now.state?.ended ? "quiet" : "live";
}

function look() {
  const found = linkNow();
  const banner = by("stale");
  if (found === "stale") banner.textContent = t("link.stale_long", { age: age() ?? "?" });
  if (found === "quiet") banner.textContent = t("link.quiet_long", { age: Math.round(Math.max(ages.log_age_s, ages.account_age_s)) });
  if (found === linked) return;
  linked = found;
  document.documentElement.dataset.link = found;
  banner.hidden = !stale();
  for (const each of document.querySelectorAll("[data-acts]")) {
    if (stale()) each.setAttribute("disabled", "");
    else each.removeAttribute("disabled");
  }
  tell("link", found);
}
