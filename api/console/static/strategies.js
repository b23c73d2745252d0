// The page Strategies: what trades and what became of it today; models side by side.
import { get, post } from "./ask.js";
import { by, el, put, rows } from "./dom.js";
import { number } from "./format.js";
import { live, now, stale } from "./live.js";
import { t, word } from "./words.js";

const READ = 500;
let counts = new Map();
let configured = [];
let models = [];
const chosen = new Set();

async function count() {
  const found = new Map();
  const tell = (name, kind) => {
    const row = found.get(name) ?? { signals: 0, entries: 0, refused: 0 };
    row[kind] += 1;
    found.set(name, row);
  };
  let cursor = "";
  do {
    const told = await get(`/api/v1/signals?limit=${READ}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    for (const each of told.items) {
      tell(each.strategy, "signals");
      if (each.verdict === "approved") tell(each.strategy, "entries");
      if (each.verdict === "denied") tell(each.strategy, "refused");
    }
    cursor = told.next;
  } while (cursor);
  counts = found;
  draw();
}

function draw() {
  const on = new Set(now.state?.strategies ?? []);
  const held = (now.positions?.positions ?? []).map((each) => each.strategy);
  const names = [...new Set([...configured, ...on, ...counts.keys()])].sort();
  rows(by("strategies"), names.map((name) => strategyRow(name, on.has(name), held.filter((each) => each === name).length)), t("strategies.none"), 7);
}

function strategyRow(name, on, held) {
  const row = counts.get(name) ?? { signals: 0, entries: 0, refused: 0 };
  const head = el("th", "", name);
  head.scope = "row";
  const body = by("strategies").dataset;
  const button = el("button", "", on ? t("strategies.disable") : t("strategies.enable"));
  Object.assign(button, { type: "button", disabled: stale() || !(on ? "operates" in body : "owns" in body) });
  button.setAttribute("aria-label", `${button.textContent}: ${name}`);
  button.onclick = () => switched(name, on ? "disable" : "enable", button);
  return el(
    "tr", "", head, el("td", "", el("span", on ? "on" : "off", on ? t("strategies.on") : t("strategies.off"))),
    el("td", "n", number(row.signals)), el("td", "n", number(row.entries)), el("td", "n", number(row.refused)), el("td", "n", number(held)),
    el("td", "n", button),
  );
}

async function switched(name, act, button) {
  put(by("said"), "");
  button.disabled = true;
  try {
    const { command_id: id } = await post(`/api/v1/strategies/${encodeURIComponent(name)}/${act}`, {});
    put(by("told"), t("strategies.sent", { name, id }));
    for (let look = 0; look < 40; look += 1) {
      const told = await get(`/api/v1/commands/${encodeURIComponent(id)}`).catch((err) => (err.status === 404 ? null : Promise.reject(err)));
      if (told && told.state !== "said") {
        put(by("told"), `${name}: ${told.words.join("; ")}`);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    put(by("said"), t("strategies.unheard"));
  } catch (err) {
    put(by("said"), err.message);
  } finally {
    draw();
  }
}

function modelRow(each) {
  const box = el("input");
  Object.assign(box, { type: "checkbox", checked: chosen.has(each.model_id) });
  box.setAttribute("aria-label", `${t("strategies.compare")}: ${each.model_id}`);
  box.onchange = () => {
    if (box.checked) chosen.add(each.model_id);
    else chosen.delete(each.model_id);
    compare();
  };
  const head = el("th", "", `${each.model_id} · ${each.kind}`);
  head.scope = "row";
  const judged = now.health?.models?.[each.model_id];
  return el(
    "tr", "", el("td", "", box), head, el("td", "", word("stage", each.stage) + (judged ? ` · ${word("model", judged)}` : "")),
    el("td", "", (each.since.ist ?? "–").slice(0, 10)), el("td", "", `${each.data_from} – ${each.data_to}`), el("td", "wrap", each.reason || "–"),
  );
}

// Only numbers are set side by side; what is nested is named by its path.
function flat(metrics, path = "") {
  return Object.entries(metrics).flatMap(([name, value]) =>
    typeof value === "number" ? [[path + name, value]] : value && typeof value === "object" && !Array.isArray(value) ? flat(value, `${path}${name}.`) : [],
  );
}

function compare() {
  const picked = models.filter((each) => chosen.has(each.model_id));
  if (picked.length < 2) {
    by("compared").replaceChildren();
    return;
  }
  const tables = picked.map((each) => new Map(flat(each.metrics)));
  const names = [...new Set(tables.flatMap((each) => [...each.keys()]))].sort();
  const headings = [t("strategies.measure"), ...picked.map((each) => each.model_id)].map((text, at) => Object.assign(el("th", at ? "n" : "", text), { scope: "col" }));
  const body = names.map((name) => el("tr", "", Object.assign(el("th", "", name), { scope: "row" }), ...tables.map((each) => el("td", "n", each.has(name) ? String(Number(each.get(name).toPrecision(5))) : "–"))));
  const box = el("div", "scroll", el("table", "", el("thead", "", el("tr", "", ...headings)), el("tbody", "", ...body)));
  Object.assign(box, { tabIndex: 0 });
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", t("strategies.compare"));
  by("compared").replaceChildren(el("h3", "", t("strategies.compare")), box);
}

async function load() {
  try {
    ({ items: models } = await get("/api/v1/models"));
    rows(by("models"), models.map(modelRow), t("strategies.no_model"), 6);
  } catch (err) {
    rows(by("models"), [], err.message, 6);
  }
}

let waiting = 0;
function soon() {
  if (waiting) return;
  waiting = setTimeout(() => {
    waiting = 0;
    count().catch((err) => put(by("said"), err.message));
  }, 3000);
}

live.addEventListener("state", () => {
  configured = [...new Set([...configured, ...(now.state?.strategies ?? [])])];
  draw();
});
live.addEventListener("link", draw);
live.addEventListener("verdict", soon);
count().catch((err) => put(by("said"), err.message));
load();
