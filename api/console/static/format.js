// Money in paise, times in ms -> what is read. Latin digits in every language: columns must line up.
import { language } from "./words.js";

const locale = `${language}-u-nu-latn`;
const money = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const time = new Intl.DateTimeFormat("en-GB", {
  timeZone: "Asia/Kolkata", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

const MINUS = "\u2212";

// "₹12,34,567.80"; whole rupees when `short`.
export function rupees(paise, short = false) {
  const digits = (short ? whole : money).format(Math.abs(paise) / 100);
  return `${paise < 0 ? MINUS : ""}₹${digits}`;
}

// With its sign: a result is never told by colour alone.
export function signed(paise, short = false) {
  return `${paise > 0 ? "+" : ""}${rupees(paise, short)}`;
}

export const price = (paise) => (paise ? money.format(paise / 100) : "–");
export const number = (value, digits = 0) =>
  (digits ? Number(value).toLocaleString(locale, { maximumFractionDigits: digits }) : whole.format(value)).replace("-", MINUS);
export const clock = (ms) => (ms ? time.format(ms) : "–");
export const tone = (value) => (value > 0 ? "up" : value < 0 ? "down" : "even");

// "1:02:03" or "4:05"; "–" when it is past.
export function left(ms) {
  if (ms <= 0) return "0:00";
  const s = Math.floor(ms / 1000);
  const [h, m, rest] = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
  const two = (value) => String(value).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(rest)}` : `${m}:${two(rest)}`;
}
