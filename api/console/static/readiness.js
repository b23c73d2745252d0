// The page Readiness: what the checks of the morning found, and making them again.
import { get, post } from "./ask.js";
import { again, by, el, put, rows } from "./dom.js";
import { t, word } from "./words.js";

const LOOK_EVERY_MS = 1000;
const TONE = { green: "up", amber: "warn", red: "down", unknown: "warn" };
let timer = 0;
let pressed = false;

function row(each) {
  const head = Object.assign(el("th", "", word("check", each.name.replaceAll(" ", "_"))), { scope: "row" });
  const colour = el("td", "", t(`readiness.${each.colour}`));
  colour.dataset.tone = TONE[each.colour];
  return el("tr", "", head, colour, el("td", "wrap", each.found), el("td", "wrap", each.remedy || "–"));
}

async function load() {
  clearTimeout(timer);
  const told = await get("/api/v1/readiness");
  put(by("ready"), t(`readiness.is_${told.ready}`), TONE[told.ready]);
  put(by("measured"), told.measured.ist ? t("readiness.measured", { at: told.measured.ist.slice(0, 19).replace("T", " ") }) : "");
  put(by("said"), told.trouble);
  put(by("told"), told.running ? t("readiness.running") : "");
  rows(by("checks"), told.checks.map(row), t("readiness.none"), 4);
  if (by("again")) enable(!told.running);
  if (told.running) timer = setTimeout(() => load().catch(failed), LOOK_EVERY_MS);
}

function failed(err) {
  put(by("said"), err.message);
  if (by("again")) enable(true);
}

// The hand that pressed it comes back to it; whoever only opened the page is not led anywhere.
function enable(on) {
  if (on && pressed) again(by("again"));
  else by("again").disabled = !on;
  pressed &&= !on;
}

if (by("again"))
  by("again").onclick = async () => {
    by("again").disabled = pressed = true;
    put(by("said"), "");
    try {
      await post("/api/v1/readiness/check", {});
      await load();
    } catch (err) {
      failed(err);
    }
  };
load().catch(failed);
