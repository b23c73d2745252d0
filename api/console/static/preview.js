// Bars of the reader's own on the page Research: what would be wished over them, or a backtest of them.
import { send } from "./ask.js";
import { by, el, put, rows } from "./dom.js";
import { number, price } from "./format.js";
import { list } from "./research.js";
import { t, word } from "./words.js";

async function sent(mode) {
  for (const id of ["preview-said", "previewed"]) put(by(id), "");
  const [file] = by("file").files;
  const strategy = by("strategy").value;
  const asked = new URLSearchParams({ mode, ...(strategy ? { strategy } : {}) });
  try {
    put(by("previewed"), t("preview.reading"));
    return await send(`/api/v1/signals?${asked}`, file, crypto.randomUUID(), "POST", "application/octet-stream");
  } catch (err) {
    put(by("previewed"), "");
    put(by("preview-said"), [err.message, ...(err.errors ?? []).map((each) => `${each.where}: ${each.what}`)].join("; "));
    return null;
  }
}

function row(each) {
  const head = el("th", "", each.at.ist.slice(0, 16).replace("T", " "));
  head.scope = "row";
  const wish = `${each.side ? word("side", each.side) : t("signals.leave")} ${price(each.last_paise)} · ${each.strategy} · ${t("signals.strength", { share: number(each.strength * 100) })}`;
  const why = [...Object.entries(each.scores), ...Object.entries(each.why)].map(([name, value]) => `${name} ${number(value, 4)}`);
  const verdict = el("td", "wrap", each.denial ? `${word("verdict", each.verdict)}: ${word("denial", each.denial)}` : word("verdict", each.verdict));
  verdict.dataset.tone = { approved: "up", denied: "down", none: "even" }[each.verdict];
  return el("tr", "", head, el("td", "", each.tradingsymbol), el("td", "wrap", wish), el("td", "wrap", why.join(", ") || "–"), verdict);
}

function show(told) {
  put(by("previewed"), t("preview.told", { signals: number(told.signals_in_all), bars: number(told.bars), refused: number(told.refused_rows), read_as: told.read_as }));
  const refused = told.refused.map((each) => t("preview.refused", { row: each.row, why: each.reason }));
  by("preview-notes").replaceChildren(...[...refused, ...told.notes].map((text) => el("li", "", text)));
  rows(by("wishes"), told.signals.toReversed().map(row), t("preview.none"), 5);
}

rows(by("wishes"), [], t("preview.not_yet"), 5);

by("preview").onsubmit = async (event) => {
  event.preventDefault();
  const told = await sent("preview");
  if (told) show(told);
};
if (by("trade-file")) {
  by("trade-file").onclick = async () => {
    if (!by("preview").reportValidity()) return;
    if (!(await sent("backtest"))) return;
    put(by("previewed"), t("research.begun"));
    list();
  };
}
