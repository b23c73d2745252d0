// The page Now. Everything on it comes from `live.js`; nothing is worked out that the system has not said.
import { by, el, put, rows } from "./dom.js";
import { clock, left, number, price, rupees, signed, tone } from "./format.js";
import { begin, fresh, live, now } from "./live.js";
import { t, word } from "./words.js";

const SHOWN = 10;
const ORDERS_SHOWN = 16;
const BUSY = 0.7; // of a limit: the gauge warns
const FULL = 0.9;

const at = (name) => document.querySelector(`[data-now="${name}"]`);

function pnl(told) {
  for (const name of ["net", "gross", "realised", "unrealised"]) {
    const value = told[`${name}_paise`];
    put(at(name), signed(value), tone(value));
  }
  put(at("charges"), rupees(told.charges_paise));
  put(at("drawdown"), rupees(told.drawdown_paise));
  put(at("worst"), signed(-told.worst_case_paise), tone(-told.worst_case_paise));
  put(at("exposure"), rupees(told.exposure_paise, true));
  put(at("net_exposure"), signed(told.net_exposure_paise, true));
  put(at("orders"), `${number(told.orders)} / ${number(told.fills)}`);
  limits(told.limits);
}

const amount = (value, unit) => (unit === "paise" ? rupees(value, true) : number(value));

function limits(told) {
  const list = by("limits");
  if (list.children.length !== told.length) list.replaceChildren(...told.map(gauge));
  told.forEach((each, index) => {
    const item = list.children[index];
    const share = each.limit ? each.used / each.limit : 1;
    const [name, figures] = item.querySelectorAll(".row span");
    put(name, word("limit", each.name) + (each.subject ? ` · ${each.subject}` : ""));
    put(figures, `${amount(each.used, each.unit)} / ${amount(each.limit, each.unit)} · ${number(share * 100)}\u00a0%`, share >= FULL ? "down" : share >= BUSY ? "warn" : "even");
    const meter = item.querySelector("meter");
    meter.value = Math.min(share, 1);
    meter.setAttribute("aria-label", word("limit", each.name));
  });
}

function gauge() {
  const meter = el("meter");
  Object.assign(meter, { min: 0, max: 1, low: BUSY, high: FULL, optimum: 0 });
  return el("li", "", el("div", "row", el("span"), el("span")), meter);
}

function state(told) {
  put(at("state"), told.fence ? t("state.fenced") : word("state", told.state));
  put(at("means"), told.fence ? t("state.fenced_means", { by: told.fence }) : told.leaving ? t("state.leaving_means", { why: word("leaving", told.leaving) }) : told.ended ? t("state.ended_means") : word("state_means", told.state));
  put(at("reason"), told.reason || "–");
  put(at("rule"), told.rule ? word("rule", told.rule) : t("state.no_rule"));
  put(at("strategies"), told.strategies.join(", ") || t("state.none"));
  put(at("profile"), `${told.profile_version}`);
}

// Only the owner's page has the button; the API asks for a fresh one-time code.
function resumable(told) {
  const button = by("resume");
  if (!button) return;
  button.hidden = told.ended || told.state === "active";
  if (button.hidden) put(by("resume-said"), "");
}

async function resume() {
  const button = by("resume");
  button.disabled = true;
  const seen = now.state && { run_id: now.state.run_id, decided: now.state.decided }; // typing the code takes a while
  try {
    const { post } = await import("./ask.js"); // not before the first figures are drawn
    await post("/api/v1/resume", { reason: "console", seen });
    put(by("resume-said"), t("state.resume_sent"));
  } catch (err) {
    put(by("resume-said"), err.message);
  }
  button.disabled = !fresh();
}

const cell = (text, className, toned) => {
  const made = el("td", className, text);
  if (toned) made.dataset.tone = toned;
  return made;
};

function positionRow(row, atMs) {
  const held = Math.abs(row.quantity);
  const toStop = row.stop_paise && row.last_paise ? ((row.last_paise - row.stop_paise) / row.last_paise) * 10000 * Math.sign(row.quantity) : null;
  const side = row.quantity > 0 ? t("side.long") : t("side.short");
  return el(
    "tr", "",
    el("th", "", row.tradingsymbol), cell(`${side} ${number(held)}`, "n"),
    cell(signed(row.unrealised_paise), "n", tone(row.unrealised_paise)),
    cell(price(row.last_paise), "n"), cell(price(row.stop_paise), "n"), cell(toStop === null ? "–" : `${number(toStop)} bps`, "n", toStop !== null && toStop < 10 ? "warn" : "even"),
    cell(row.leaving ? word("leaving", row.leaving) : left(row.leave_at_ms - atMs), "n", row.leaving ? "warn" : "even"),
    cell(left(row.square_off_at_ms - atMs), "n"), cell(price(row.cost_paise / held), "n"), cell(price(row.take_profit_paise), "n"), cell(row.strategy, "n"),
  );
}

