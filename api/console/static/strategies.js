// The page Strategies: what trades, and what became of it today. The models it listens to: models.js.
import { get, outcome, post } from "./ask.js";
import { by, el, put, rows } from "./dom.js";
import { number } from "./format.js";
import { fresh, live, now } from "./live.js";
import { t } from "./words.js";

const READ = 500;
let counts = new Map();
let configured = [];
const sending = new Set();

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
  Object.assign(button, { type: "button", disabled: !fresh() || !(on ? "operates" in body : "owns" in body) });
  button.setAttribute("aria-disabled", sending.has(name)); // and keeps the focus while it is sent
  button.setAttribute("aria-label", `${button.textContent}: ${name}`);
  button.dataset.acts = "";
  button.onclick = () => sending.has(name) || switched(name, on ? "disable" : "enable");
  return el(
    "tr", "", head, el("td", "", el("span", on ? "on" : "off", on ? t("strategies.on") : t("strategies.off"))),
    el("td", "n", number(row.signals)), el("td", "n", number(row.entries)), el("td", "n", number(row.refused)), el("td", "n", number(held)),
    el("td", "n", button),
  );
}

async function switched(name, act) {
  put(by("said"), "");
  sending.add(name);
  draw();
  try {
    const { command_id: id } = await post(`/api/v1/strategies/${encodeURIComponent(name)}/${act}`, {});
    put(by("told"), t("strategies.sent", { name, id }));
    const told = await outcome(id);
    if (told) {
      put(by("told"), `${name}: ${told.words.join("; ")}`);
      return;
    }
    put(by("said"), t("strategies.unheard"));
  } catch (err) {
    put(by("said"), err.message);
  } finally {
    sending.delete(name);
    draw();
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
