// One line of the day -> what a person reads: its words and its tone.
import { number, price } from "./format.js";
import { t, word } from "./words.js";

const TELL = {
  signal: (line) => `${line.side ? word("side", line.side) : t("signals.leave")} ${line.tradingsymbol} ${price(line.last_paise)} · ${line.strategy} · ${t("signals.strength", { share: number(line.strength * 100) })}`,
  verdict: (line) =>
    `${word("side", line.side)} ${line.tradingsymbol} · ${line.strategy} · ` +
    (line.approved
      ? t("signals.approved", { quantity: number(line.quantity), price: price(line.limit_price_paise) })
      : t("signals.denied", { why: word("denial", line.denial), code: line.denial })),
  order: (line) =>
    [`${word("order_kind", line.kind)} · ${word("side", line.side)} ${line.tradingsymbol} ${number(line.filled_quantity)}/${number(line.quantity)} @ ${price(line.price_paise)}`,
      word("purpose", line.purpose), line.strategy, line.detail].filter(Boolean).join(" · "),
  alert: (line) => [word("alert", line.kind), line.subject && word("rule", line.subject), line.detail].filter(Boolean).join(" · "),
  note: (line) => (line.state === line.previous ? line.reason : `${word("state", line.previous)} → ${word("state", line.state)} · ${line.reason}`),
};

export const lineText = (kind, body) => TELL[kind](body);

export function lineTone(kind, body) {
  if (kind === "verdict") return body.approved ? "up" : "down";
  if (kind === "order") return ["rejected", "unknown"].includes(body.kind) ? "down" : body.kind === "fill" ? "up" : "even";
  if (kind === "alert") return body.severity === "critical" ? "down" : "warn";
  return kind === "note" && body.state !== body.previous && body.state !== "active" ? "warn" : "even";
}