function ownersRow(row) {
  const side = row.quantity > 0 ? t("side.long") : t("side.short");
  const note = cell(t("positions.owners"), "");
  note.colSpan = 9;
  return el("tr", "", el("th", "", row.tradingsymbol), cell(`${side} ${number(Math.abs(row.quantity))}`, "n"), note);
}

function positions(told) {
  put(at("positions"), number(told.positions.length));
  put(at("working"), number(told.working.length));
  rows(by("positions"), [...told.positions.map((row) => positionRow(row, told.at_ms)), ...told.owners.map(ownersRow)], t("positions.none"), 11);
  for (const each of by("positions").querySelectorAll("th")) each.scope = "row";
  rows(by("working"), told.working.map(workingRow), t("working.none"), 7);
}

function workingRow(row) {
  return el(
    "tr", "", cell(clock(row.sent_at_ms)), cell(row.tradingsymbol), cell(word("side", row.side)),
    cell(word("purpose", row.purpose)), cell(`${number(row.filled_quantity)} / ${number(row.quantity)}`, "n"),
    cell(price(row.limit_price_paise), "n"), cell(word("status", row.status), "", row.status === "unknown" ? "down" : "even"),
  );
}

function signals() {
  const verdicts = new Map(now.recent.verdict.map((each) => [each.signal_id, each]));
  const newest = now.recent.signal.slice(-SHOWN).reverse();
  rows(by("signals"), newest.map((each) => signalItem(each, verdicts.get(each.signal_id))), t("signals.none"));
}

function signalItem(signal, verdict) {
  const side = signal.side ? word("side", signal.side) : t("signals.leave");
  const said = el("span", "verdict", verdict ? verdictText(verdict) : signal.side ? t("signals.waiting") : t("signals.leave_means"));
  if (verdict) said.dataset.tone = verdict.approved ? "up" : "down";
  const because = Object.entries({ ...signal.scores, ...signal.features }).slice(0, 5).map(([name, value]) => `${name}\u00a0${number(value, 3)}`).join(" · ");
  return el(
    "li", "", el("time", "", signal.ist),
    el("span", "", el("b", "", `${side} ${signal.tradingsymbol}`), ` ${price(signal.last_paise)} · ${signal.strategy} · ${t("signals.strength", { share: number(signal.strength * 100) })}`),
    said, el("span", "more", because),
  );
}

function verdictText(verdict) {
  if (verdict.approved) return t("signals.approved", { quantity: number(verdict.quantity), price: price(verdict.limit_price_paise) });
  return t("signals.denied", { why: word("denial", verdict.denial), code: verdict.denial });
}

function orders() {
  rows(by("orders"), now.recent.order.slice(-ORDERS_SHOWN).reverse().map(orderItem), t("orders.none"));
}

function orderItem(order) {
  const text = `${word("order_kind", order.kind)} · ${word("side", order.side)} ${order.tradingsymbol} ${number(order.filled_quantity)}/${number(order.quantity)} @ ${price(order.price_paise)}`;
  const rest = [word("purpose", order.purpose), order.strategy, order.detail].filter(Boolean).join(" · ");
  return el("li", "", el("time", "", order.ist), el("span", "", el("b", "", text), ` ${rest}`));
}

