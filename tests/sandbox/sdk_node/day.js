// One order's day with Kite's own Node client, unmodified. Prints what it saw as one JSON object.
const { KiteConnect, KiteTicker } = require("kiteconnect");

const { KITE_REST, KITE_TICKER, KITE_KEY, KITE_SECRET, KITE_REQUEST_TOKEN, KITE_TOKEN } = process.env;
const token = Number(KITE_TOKEN);
const order = {
  exchange: "NSE", tradingsymbol: "INFY", transaction_type: "BUY", quantity: 10,
  product: "MIS", order_type: "LIMIT", price: 1500.05, validity: "DAY", tag: "NODE00",
};

function firstTickThen(kite, place) {
  return new Promise((done, fail) => {
    const ticker = new KiteTicker({ api_key: KITE_KEY, access_token: kite.access_token, root: KITE_TICKER, reconnect: false });
    const seen = {};
    ticker.on("connect", () => { ticker.subscribe([token]); ticker.setMode(ticker.modeFull, [token]); });
    ticker.on("ticks", (ticks) => {
      if (seen.tick) return;
      seen.tick = ticks.find((tick) => tick.instrument_token === token && tick.mode === "full");
      if (seen.tick) place().catch(fail);
    });
    ticker.on("order_update", (update) => {
      seen.update = update;
      ticker.autoReconnect(false);
      ticker.disconnect();
      done(seen);
    });
    ticker.on("error", (reason) => fail(new Error(`ticker: ${reason && reason.message}`)));
    ticker.connect();
  });
}

async function main() {
  const kite = new KiteConnect({ api_key: KITE_KEY, root: KITE_REST });
  const session = await kite.generateSession(KITE_REQUEST_TOKEN, KITE_SECRET);
  const said = { user: session.user_id, profile: (await kite.getProfile()).user_name };
  const live = await firstTickThen(kite, () => kite.placeOrder("regular", order));
  said.tick = { last_price: live.tick.last_price, ask: live.tick.depth.sell[0].price };
  said.update = { status: live.update.status, tag: live.update.tag };
  said.orders = (await kite.getOrders()).map((row) => [row.tag, row.status, row.filled_quantity]);
  said.trades = (await kite.getOrderTrades(live.update.order_id)).length;
  said.positions = (await kite.getPositions()).net.map((row) => [row.tradingsymbol, row.quantity]);
  said.instruments = (await kite.getInstruments("NSE")).map((row) => row.tradingsymbol).slice(0, 2);
  said.ltp = Object.keys(await kite.getLTP(["NSE:INFY", "NSE:NIFTY 50"])).sort();
  const margin = await kite.orderMargins([{ ...order, variety: "regular", trigger_price: 0 }], "");
  said.margin = margin[0].total;
  const candles = await kite.getHistoricalData(token, "minute", "2026-11-20 09:15:00", "2026-11-20 15:30:00");
  said.first_candle = candles[0].date;
  try {
    await kite.placeOrder("regular", { ...order, order_type: "MARKET" });
  } catch (refusal) {
    said.refusal = refusal.error_type;
  }
  said.logout = await kite.invalidateAccessToken(kite.access_token);
  console.log(JSON.stringify(said));
  process.exit(0);
}

main().catch((error) => { console.error(error); process.exit(1); });
