// The page Settings: what is configured and from where, what its file says by now, and who changed what.
import { get, outcome, post } from "./ask.js";
import { again, by, el, put, rows } from "./dom.js";
import { number } from "./format.js";
import { t, word } from "./words.js";

let sections = [];

function shown(value, unit) {
  if (value === null || value === "") return "–";
  if (typeof value === "number") return unit && Number.isInteger(value) ? number(value) : String(value);
  if (typeof value === "boolean") return t(value ? "settings.yes" : "settings.no");
  if (typeof value === "object") return (Array.isArray(value) ? value.length : Object.keys(value).length) ? JSON.stringify(value) : "–";
  return String(value);
}

function row(each) {
  const head = Object.assign(el("th", "", each.key), { scope: "row" });
  const source = el("td", "", t(`settings.from_${each.source}`));
  if (each.source !== "default") source.dataset.tone = "warn";
  return el("tr", "", head, el("td", "wrap", shown(each.value, each.unit)), el("td", "", each.unit ? word("unit", each.unit.replaceAll(" ", "_")) : ""), el("td", "wrap", shown(each.default, each.unit)), source);
}

// Flags first: they are what a person looks for here.
function draw() {
  const only = by("only").checked;
  const flags = sections.filter((each) => each.name === "flags");
  const found = [...flags, ...sections.filter((each) => each.name !== "flags")].flatMap((each) => each.settings);
  rows(by("settings"), found.filter((each) => !only || each.source !== "default").map(row), t("settings.none"), 5);
}

async function load() {
  const told = await get("/api/v1/config");
  sections = told.sections;
  put(by("hash"), t("settings.hash", { hash: told.config_hash, run: told.run_id }));
  put(by("beside"), told.in_force === told.config_hash ? "" : t("settings.beside", { hash: told.in_force }));
  draw();
}

let seen = "";

function differs({ key, before, after, taken, how }) {
  const head = Object.assign(el("th", "", key), { scope: "row" });
  const when = el("td", "wrap", taken === "now" ? t("settings.taken_now") : t("settings.taken_next", { how }));
  if (taken !== "now") when.dataset.tone = "warn";
  return el("tr", "", head, el("td", "wrap", shown(before)), el("td", "wrap", shown(after)), when);
}

function verdict(told) {
  if (!told.differences.length) return t("settings.same");
  if (!told.whole) return t("settings.not_whole");
  return t(told.code ? "settings.whole_with_code" : "settings.whole");
}

function clear() {
  for (const id of ["said", "told"]) put(by(id), "");
  by("refused").replaceChildren();
}

function refuse(err) {
  put(by("said"), err.message);
  by("refused").replaceChildren(...(err.errors ?? []).map((each) => el("li", "", `${each.where}: ${each.what}`)));
}

// What would change is shown before anything does.
async function look() {
  by("reload").disabled = true;
  by("look").hidden = true;
  clear();
  try {
    const told = await get("/api/v1/config/file");
    seen = told.file;
    rows(by("differs"), told.differences.map(differs), t("settings.same"), 4);
    put(by("verdict"), verdict(told));
    by("take").hidden = !told.whole;
    by("look").hidden = false;
  } catch (err) {
    refuse(err);
  }
  again(by("reload"));
}

async function take() {
  by("take").disabled = true;
  clear();
  try {
    const { command_id: id } = await post("/api/v1/config/reload", { seen });
    put(by("told"), t("settings.taking"));
    const told = await outcome(id);
    by("look").hidden = true;
    put(by("told"), told ? told.words.join("; ") : t("settings.waits"));
    await load();
  } catch (err) {
    refuse(err);
  }
  again(by("take"));
}

function configured(each) {
  const head = Object.assign(el("th", "", each.run_id, el("br"), t(`settings.how_${each.how}`)), { scope: "row" });
  const changes = each.changes.map(({ key, before, after }) => el("li", "", `${key}: ${shown(before)} → ${shown(after)}`));
  const what = changes.length ? el("ul", "diff", ...changes) : t("settings.as_before");
  return el("tr", "", head, el("td", "", (each.made.ist ?? "–").slice(0, 19).replace("T", " ")), el("td", "", each.by), el("td", "wrap", what));
}

let past = [];
let following = null;

async function history() {
  const cursor = following ? `&cursor=${encodeURIComponent(following)}` : "";
  try {
    const told = await get(`/api/v1/config/history?limit=20${cursor}`);
    past = [...past, ...told.items];
    following = told.next;
    rows(by("history"), past.map(configured), t("settings.no_history"), 4);
  } catch (err) {
    rows(by("history"), past.map(configured), err.message, 4);
  }
  by("older").hidden = !following;
}

by("older").onclick = history;
by("only").onchange = draw;
if (by("reload")) {
  by("reload").onclick = look;
  by("take").onclick = take;
}
load().catch((err) => put(by("said"), err.message));
history();
