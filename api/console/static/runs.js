// The page Runs: what each day came to, and the configuration that it had.
import { get } from "./ask.js";
import { by, el, put, rows } from "./dom.js";
import { number, signed, tone } from "./format.js";
import { t, word } from "./words.js";

let shown = [];
let following = null;

const moment = (at) => (at.ist ? at.ist.slice(0, 19).replace("T", " ") : "–");

async function load(more) {
  put(by("said"), "");
  try {
    const told = await get(`/api/v1/runs?limit=50${more && following ? `&cursor=${encodeURIComponent(following)}` : ""}`);
    shown = more ? [...shown, ...told.items] : told.items;
    following = told.next;
    rows(by("runs"), shown.map(row), t("runs.none"), 8);
  } catch (err) {
    put(by("said"), err.message); // whether there are runs is not known then
  }
  by("older").hidden = !following;
}

function row(each) {
  const head = el("th", "", each.run_id);
  head.scope = "row";
  const button = el("button", "plain", each.config_hash.slice(0, 10));
  button.type = "button";
  button.setAttribute("aria-label", t("runs.show_config", { run: each.run_id }));
  button.onclick = () => config(each.run_id);
  return el(
    "tr", "", head, el("td", "", word("mode", each.mode)), el("td", "", each.session_date), el("td", "", each.feed),
    el("td", "", moment(each.started)), el("td", "", moment(each.ended)), result(each.result), el("td", "", button),
  );
}

function result(told) {
  if (!told) return el("td", "", t("runs.open"));
  const cell = el("td", "wrap");
  const net = told.net_paise ?? (typeof told.realised_paise === "number" ? told.realised_paise - (told.charges_paise ?? 0) : null);
  const orders = told.orders ?? null;
  cell.textContent = [net === null ? null : signed(net), orders === null ? null : t("runs.orders", { count: number(orders) })].filter(Boolean).join(" · ") || t("runs.closed");
  if (net !== null) cell.dataset.tone = tone(net);
  return cell;
}

async function config(run) {
  put(by("said"), "");
  try {
    const told = await get(`/api/v1/runs/${encodeURIComponent(run)}`);
    put(by("config-title"), t("runs.config_of", { run }));
    put(by("config-text"), told.config);
    by("config").showModal();
  } catch (err) {
    put(by("said"), err.message);
  }
}

by("older").onclick = () => load(true);
by("config-close").onclick = () => by("config").close();
load(false);
