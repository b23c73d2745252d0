// What is so, as the stream tells it: `now` by kind, and how old it is.
//
// A page whose stream is silent, or whose system is, is stale: it says so, and whatever would act on old
// figures (`data-acts`) is disabled. Halt and Flatten are not: they say that they act blind.
//
// A machine or a tab that slept ran no timer. So it is looked again whenever the page is seen, before any word
// is believed and before a hand acts; what was read after a sleep may have been sent before it, so the stream
// is then opened anew.
import { by, put } from "./dom.js";
import { moment, since } from "./moment.js";
import { t } from "./words.js";

const SILENT_MS = 1750; // a heartbeat comes each half second
const LOOK_EVERY_MS = 250;
const KEPT = 40;
const UNSEEN_MS = 30000; // a tab that nobody sees lets its connection go: a browser has six for all its tabs
const FIGURES = ["state", "pnl", "positions", "feed", "health"];
const EVENTS = ["signal", "verdict", "order", "alert"];

export const now = { recent: { signal: [], verdict: [], order: [], alert: [] }, curve: [] };
export const live = new EventTarget();

let source = null;
let lastId = "";
let heard = moment(); // the page itself was the first word
let looked = heard;
let spoken = false; // the stream has
let least = Infinity; // ms that a heartbeat was under way, the clocks' difference in it
let ages = { log_age_s: 0, account_age_s: 0, quiet_after_s: Infinity };
let linked = "";

const tell = (kind, detail) => live.dispatchEvent(new CustomEvent(kind, { detail }));

// What came with the page itself; the stream goes on from there.
export function begin() {
  takeSnapshot(JSON.parse(by("figures").textContent));
  lastId = document.querySelector("[data-last-id]").dataset.lastId;
}

export function start() {
  open();
  setInterval(look, LOOK_EVERY_MS);
  document.addEventListener("visibilitychange", seen);
  document.addEventListener("resume", look);
  for (const sign of ["pageshow", "focus", "online"]) addEventListener(sign, look);
  for (const deed of ["click", "submit"]) addEventListener(deed, lastLook, { capture: true });
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

// What acts on figures acts on those of now, whatever was drawn before.
function lastLook(event) {
  const acts = (event.submitter ?? event.target).closest?.("[data-acts]");
  if (!acts) return;
  look();
  if (fresh()) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

export const stale = () => linked === "stale" || linked === "quiet";

// Whether what stands here may be acted on.
export const fresh = () => linked === "live";

export const age = () => Math.round(since(heard) / 1000);

function open() {
  source?.close();
  const mine = new EventSource(`/api/v1/live${lastId ? `?last_event_id=${encodeURIComponent(lastId)}` : ""}`);
  source = mine;
  const on = (kind, take) =>
    mine.addEventListener(kind, (event) => {
      if (slept() || source !== mine) return;
      const told = JSON.parse(event.data);
      if (kind === "heartbeat" && late(told)) return open();
      heard = moment();
      spoken = true;
      if (event.lastEventId) lastId = event.lastEventId;
      take(told);
      look();
    });
  on("snapshot", takeSnapshot);
  on("heartbeat", (told) => (ages = told));
  on("reset", () => tell("reset"));
  on("cut", () => {});
  for (const kind of FIGURES) on(kind, (told) => takeFigure(kind, told));
  for (const kind of EVENTS) on(kind, (told) => takeEvent(kind, told));
  mine.onopen = () => (least = Infinity);
  mine.onerror = () => {
    // refused (signed out, too many readers): the browser does not try again by itself
    if (mine.readyState === EventSource.CLOSED && source === mine) refused();
  };
}

// Whether nobody looked for so long that what is read now may be old: the next stream's words are not.
function slept() {
  const so = since(looked) > SILENT_MS;
  looked = moment();
  if (so && source) open();
  return so;
}

// Whether the stream is further behind than it was at its best: a line that cannot keep up.
function late(told) {
  const took = Date.now() - told.at_ms;
  least = Math.min(least, took);
  return took - least > SILENT_MS;
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

const silence = () => Math.max(ages.log_age_s, now.state?.ended ? 0 : ages.account_age_s);

function linkNow() {
  if (since(heard) > SILENT_MS) return "stale";
  if (!spoken) return "opening";
  return silence() > ages.quiet_after_s ? "quiet" : "live";
}

function look() {
  slept();
  const found = linkNow();
  const banner = by("stale");
  if (found === "stale") put(banner, t("link.stale_long", { age: age() }));
  if (found === "quiet") put(banner, t("link.quiet_long", { age: Math.round(silence()) }));
  if (found === linked) return;
  linked = found;
  document.documentElement.dataset.link = found;
  banner.hidden = !stale();
  for (const each of document.querySelectorAll("[data-acts]")) {
    if (fresh()) each.removeAttribute("disabled");
    else each.setAttribute("disabled", "");
  }
  tell("link", found);
}
