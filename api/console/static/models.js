// Models on the page Strategies: each one's gates and history, two side by side, promoted and rolled back.
import { get, outcome, post } from "./ask.js";
import { by, el, put, rows } from "./dom.js";
import { fresh, live, now } from "./live.js";
import { t, word } from "./words.js";

const PLACES = 5; // digits of a measure
let models = [];
let shown = null; // {model, history, gates}
let chosen = []; // at most two

const figure = (value) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(PLACES))));
const path = (id) => `/api/v1/models/${encodeURIComponent(id)}`;
const heading = (text, className = "") => Object.assign(el("th", className, text), { scope: "col" });
const named = (text) => Object.assign(el("th", "", text), { scope: "row" });

function modelRow(each) {
  const box = el("input");
  Object.assign(box, { type: "checkbox", checked: chosen.includes(each.model_id) });
  box.setAttribute("aria-label", `${t("strategies.compare")}: ${each.model_id}`);
  box.onchange = () => choose(each.model_id, box.checked);
  const judged = now.health?.models?.[each.model_id];
  const button = el("button", "", t("models.look"));
  button.type = "button";
  button.setAttribute("aria-label", `${t("models.look")}: ${each.model_id}`);
  button.onclick = () => look(each.model_id).catch((err) => put(by("model-said"), err.message));
  return el(
    "tr", "", el("td", "", box), named(`${each.model_id} · ${each.kind}`), el("td", "", word("stage", each.stage) + (judged ? ` · ${word("model", judged)}` : "")),
    el("td", "", (each.since.ist ?? "–").slice(0, 10)), el("td", "", `${each.data_from} – ${each.data_to}`), el("td", "wrap", each.reason || "–"), el("td", "n", button),
  );
}

// The newest two of what is ticked: an older tick goes.
function choose(id, on) {
  chosen = [...chosen.filter((each) => each !== id), ...(on ? [id] : [])].slice(-2);
  draw();
  compare().catch((err) => put(by("model-said"), err.message));
}

async function compare() {
  if (chosen.length < 2) {
    by("compared").replaceChildren();
    return;
  }
  const [left, right] = chosen;
  const told = await get(`/api/v1/models/compare?left=${encodeURIComponent(left)}&right=${encodeURIComponent(right)}`);
  const measures = told.measures.map((each) => el("tr", "", named(each.name), el("td", "n", figure(each.left)), el("td", "n", figure(each.right))));
  const days = told.sessions.map((each) => el("tr", "", named(t("models.brier", { day: each.session })), el("td", "n", `${word("stage", each.left_role)} ${figure(each.left_brier)}`), el("td", "n", `${word("stage", each.right_role)} ${figure(each.right_brier)}`)));
  const head = el("tr", "", heading(t("strategies.measure")), heading(left, "n"), heading(right, "n"));
  const box = el("div", "scroll", el("table", "", el("thead", "", head), el("tbody", "", ...measures, ...days)));
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", t("strategies.compare"));
  by("compared").replaceChildren(el("h3", "", t("strategies.compare")), box);
}

async function look(id) {
  put(by("model-said"), "");
  put(by("model-told"), "");
  const [detail, gates] = await Promise.all([get(path(id)), get(`${path(id)}/gates`)]);
  shown = { ...detail, gates };
  drawShown();
  by("model").hidden = false;
  by("h-model").focus();
}

function drawShown() {
  const { model, history, gates } = shown;
  put(by("h-model"), `${model.model_id} · ${word("stage", model.stage)}`);
  put(by("gates-to"), gates.to ? t("models.gates", { stage: word("stage", gates.to) }) : t("models.last"));
  rows(by("gates"), gates.gates.map(gateRow), t("models.no_gates"), 5);
  rows(by("history"), history.map(moveRow), t("models.no_history"), 5);
  if (!by("move")) return;
  by("promote").hidden = !gates.to || model.stage === "retired";
  put(by("promote"), gates.to ? t("models.promote", { stage: word("stage", gates.to) }) : "");
  by("rollback").hidden = model.stage !== "live";
  enable();
}

function gateRow(each) {
  const mark = el("td", "", each.passed ? t("models.passes") : t("models.refuses"));
  mark.dataset.tone = each.passed ? "up" : "down";
  return el("tr", "", named(word("gate", each.gate)), mark, el("td", "wrap", each.found), el("td", "wrap", each.asked), el("td", "wrap", each.why || "–"));
}

function moveRow(each) {
  const from = each.from_stage ? `${word("stage", each.from_stage)} → ` : "";
  return el("tr", "", el("td", "", (each.made.ist ?? "").slice(0, 19).replace("T", " ")), el("td", "", from + word("stage", each.to_stage)), el("td", "", word("move", each.move)), el("td", "", each.made_by), el("td", "wrap", each.reason));
}

function enable() {
  if (!by("move") || !shown) return;
  by("promote").disabled = !fresh() || !shown.gates.passed;
  by("rollback").disabled = !fresh();
}

async function moved(act) {
  put(by("model-said"), "");
  put(by("model-told"), "");
  const { model, gates } = shown;
  const body = act === "promote" ? { to: gates.to, reason: by("why").value } : { reason: by("why").value };
  for (const id of ["promote", "rollback"]) by(id).disabled = true;
  try {
    const { command_id: id } = await post(`${path(model.model_id)}/${act}`, body);
    const told = await outcome(id);
    by("why").value = "";
    await load();
    await look(model.model_id);
    if (told) put(by("model-told"), told.words.join("; "));
    else put(by("model-said"), t("strategies.unheard"));
  } catch (err) {
    put(by("model-said"), [err.message, ...(err.errors ?? []).map((each) => `${word("gate", each.where)}: ${each.what}`)].join(" "));
  }
  enable();
}

const draw = () => rows(by("models"), models.map(modelRow), t("strategies.no_model"), 7);

async function load() {
  try {
    ({ items: models } = await get("/api/v1/models"));
    draw();
  } catch (err) {
    rows(by("models"), [], err.message, 7);
  }
}

if (by("move")) {
  by("move").onsubmit = (event) => event.preventDefault();
  by("promote").onclick = () => moved("promote");
  by("rollback").onclick = () => moved("rollback");
}
live.addEventListener("link", enable);
load();
