// The page Research: what is to be traded again, how far it is, and its report.
import { get, post } from "./ask.js";
import { again, by, el, put, rows } from "./dom.js";
import { number, rupees, signed, tone } from "./format.js";
import { t, word } from "./words.js";

const MINUTE_S = 60;
const SOON_MS = 1000;
const CALM_MS = 10000;
const GOING = new Set(["waiting", "running"]);
let datasets = [];
let strategies = [];
let looking = 0;

const moment = (at) => (at.ist ? at.ist.slice(0, 19).replace("T", " ") : "–");

async function load() {
  try {
    const [sets, known] = await Promise.all([get("/api/v1/datasets"), get("/api/v1/strategies")]);
    datasets = sets.items;
    strategies = known.items.filter((each) => !each.trouble && each.interval_s === MINUTE_S);
    choices(by("dataset"), datasets, t("research.no_dataset"));
    choices(by("strategy"), strategies, t("research.no_strategy"));
    const enabled = strategies.find((each) => each.enabled);
    if (enabled) by("strategy").value = enabled.name;
    aboutDataset();
    aboutStrategy();
    if (by("start")) by("start").disabled = !datasets.length || !strategies.length;
    put(by("said"), "");
    put(by("begun"), "");
  } catch (err) {
    const starting = err.code === "research_unreachable"; // it starts when it is first asked: no alarm
    put(by("begun"), starting ? err.message : "");
    put(by("said"), starting ? "" : err.message);
    if (starting) setTimeout(load, 2 * SOON_MS);
  }
}

function choices(select, items, none) {
  const made = items.map(({ name }) => Object.assign(el("option", "", name), { value: name }));
  select.replaceChildren(...(made.length ? made : [Object.assign(el("option", "", none), { value: "" })]));
}

function aboutDataset() {
  const one = datasets.find((each) => each.name === by("dataset").value);
  put(by("about-dataset"), one ? t("research.about_dataset", { from: one.first, to: one.last, sessions: number(one.sessions), symbols: number(one.symbol_count), prices: word("prices", one.prices) }) : t("research.how_to_import"));
  for (const id of ["first", "last"]) Object.assign(by(id), { min: one?.first ?? "", max: one?.last ?? "", value: "" });
}

function aboutStrategy() {
  const one = strategies.find((each) => each.name === by("strategy").value);
  put(by("about-strategy"), one?.says ?? "");
  const fields = (one?.parameters ?? []).map((each) => {
    const input = Object.assign(el("input"), { type: "number", id: `given-${each.name}`, min: each.low, max: each.high, step: "any", value: each.default });
    input.dataset.parameter = each.name;
    input.dataset.default = each.default;
    const label = el("label", "", el("b", "", each.name), input);
    const hint = el("span", "hint", t("research.bounds", { meaning: each.meaning, low: number(each.low, 4), high: number(each.high, 4) }));
    hint.id = `about-${each.name}`;
    input.setAttribute("aria-describedby", hint.id);
    return el("div", "given", label, hint);
  });
  by("parameters").replaceChildren(by("parameters").firstElementChild, ...(fields.length ? fields : [el("p", "hint", t("research.no_parameters"))]));
}

function wanted() {
  const strategy = by("strategy").value;
  const changed = [...by("parameters").querySelectorAll("input")].filter((each) => each.value !== "" && each.value !== each.dataset.default);
  const given = Object.fromEntries(changed.map((each) => [each.dataset.parameter, Number(each.value)]));
  const told = { dataset: by("dataset").value, strategies: [strategy], capital_rupees: Number(by("capital").value) };
  if (changed.length) told.parameters = { [strategy]: given };
  for (const id of ["first", "last"]) if (by(id).value) told[id] = by(id).value;
  const symbols = by("symbols").value.split(",").map((each) => each.trim()).filter(Boolean);
  return symbols.length ? { ...told, symbols } : told;
}

export async function list() {
  clearTimeout(looking);
  let going = false;
  try {
    const { items } = await get("/api/v1/backtests");
    put(by("list-said"), "");
    rows(by("backtests"), items.map(row), t("research.none"), 6);
    going = items.some((each) => GOING.has(each.state));
  } catch (err) {
    put(by("list-said"), err.message); // whether there are any is not known then
  }
  looking = setTimeout(list, going ? SOON_MS : CALM_MS);
}

function row(each) {
  const head = el("th", "", moment(each.asked));
  head.scope = "row";
  const what = each.summary?.title ?? `${each.strategies.join("+") || t("research.of_the_run")} · ${each.dataset || t("research.sent_bars")}`;
  const net = el("td", "n", each.summary ? signed(each.summary.net_paise) : "–");
  if (each.summary) net.dataset.tone = tone(each.summary.net_paise);
  return el("tr", "", head, el("td", "wrap", what), state(each), el("td", "n", each.summary ? number(each.summary.trades) : "–"), net, acts(each));
}

function state(each) {
  const cell = el("td", "wrap", word("backtest", each.state));
  if (each.state === "running") {
    const bar = Object.assign(el("progress"), { max: Math.max(each.of, 1), value: each.done });
    bar.setAttribute("aria-label", t("research.progress", { done: each.done, of: each.of }));
    cell.append(" ", bar, ` ${t("research.progress", { done: number(each.done), of: number(each.of) })}`);
  }
  if (each.why) cell.append(`: ${each.why}`);
  if (["failed", "died"].includes(each.state)) cell.dataset.tone = "down";
  return cell;
}

function acts(each) {
  const cell = el("td", "n");
  if (each.has_report) cell.append(button("report", t("research.show_report"), each, () => show(each)));
  if (GOING.has(each.state) && "operates" in by("backtests").dataset) cell.append(button("cancel", t("research.cancel"), each, () => cancel(each)));
  return cell;
}

function button(name, text, each, act) {
  const made = Object.assign(el("button", "plain", text), { type: "button", onclick: act });
  made.dataset.act = name;
  made.setAttribute("aria-label", `${text}: ${moment(each.asked)} ${each.strategies.join("+")}`);
  return made;
}

async function cancel(each) {
  try {
    await post(`/api/v1/backtests/${encodeURIComponent(each.backtest_id)}/cancel`, {});
    await list();
  } catch (err) {
    put(by("list-said"), err.message);
  }
}

function show(each) {
  by("report-panel").hidden = false;
  put(by("h-report"), `${t("research.report")}: ${each.summary?.title ?? each.backtest_id}`);
  by("report").src = `/api/v1/backtests/${encodeURIComponent(each.backtest_id)}/report`;
  by("report-panel").scrollIntoView();
  by("h-report").focus({ preventScroll: true });
}

// Grouped as it is read: a nought too many is seen.
const aboutCapital = () => put(by("about-capital"), rupees(Number(by("capital").value) * 100, true));

by("capital").oninput = aboutCapital;
by("dataset").onchange = aboutDataset;
by("strategy").onchange = aboutStrategy;
by("begin").onsubmit = async (event) => {
  event.preventDefault();
  put(by("said"), "");
  put(by("begun"), "");
  by("start").disabled = true;
  try {
    await post("/api/v1/backtests", wanted());
    put(by("begun"), t("research.begun"));
    await list();
  } catch (err) {
    put(by("said"), err.message);
  } finally {
    again(by("start"));
  }
};
aboutCapital();
load();
list();
