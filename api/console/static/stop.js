// Halt and Flatten: always in reach, confirmed by holding or by typing, followed until it is proven.
//
// They never wait for a fresh page. When the page is stale they say so, act all the same, and look for the
// outcome by asking instead of by listening.
import { get, post } from "./ask.js";
import { by, el, put } from "./dom.js";
import { clock, number } from "./format.js";
import { age, live, now, stale, takeSnapshot } from "./live.js";
import { t } from "./words.js";

const HOLD_MS = 900;
const ASK_EVERY_MS = 1000;
const PATH = { halt: "/api/v1/halt", flatten: "/api/v1/flatten" };

let what = "halt";
let sent = null; // {id, at, flatAt}
let timer = null;
let asking = null;

export function standBy() {
  for (const button of document.querySelectorAll("[data-stop]")) button.onclick = () => open(button.dataset.stop);
  if (!document.querySelector("[data-stop]")) return;
  document.addEventListener("keydown", shortcut);
  const hold = by("stop-hold");
  hold.onpointerdown = (event) => event.button === 0 && press();
  for (const name of ["pointerup", "pointerleave", "pointercancel", "blur", "keyup"]) hold.addEventListener(name, release);
  hold.onkeydown = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (!event.repeat) press();
  };
  hold.oncontextmenu = (event) => event.preventDefault();
  by("stop-word").oninput = ({ target }) => target.value.trim().toUpperCase() === code() && act();
  by("stop-form").onsubmit = (event) => event.preventDefault();
  by("stop-close").onclick = () => by("stop-dialog").close();
  by("stop-dialog").addEventListener("close", () => {
    clearInterval(asking);
    release();
  });
  live.addEventListener("any", follow);
  live.addEventListener("link", blind);
}

// One word in every language: it is typed on any keyboard.
const code = () => what.toUpperCase();

function shortcut(event) {
  if (!event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
  const wanted = { H: "halt", F: "flatten" }[event.key.toUpperCase()];
  if (!wanted) return;
  event.preventDefault();
  open(wanted);
}

function open(wanted) {
  what = wanted;
  sent = null;
  const dialog = by("stop-dialog");
  dialog.dataset.what = what;
  put(by("stop-title"), t(`stop.${what}`));
  put(by("stop-what"), t(`stop.${what}_means`));
  put(by("stop-hold").querySelector("[data-text]"), t(`stop.hold_${what}`));
  put(by("stop-word-label"), t("stop.or_type", { word: code() }));
  by("stop-word").value = "";
  for (const id of ["stop-said", "stop-end"]) put(by(id), "");
  by("stop-form").hidden = false;
  by("stop-steps").hidden = true;
  by("stop-steps").replaceChildren();
  blind();
  figures();
  dialog.showModal();
  by("stop-hold").focus();
}

function blind() {
  const node = by("stop-blind");
  node.hidden = !stale();
  if (stale()) put(node, t("stop.blind", { age: age() }));
  if (sent && stale()) askInstead();
}

function figures() {
  const positions = now.pnl?.open_positions ?? "?";
  const working = now.pnl?.working_orders ?? "?";
  put(by("stop-now"), t("stop.now", { positions, working }));
}

function press() {
  if (timer || sent) return;
  by("stop-hold").classList.add("holding");
  timer = setTimeout(act, HOLD_MS);
}

function release() {
  clearTimeout(timer);
  timer = null;
  by("stop-hold").classList.remove("holding");
}

async function act() {
  release();
  if (sent) return;
  const key = crypto.randomUUID();
  sent = { key, id: "", since: now.pnl?.at_ms ?? 0, flatAt: 0, done: false };
  by("stop-form").hidden = true;
  by("stop-steps").hidden = false;
  by("stop-close").focus();
  follow();
  try {
    const told = await post(PATH[what], { reason: "console" }, { key });
    sent.id = told.command_id ?? key;
    if (stale()) askInstead();
  } catch (err) {
    sent = null;
    by("stop-form").hidden = false;
    by("stop-steps").hidden = true;
    put(by("stop-said"), t("stop.failed", { why: err.message }));
    by("stop-word").value = "";
    by("stop-hold").focus();
    return;
  }
  follow();
}

// The stream is dead: ask for what it would have said.
function askInstead() {
  clearInterval(asking);
  asking = setInterval(async () => {
    if (!stale() || !by("stop-dialog").open) return clearInterval(asking);
    await get("/api/v1/live/snapshot").then(takeSnapshot, () => {});
  }, ASK_EVERY_MS);
}

function steps() {
  const { state, pnl, health } = now;
  const said = { text: t("stop.sent", { id: (sent.id || "…").slice(0, 12) }), done: Boolean(sent.id) };
  const fenced = Boolean(state?.fence);
  if (what === "halt") {
    const halted = Boolean(sent.id) && (fenced || state?.state === "halted");
    return [said, { text: t("stop.halted"), done: halted }];
  }
  const heard = Boolean(sent.id) && (fenced || Boolean(state?.leaving));
  const working = pnl?.working_orders ?? NaN;
  const open = pnl?.open_positions ?? NaN;
  const flat = heard && working === 0 && open === 0;
  if (flat && !sent.flatAt) sent.flatAt = pnl.at_ms;
  if (!flat) sent.flatAt = 0;
  const equal = ["equal", "healed"].includes(health?.reconciled_verdict);
  const proven = flat && equal && health.reconciled_at_ms >= sent.flatAt;
  return [
    said,
    { text: fenced ? t("stop.watchdog") : t("stop.heard"), done: heard },
    { text: t("stop.positions", { count: number(open) }), done: heard && open === 0 },
    { text: t("stop.working", { count: number(working) }), done: heard && working === 0 },
    { text: proven ? t("stop.books", { time: clock(health.reconciled_at_ms) }) : t("stop.books_wait"), done: proven },
  ];
}

function follow() {
  if (!by("stop-dialog").open) return;
  figures();
  if (!sent) return;
  const list = steps();
  const waiting = list.findIndex((each) => !each.done);
  const nodes = by("stop-steps").children;
  if (nodes.length !== list.length) by("stop-steps").replaceChildren(...list.map(() => el("li")));
  list.forEach((step, index) => {
    const state = step.done ? "done" : index === waiting ? "waiting" : "later";
    nodes[index].dataset.step = state;
    put(nodes[index], `${step.text} — ${t(`step.${state}`)}`);
  });
  if (waiting !== -1) return;
  if (!sent.done) put(by("stop-end"), t(`stop.${what}_proven`, { time: clock(now.pnl?.at_ms), open: number(now.pnl?.open_positions ?? 0) }));
  sent.done = true;
}
