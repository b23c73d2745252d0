// What a person must know, on every page: the alerts that want somebody, and the word that somebody knows.
//
// They are those of the process that calls people, so that a word said here, in another tab or in a terminal ends
// the same call. Where that process never ran, the stream's own stand in for them, and are only hidden.
import { get, post } from "./ask.js";
import { by, el, put, redraw } from "./dom.js";
import { live, now } from "./live.js";
import { t, word } from "./words.js";

const SHOWN = 3;
const ASK_EVERY_MS = 5000;
const SOON_MS = 1200; // the process that keeps them has read the log by then

export const alerts = Object.assign(new EventTarget(), { items: [], saved: null, trouble: "" });
const hidden = new Set();
const sending = new Set();
let drawn = "";
let timer = null;

export async function look() {
  clearTimeout(timer);
  try {
    const told = await get("/api/v1/alerts");
    Object.assign(alerts, { items: told.items, saved: told.saved.ist, trouble: "" });
  } catch (err) {
    alerts.trouble = err.message;
  }
  alerts.dispatchEvent(new Event("told"));
  draw();
  timer = setTimeout(look, ASK_EVERY_MS);
}

export async function acknowledge(each) {
  sending.add(each.key);
  draw();
  try {
    await post("/api/v1/alerts/acknowledge", { key: each.key });
    setTimeout(look, SOON_MS);
  } catch (err) {
    put(by("banner-said"), err.message);
  } finally {
    setTimeout(() => {
      sending.delete(each.key);
      draw();
    }, 2 * SOON_MS);
  }
}

export const operates = () => "operates" in by("banners").dataset;

export const clockOf = (moment) => (moment.ist ?? "").slice(11, 19);

export function acknowledging(each) {
  const button = el("button", "", sending.has(each.key) ? t("alert.sending") : t("alert.acknowledge"));
  button.type = "button";
  button.setAttribute("aria-disabled", sending.has(each.key)); // and keeps the focus while it is sent
  button.setAttribute("aria-label", `${t("alert.acknowledge")}: ${word("alert", each.kind)} ${each.subject}`);
  button.onclick = () => sending.has(each.key) || acknowledge(each);
  return button;
}

function standing() {
  if (alerts.saved) return alerts.items.filter((each) => each.state === "open" && each.severity !== "info").map(ofDesk);
  return now.recent.alert.filter((each) => each.severity !== "notice" && !hidden.has(name(each))).reverse().map(ofStream);
}

const name = (each) => `${each.at_ms} ${each.kind} ${each.subject}`;

function ofDesk(each) {
  const times = each.noticed > 1 ? t("alert.times", { count: each.noticed }) : "";
  const text = [each.subject, each.detail, times, word("to_do", each.kind)].filter(Boolean).join(" · ");
  return { severity: each.severity, kind: each.kind, text, at: clockOf(each.raised), button: () => (operates() ? acknowledging(each) : null), state: sending.has(each.key) };
}

function ofStream(each) {
  const text = [each.subject && word("rule", each.subject), each.detail].filter(Boolean).join(": ");
  const button = () => {
    const made = el("button", "plain", t("alert.dismiss"));
    made.type = "button";
    made.dataset.act = "dismiss";
    made.setAttribute("aria-label", `${t("alert.dismiss")}: ${word("alert", each.kind)}`);
    made.onclick = () => (hidden.add(name(each)), draw());
    return made;
  };
  return { severity: each.severity, kind: each.kind, text, at: each.ist, button };
}

// Only what changed is drawn: a screen reader is told of news, not of a clock.
function draw() {
  const found = standing();
  const shown = found.slice(0, SHOWN);
  const mark = JSON.stringify([shown, found.length]);
  if (mark === drawn) return;
  drawn = mark;
  const more = found.length - shown.length;
  const rest = el("p", "banner more");
  if (more > 0) rest.append(Object.assign(el("a", "", t("alert.more", { count: more })), { href: "/alerts" }));
  redraw(by("banners-list"), [...shown.map(banner), ...(more > 0 ? [rest] : [])]);
}

function banner(each) {
  const made = el(
    "p", "banner",
    el("b", "", `${word("severity", each.severity)} · ${word("alert", each.kind)}`),
    el("span", "", each.text), el("time", "", `${each.at} IST`), each.button(),
  );
  made.dataset.severity = each.severity;
  return made;
}

const soon = () => {
  clearTimeout(timer);
  timer = setTimeout(look, SOON_MS);
};

export function watchAlerts() {
  for (const kind of ["alert", "state"]) live.addEventListener(kind, soon);
  live.addEventListener("alerts", draw);
  look();
}
