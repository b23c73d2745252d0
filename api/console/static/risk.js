// The page Risk: limits, a change of them before it is made, and what it would have refused today.
import { get, post } from "./ask.js";
import { by, el, put, rows } from "./dom.js";
import { number, rupees } from "./format.js";
import { fresh, live } from "./live.js";
import { t, word } from "./words.js";

const LISTS = ["allowed", "blocked"];
let present = null; // what stands, as it was told last
let told = null;
let turn = 0;

const inOwners = (value, unit) => (unit === "paise" ? value / 100 : value);
const shown = (value, unit) => (unit === "paise" ? rupees(value).replace(/\.00$/, "") : `${number(value)}${unit === "count" ? "" : ` ${unit}`}`);

function changes() {
  if (!present) return [];
  const wanted = [];
  for (const input of by("rows").querySelectorAll("input")) {
    const text = input.value.trim();
    if (text !== input.defaultValue) wanted.push(`${input.name}=${text}`);
  }
  return wanted;
}

async function preview() {
  const mine = ++turn;
  try {
    const answer = await post("/api/v1/risk/preview", { changes: changes() });
    if (mine !== turn) return;
    told = answer;
    if (!present) build();
    draw();
  } catch (err) {
    if (mine !== turn) return;
    told = null;
    put(by("refusal"), err.message);
    enable();
  }
}

function build() {
  present = told;
  put(by("version"), t("risk.version", { version: told.version }));
  by("rows").replaceChildren(
    ...told.limits.map(limitRow),
    ...LISTS.map(listRow),
  );
}

function field(name, value, label) {
  const input = el("input");
  Object.assign(input, { name, id: `limit-${name}`, defaultValue: value, value, autocomplete: "off", spellcheck: false });
  input.readOnly = !("operates" in by("editor").dataset);
  input.setAttribute("aria-label", label);
  return input;
}

function limitRow(each) {
  const name = word("limit", each.name);
  const input = field(each.name, String(inOwners(each.present, each.unit)), `${name}, ${t(`unit.${each.unit}`)}`);
  input.inputMode = "decimal";
  const head = el("th", "", name);
  head.scope = "row";
  const row = el("tr", "", head, el("td", "n", shown(each.present, each.unit)), el("td", "", input), el("td", "n", shown(each.ceiling, each.unit)));
  row.dataset.limit = each.name;
  return row;
}

function listRow(name) {
  const head = el("th", "", t(`risk.${name}`));
  head.scope = "row";
  const input = field(name, told[name].join(", "), t(`risk.${name}`));
  input.className = "long";
  const cell = el("td", "", input);
  cell.colSpan = 3;
  const row = el("tr", "", head, cell);
  row.dataset.limit = name;
  return row;
}

function draw() {
  for (const each of told.limits) {
    const row = by("rows").querySelector(`[data-limit="${each.name}"]`);
    if (each.wanted === each.present) delete row.dataset.changed;
    else row.dataset.changed = each.raised ? "raised" : "lowered";
  }
  rows(by("diff"), told.changes.map((each) => el("li", "", each)), t("risk.nothing"));
  put(by("refusal"), told.refusal);
  const values = { judged: number(told.judged), refused: number(told.refused), smaller: number(told.smaller), through: number(told.let_through) };
  put(by("summary"), told.changes.length ? t("risk.summary", values) : t("risk.no_change", values));
  rows(by("differences"), told.differences.map(differenceRow), t("risk.no_difference"), 4);
  enable();
}

function differenceRow(each) {
  const code = each.would_be || each.smaller;
  const why = each.would_be
    ? t("risk.would_refuse", { why: word("denial", code), code })
    : each.smaller
      ? t("risk.would_cut", { why: word("denial", code), code })
      : t("risk.would_pass", { why: word("denial", each.was), code: each.was });
  const said = el("td", "wrap", why);
  said.dataset.tone = each.would_be ? "down" : each.smaller ? "warn" : "up";
  return el("tr", "", el("td", "", (each.at.ist ?? "").slice(11, 19)), el("td", "", `${word("side", each.side)} ${each.tradingsymbol}`), el("td", "", each.strategy), said);
}

function enable() {
  const button = by("make");
  if (!button) return;
  button.disabled = !told || !told.changes.length || Boolean(told.refusal) || !fresh();
  by("step").hidden = !told?.raised;
}

async function make(event) {
  event.preventDefault();
  put(by("said"), "");
  put(by("done"), "");
  by("make").disabled = true;
  try {
    const answer = await post("/api/v1/risk/profile", { set: Object.fromEntries(changes().map((each) => each.split(/=(.*)/s, 2))), reason: by("reason").value });
    put(by("done"), t("risk.sent", { id: answer.command_id }));
    by("reason").value = "";
    await taken(answer.command_id);
  } catch (err) {
    put(by("said"), err.message);
  }
  enable();
}

// The profile in force is the decisions' own: it has changed when they say another version.
async function taken() {
  const before = present.version;
  for (let look = 0; look < 40; look += 1) {
    const answer = await post("/api/v1/risk/preview", {});
    if (answer.version !== before) {
      told = answer;
      build();
      draw();
      put(by("done"), t("risk.taken", { version: answer.version }));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  put(by("said"), t("risk.not_taken"));
}

let typing = 0;
by("editor").onsubmit = (event) => event.preventDefault();
by("editor").oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(preview, 250);
};
by("editor").onreset = () => setTimeout(preview);
if (by("commit")) by("commit").onsubmit = make;
live.addEventListener("link", enable);
preview();
