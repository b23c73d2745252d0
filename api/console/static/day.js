// The page Day: the run's timeline, filtered by the server, newer lines offered as they happen.
import { get } from "./ask.js";
import { by, el, put, rows } from "./dom.js";
import { clock, number } from "./format.js";
import { live, now } from "./live.js";
import { lineText, lineTone } from "./told.js";
import { t, word } from "./words.js";

const PAGE = 200;
let shown = [];
let following = null;
let turn = 0;
let newer = 0;

function query(cursor) {
  const form = new FormData(by("filter"));
  const asked = new URLSearchParams({ limit: PAGE });
  const kinds = form.getAll("kind");
  for (const kind of kinds) asked.append("kind", kind);
  const symbol = form.get("symbol").trim().toUpperCase();
  if (symbol) asked.set("symbol", symbol);
  if (form.get("strategy")) asked.set("strategy", form.get("strategy"));
  if (form.get("refused")) asked.set("refused", "true");
  if (cursor) asked.set("cursor", cursor);
  return kinds.length ? `/api/v1/timeline?${asked}` : null;
}

async function load(more) {
  const mine = ++turn;
  const asked = query(more ? following : null);
  put(by("said"), "");
  try {
    const told = asked ? await get(asked) : { items: [], next: null };
    if (mine !== turn) return;
    shown = more ? [...shown, ...told.items] : told.items;
    following = told.next;
    if (!more) newer = 0;
    draw();
  } catch (err) {
    put(by("said"), err.message);
  }
}

function draw() {
  rows(by("lines"), shown.map(item), t("day.none"));
  put(by("count"), number(shown.length));
  by("older").hidden = !following;
  by("newer").hidden = !newer;
  put(by("newer"), t("day.newer", { count: number(newer) }));
}

function item({ kind, body }) {
  const text = lineText(kind, body);
  const made = el("li", "", el("time", "", body.ist), el("span", "kind", t(`kind.${kind}`)), el("span", "text", text));
  made.dataset.tone = lineTone(kind, body);
  const name = body.intent_id || body.signal_id;
  if (name) {
    const button = el("button", "plain", t("day.explain"));
    button.type = "button";
    button.setAttribute("aria-label", `${t("day.explain")}: ${body.ist} ${text}`);
    button.onclick = () => explain(name);
    made.append(button);
  }
  return made;
}

async function explain(name) {
  put(by("said"), "");
  try {
    show(await get(`/api/v1/timeline/${encodeURIComponent(name)}`));
  } catch (err) {
    put(by("said"), err.message);
  }
}

function show(told) {
  const side = told.side ? word("side", told.side) : t("signals.leave");
  put(by("explain-title"), `${side} ${told.tradingsymbol} · ${told.strategy}`);
  const verdict = told.denial ? t("signals.denied", { why: word("denial", told.denial), code: told.denial }) : told.approved ? t("explain.approved") : t("signals.waiting");
  by("explain-body").replaceChildren(
    el("p", "figures", verdict),
    ...checks(told),
    ...life(told),
    ...part("explain.wish", [...Object.entries(told.scores), ...Object.entries(told.features)], told.signal_id ? t("explain.no_reasons") : t("explain.own_exit")),
  );
  by("explain").showModal();
}

function part(title, pairs, empty) {
  if (!pairs.length) return [el("h3", "", t(title)), el("p", "hint", empty)];
  const list = el("dl", "pairs", ...pairs.map(([key, value]) => el("div", "", el("dt", "", key), el("dd", "", String(Number(value.toPrecision(6)))))));
  return [el("h3", "", t(title)), list];
}

function checks(told) {
  const title = el("h3", "", t("explain.checks", { version: told.profile_version }));
  if (!told.checks.length) return [title, el("p", "hint", t("explain.no_checks"))];
  // the refusing ones first, then in their own order
  const ordered = [...told.checks].sort((one, other) => one.passed - other.passed);
  const body = el("tbody", "", ...ordered.map(check));
  const head = el("thead", "", el("tr", "", ...["explain.check", "explain.observed", "explain.limit", "explain.said"].map((key, at) => {
    const cell = el("th", at && at < 3 ? "n" : "", t(key));
    cell.scope = "col";
    return cell;
  })));
  const box = el("div", "scroll", el("table", "checks-table", head, body));
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", title.textContent);
  return [title, box];
}

// As it was compared: paise, shares, seconds or counts; a fraction where there is one.
const figure = (value) => (Number.isInteger(value) ? number(value) : String(Number(value.toPrecision(6))));

function check(each) {
  const said = el("td", "", each.passed ? `✓ ${t("explain.passed")}` : `✕ ${t("explain.failed")}`);
  said.dataset.tone = each.passed ? "up" : "down";
  return el("tr", "", el("td", "", each.code), el("td", "n", figure(each.observed)), el("td", "n", figure(each.limit)), said);
}

function life(told) {
  const title = el("h3", "", t("explain.order"));
  const lines = told.lines.filter(({ kind }) => kind === "order");
  if (!lines.length) return [title, el("p", "hint", t("explain.no_order"))];
  return [title, el("ol", "feed", ...lines.map(({ kind, body }) => el("li", "", el("time", "", body.ist), el("span", "", lineText(kind, body)))))];
}

async function choices() {
  const { items } = await get("/api/v1/instruments?limit=500").catch(() => ({ items: [] }));
  by("symbols").replaceChildren(...items.map((each) => Object.assign(el("option"), { value: each.tradingsymbol })));
}

function strategies() {
  const select = by("strategy");
  const known = new Set([...select.options].map((each) => each.value));
  for (const name of now.state?.strategies ?? []) if (!known.has(name)) select.append(Object.assign(el("option", "", name), { value: name }));
}

function happened() {
  newer += 1;
  by("newer").hidden = false;
  put(by("newer"), t("day.newer", { count: number(newer) }));
}

let typing = 0;
by("filter").onsubmit = (event) => event.preventDefault();
by("filter").oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(() => load(false), 200);
};
by("filter").onreset = () => setTimeout(() => load(false));
by("older").onclick = () => load(true);
by("newer").onclick = () => load(false);
by("explain-close").onclick = () => by("explain").close();
live.addEventListener("state", strategies);
for (const kind of ["signal", "verdict", "order", "alert"]) live.addEventListener(kind, happened);
choices();
load(false);
