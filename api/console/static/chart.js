// The page Chart: candles with the decisions on them, and the day again at any speed.
//
// At a moment of the replay only candles that had closed and decisions that had been made are shown.
import { get } from "./ask.js";
import { by, el, put, rows } from "./dom.js";
import { clock, number } from "./format.js";
import { lineText, lineTone } from "./told.js";
import { t } from "./words.js";
import { CandlestickSeries, createChart, createSeriesMarkers, CrosshairMode, LineSeries } from "./vendor/lightweight-charts.mjs";

const MOST_LINES = 2000;
const SECONDS = { "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "60m": 3600 };
const FRAME_MS = 100;
let chart = null;
let day = { step: 60, candles: [], lines: [], scores: [] };
let at = 0;
let playing = 0;
let turn = 0;

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const seconds = (instant) => Math.round(Date.parse(instant.utc) / 1000);
const hours = (time) => clock(time * 1000).slice(0, 5);

async function everything(path, most) {
  const found = [];
  let cursor = null;
  do {
    const told = await get(`${path}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    found.push(...told.items);
    cursor = told.next;
  } while (cursor && found.length < most);
  return found;
}

// An earlier run's decisions are in the book of record: its trades.
async function decisions(symbol, run) {
  if (!run) {
    const lines = await everything(`/api/v1/timeline?limit=500&symbol=${encodeURIComponent(symbol)}`, MOST_LINES);
    return lines.reverse().map(({ kind, body }) => ({ kind, body, time: Math.floor(body.at_ms / 1000) }));
  }
  const fills = await everything(`/api/v1/fills?limit=500&run=${encodeURIComponent(run)}`, MOST_LINES);
  return fills.filter((each) => each.tradingsymbol === symbol).reverse().map((each) => {
    const ist = (each.traded.ist ?? "").slice(11, 19);
    const body = { ...each, ist, kind: "fill", filled_quantity: each.quantity, purpose: "", strategy: "", detail: "", intent_id: each.intent_id };
    return { kind: "order", body, time: seconds(each.traded) };
  });
}

async function load() {
  const mine = ++turn;
  stop();
  const [symbol, run, interval] = [by("symbol").value.trim().toUpperCase(), by("run").value, by("interval").value];
  if (!symbol) return;
  put(by("said"), "");
  try {
    const chosen = `symbol=${encodeURIComponent(symbol)}${run ? `&run=${encodeURIComponent(run)}` : ""}`;
    const [candles, lines] = await Promise.all([
      everything(`/api/v1/candles?${chosen}&interval=${interval}&limit=1000`, 5000), decisions(symbol, run),
    ]);
    if (mine !== turn) return;
    take(symbol, SECONDS[interval], candles, lines);
    history.replaceState(null, "", `?${new URLSearchParams({ symbol, run, interval })}`);
  } catch (err) {
    if (mine === turn) put(by("said"), err.message);
  }
}

function take(symbol, step, candles, lines) {
  day = {
    step, lines,
    candles: candles.map((each) => ({
      time: seconds(each.begins), open: each.open_paise / 100, high: each.high_paise / 100, low: each.low_paise / 100, close: each.close_paise / 100,
    })),
    scores: scoresOf(lines),
  };
  put(by("what"), `${symbol} · ${number(candles.length)}`);
  if (!candles.length) put(by("said"), t("chart.no_candles"));
  const range = by("at");
  const [first, last] = [day.candles[0]?.time ?? 0, (day.candles.at(-1)?.time ?? 0) + step];
  Object.assign(range, { min: first, max: last, step: 1, disabled: !candles.length });
  by("play").disabled = !candles.length;
  make();
  show(last);
  chart?.view.timeScale().fitContent();
  by("chart").setAttribute("aria-label", candles.length ? t("chart.says", { symbol, from: clock(first * 1000), to: clock(last * 1000), count: number(lines.length) }) : t("chart.empty"));
}

// The first score that a signal rested on; the last one where two fall into a second.
function scoresOf(lines) {
  const found = new Map();
  for (const { kind, body, time } of lines) {
    const [score] = kind === "signal" ? Object.values(body.scores) : [];
    if (score !== undefined) found.set(time, score);
  }
  return [...found].map(([time, value]) => ({ time, value }));
}

function make() {
  chart?.view.remove();
  const [text, line, up, down] = ["--muted", "--line", "--up", "--down"].map(style);
  const view = createChart(by("chart"), {
    autoSize: true,
    layout: { background: { color: style("--panel") }, textColor: text, fontSize: 11, attributionLogo: false },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    crosshair: { mode: CrosshairMode.Normal },
    rightPriceScale: { borderColor: line },
    leftPriceScale: { visible: day.scores.length > 0, borderColor: line },
    timeScale: { timeVisible: true, secondsVisible: false, borderColor: line, tickMarkFormatter: hours },
    localization: { timeFormatter: (time) => `${clock(time * 1000)} IST`, priceFormatter: (price) => price.toFixed(2) },
  });
  const series = view.addSeries(CandlestickSeries, { upColor: up, downColor: "transparent", borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down });
  const score = view.addSeries(LineSeries, { color: style("--curve"), lineWidth: 1, priceScaleId: "left", priceLineVisible: false, lastValueVisible: false });
  chart = { view, series, score, markers: createSeriesMarkers(series, []), candles: 0, lines: -1 };
}

// Up to and including the moment `at`, seconds UTC.
function show(moment) {
  at = moment;
  by("at").value = at;
  put(by("clock"), `${clock(at * 1000)} IST`);
  by("at").setAttribute("aria-valuetext", `${clock(at * 1000)} IST`);
  if (!chart) return;
  const candles = day.candles.filter((each) => each.time + day.step <= at);
  const lines = day.lines.filter((each) => each.time <= at);
  if (candles.length !== chart.candles) {
    if (candles.length === chart.candles + 1) chart.series.update(candles.at(-1));
    else chart.series.setData(candles);
    chart.candles = candles.length;
  }
  if (lines.length !== chart.lines) {
    chart.markers.setMarkers(candles.length ? lines.map((each) => marker(each, candles.at(-1).time)).filter(Boolean) : []);
    chart.score.setData(day.scores.filter((each) => each.time <= at));
    rows(by("decisions"), lines.slice(-200).reverse().map(item), t("chart.no_decisions"));
    chart.lines = lines.length;
  }
}

function marker({ kind, body, time }, last) {
  const on = Math.min(time - (time % day.step), last);
  if (kind === "order" && body.kind === "fill") {
    const bought = body.side === "BUY";
    return { time: on, position: bought ? "belowBar" : "aboveBar", shape: bought ? "arrowUp" : "arrowDown", color: bought ? style("--up") : style("--down"), text: number(body.filled_quantity) };
  }
  if (kind === "verdict" && !body.approved) return { time: on, position: "aboveBar", shape: "square", color: style("--muted"), size: 0.5, text: "✕" };
  return kind === "signal" ? { time: on, position: body.side === "SELL" ? "aboveBar" : "belowBar", shape: "circle", color: style("--accent"), size: 0.6 } : null;
}

function item({ kind, body }) {
  const made = el("li", "", el("time", "", body.ist), el("span", "kind", t(`kind.${kind}`)), el("span", "text", lineText(kind, body)));
  made.dataset.tone = lineTone(kind, body);
  return made;
}

function stop() {
  clearInterval(playing);
  playing = 0;
  by("play").setAttribute("aria-pressed", "false");
  put(by("play"), t("chart.play"));
}

function play() {
  if (playing) return stop();
  const range = by("at");
  if (at >= Number(range.max)) show(Number(range.min));
  by("play").setAttribute("aria-pressed", "true");
  put(by("play"), t("chart.pause"));
  let past = performance.now();
  playing = setInterval(() => {
    const now = performance.now();
    const next = Math.min(at + ((now - past) / 1000) * Number(by("speed").value), Number(range.max));
    past = now;
    show(next);
    if (next >= Number(range.max)) stop();
  }, FRAME_MS);
}

async function choices() {
  const wanted = new URLSearchParams(location.search);
  const [instruments, runs] = await Promise.all([
    get("/api/v1/instruments?limit=500").catch(() => ({ items: [] })), get("/api/v1/runs?limit=100").catch(() => ({ items: [] })),
  ]);
  by("symbols").replaceChildren(...instruments.items.map((each) => Object.assign(el("option"), { value: each.tradingsymbol })));
  by("run").append(...runs.items.map((each) => Object.assign(el("option", "", each.run_id), { value: each.run_id })));
  by("symbol").value = wanted.get("symbol") ?? instruments.items[0]?.tradingsymbol ?? "";
  by("run").value = wanted.get("run") ?? "";
  if (wanted.get("interval") in SECONDS) by("interval").value = wanted.get("interval");
  if (!instruments.items.length) put(by("said"), t("chart.no_instruments"));
  await load();
}

by("choose").onsubmit = (event) => {
  event.preventDefault();
  load();
};
by("run").onchange = by("interval").onchange = load;
by("play").onclick = play;
by("at").oninput = () => show(Number(by("at").value));
document.addEventListener("kp:theme", () => {
  if (!chart) return;
  make();
  show(at);
});
choices();