function health() {
  const { health: told, feed, pnl: account } = now;
  if (!told || !feed) return;
  const lag = Math.max(0, ...Object.values(told.lag));
  const took = (name) => (told.latencies[name] ? t("health.took", { p50: number(told.latencies[name].p50_ms), p95: number(told.latencies[name].p95_ms) }) : t("health.unknown"));
  const models = Object.entries(told.models);
  const quote = account && feed.newest_quote_at_ms ? Math.max(0, account.at_ms - feed.newest_quote_at_ms) / 1000 : null;
  const checks = [
    ["feed", feed.state === "up", feed.state === "up" ? t("health.feed_up") : t("health.feed_down", { since: clock(feed.down_since_ms) })],
    ["quotes", quote === null ? null : quote < 10, quote === null ? t("health.unknown") : t("health.seconds", { count: number(quote) })],
    ["models", models.length ? models.every(([, state]) => state === "fresh") : null, models.map(([name, state]) => `${name} ${word("model", state)}`).join(", ") || t("health.no_model")],
    ["books", told.reconciled_verdict ? told.reconciled_verdict !== "halt" : null, told.reconciled_verdict ? `${word("books", told.reconciled_verdict)} ${clock(told.reconciled_at_ms)}` : t("health.unknown")],
    ["log", lag < 500, t("health.records", { count: number(lag) })],
    ["tick_to_signal", null, took("tick_to_signal")],
    ["signal_to_verdict", null, took("signal_to_verdict")],
    ["order_to_reply", null, took("order_to_reply")],
    ["clock", told.skew_ms === null ? null : Math.abs(told.skew_ms) < 500, told.skew_ms === null ? t("health.unknown") : `${number(told.skew_ms)} ms`],
    ["dead_letters", told.dead_letters === 0 ? true : null, number(told.dead_letters)],
  ];
  const list = by("health");
  if (list.children.length !== checks.length) list.replaceChildren(...checks.map(() => el("li", "", el("span"), el("span"))));
  checks.forEach(([name, good, text], index) => {
    const item = list.children[index];
    item.dataset.check = good === null ? "unknown" : good ? "good" : "bad";
    put(item.children[0], t(`health.${name}`));
    put(item.children[1], text);
  });
  put(at("funds"), told.funds_available_paise === null ? "–" : rupees(told.funds_available_paise, true));
}

let chart = null;

function colours() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(name).trim();
}

function draw(points) {
  const box = by("curve");
  if (points.length < 2 || !globalThis.uPlot) return;
  const data = [points.map((p) => p[0] / 1000), points.map((p) => p[2] / 100), points.map((p) => p[1] / 100)];
  const last = points.at(-1);
  box.setAttribute("aria-label", t("curve.says", { from: clock(points[0][0]), to: clock(last[0]), net: signed(last[2]), low: signed(Math.min(...points.map((p) => p[2]))), high: signed(Math.max(...points.map((p) => p[2]))) }));
  if (chart) chart.setData(data);
  else chart = make(box, data);
}

function make(box, data) {
  const c = colours();
  const font = "11px Inter, 'Segoe UI', sans-serif";
  const axis = { stroke: c("--muted"), font, grid: { stroke: c("--line"), width: 1 }, ticks: { show: false } };
  return new globalThis.uPlot(
    {
      width: box.clientWidth, height: 190, cursor: { y: false }, legend: { show: false },
      tzDate: (seconds) => globalThis.uPlot.tzDate(new Date(seconds * 1000), "Asia/Kolkata"),
      axes: [
        { ...axis, size: 28, values: (_, ticks) => ticks.map((each) => clock(each * 1000).slice(0, 5)) },
        { ...axis, size: 78, values: (_, ticks) => ticks.map((each) => signed(each * 100, true)) },
      ],
      series: [
        {},
        { label: t("pnl.net"), stroke: c("--curve"), width: 2, points: { show: false } },
        { label: t("pnl.gross"), stroke: c("--curve2"), width: 1, dash: [4, 3], points: { show: false } },
      ],
    },
    data, box,
  );
}

function again() {
  chart?.destroy();
  chart = null;
  draw(now.curve);
}

// Many events make one drawing.
function soon(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

live.addEventListener("pnl", soon(() => pnl(now.pnl)));
live.addEventListener("state", soon(() => (state(now.state), resumable(now.state))));
by("resume")?.addEventListener("click", resume);
live.addEventListener("positions", soon(() => positions(now.positions)));
live.addEventListener("signals", soon(signals));
live.addEventListener("verdicts", soon(signals));
live.addEventListener("orders", soon(orders));
live.addEventListener("any", soon(health));
live.addEventListener("curve", soon(() => draw(now.curve)));
document.addEventListener("kp:theme", again);
begin();
requestAnimationFrame(() => {
  const plot = Object.assign(document.createElement("script"), { src: by("curve").dataset.plot, onload: () => draw(now.curve) });
  document.head.append(plot);
});
new ResizeObserver(() => chart && chart.setSize({ width: by("curve").clientWidth, height: 190 })).observe(by("curve"));
