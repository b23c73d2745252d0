// The page Alerts: everything of the run that a person had to know, and who said that he does.
import { acknowledging, alerts, clockOf, operates } from "./banners.js";
import { by, el, put, rows } from "./dom.js";
import { number } from "./format.js";
import { t, word } from "./words.js";

let drawn = "";

function row(each) {
  const head = el("th", "wrap", word("alert", each.kind), each.subject ? el("span", "more", ` · ${each.subject}`) : null);
  head.scope = "row";
  const severity = el("td", "", word("severity", each.severity));
  severity.dataset.tone = { critical: "down", warning: "warn" }[each.severity] ?? "even";
  const told = Object.entries(each.told).map(([name, count]) => `${name} ${number(count)}`).join(", ");
  return el(
    "tr", "", head, severity, el("td", "", state(each)), el("td", "", operates() && each.state === "open" ? acknowledging(each) : null), el("td", "", clockOf(each.raised)), el("td", "n", number(each.noticed)),
    el("td", "wrap", each.detail || "–"), el("td", "wrap", word("to_do", each.kind)), el("td", "", told || "–"),
  );
}

function state(each) {
  if (each.state === "seen") return t("alerts.seen", { by: each.acknowledged_by, time: clockOf(each.acknowledged) });
  return each.state === "over" ? t("alerts.over", { time: clockOf(each.over) }) : t("alerts.open");
}

function draw() {
  put(by("said"), alerts.trouble);
  put(by("saved"), alerts.saved ? t("alerts.saved", { time: alerts.saved.slice(11, 19) }) : alerts.trouble ? "" : t("alerts.never"));
  const mark = JSON.stringify(alerts.items);
  if (mark === drawn) return;
  drawn = mark;
  put(by("count"), number(alerts.items.filter((each) => each.state === "open").length));
  rows(by("alerts"), alerts.items.map(row), t("alerts.none"), 9);
}

alerts.addEventListener("told", draw);
draw();
