// One order's day with Kite's own Go client, unmodified. Prints what it saw as one JSON object.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"
	"strconv"
	"time"

	kiteconnect "github.com/zerodha/gokiteconnect/v4"
	"github.com/zerodha/gokiteconnect/v4/models"
	kiteticker "github.com/zerodha/gokiteconnect/v4/ticker"
)

var order = kiteconnect.OrderParams{
	Exchange: "NSE", Tradingsymbol: "INFY", TransactionType: "BUY", Quantity: 10,
	Product: "MIS", OrderType: "LIMIT", Price: 1500.05, Validity: "DAY", Tag: "GO00",
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// live subscribes, buys on the first full tick, and returns that tick and the order's final update.
func live(kite *kiteconnect.Client, accessToken string, token uint32) (models.Tick, kiteconnect.Order) {
	root := must(url.Parse(os.Getenv("KITE_TICKER")))
	ticker := kiteticker.New(os.Getenv("KITE_KEY"), accessToken)
	ticker.SetRootURL(*root)
	ticks, updates := make(chan models.Tick, 1000), make(chan kiteconnect.Order, 10)
	ticker.OnConnect(func() {
		if err := ticker.Subscribe([]uint32{token}); err != nil {
			log.Fatal(err)
		}
		if err := ticker.SetMode(kiteticker.ModeFull, []uint32{token}); err != nil {
			log.Fatal(err)
		}
	})
	ticker.OnTick(func(tick models.Tick) {
		if tick.Mode == "full" {
			ticks <- tick
		}
	})
	ticker.OnOrderUpdate(func(update kiteconnect.Order) { updates <- update })
	ticker.OnError(func(err error) { log.Print("ticker: ", err) })
	go ticker.Serve()
	defer ticker.Stop()
	select {
	case tick := <-ticks:
		must(kite.PlaceOrder("regular", order))
		select {
		case update := <-updates:
			return tick, update
		case <-time.After(30 * time.Second):
			log.Fatal("no order update")
		}
	case <-time.After(30 * time.Second):
		log.Fatal("no tick")
	}
	panic("unreachable")
}

func main() {
	kite := kiteconnect.New(os.Getenv("KITE_KEY"))
	kite.SetBaseURI(os.Getenv("KITE_REST"))
	session := must(kite.GenerateSession(os.Getenv("KITE_REQUEST_TOKEN"), os.Getenv("KITE_SECRET")))
	kite.SetAccessToken(session.AccessToken)
	token := must(strconv.Atoi(os.Getenv("KITE_TOKEN")))
	said := map[string]any{"user": session.UserID, "profile": must(kite.GetUserProfile()).UserName}
	said["full_profile"] = must(kite.GetFullUserProfile()).TwoFAType
	tick, update := live(kite, session.AccessToken, uint32(token))
	said["tick"] = map[string]float64{"last_price": tick.LastPrice, "ask": tick.Depth.Sell[0].Price}
	said["update"] = map[string]string{"status": update.Status, "tag": update.Tag}
	var orders [][]any
	for _, row := range must(kite.GetOrders()) {
		orders = append(orders, []any{row.Tag, row.Status, row.FilledQuantity})
	}
	said["orders"] = orders
	said["trades"] = len(must(kite.GetOrderTrades(update.OrderID)))
	var positions [][]any
	for _, row := range must(kite.GetPositions()).Net {
		positions = append(positions, []any{row.Tradingsymbol, row.Quantity})
	}
	said["positions"] = positions
	var listed []string
	for _, row := range must(kite.GetInstrumentsByExchange("NSE")) {
		listed = append(listed, row.Tradingsymbol)
	}
	said["instruments"] = listed[:2]
	quotes := must(kite.GetQuote("NSE:INFY", "NSE:NIFTY 50"))
	said["ltp"] = len(quotes)
	margins := must(kite.GetOrderMargins(kiteconnect.GetMarginParams{OrderParams: []kiteconnect.OrderMarginParam{{
		Exchange: "NSE", Tradingsymbol: "INFY", TransactionType: "BUY", Variety: "regular",
		Product: "MIS", OrderType: "LIMIT", Quantity: 10, Price: 1500.05,
	}}}))
	said["margin"] = margins[0].Total
	day := time.Date(2026, 11, 20, 9, 15, 0, 0, time.FixedZone("IST", 19800))
	candles := must(kite.GetHistoricalData(token, "minute", day, day.Add(6*time.Hour), false, false))
	said["first_candle"] = candles[0].Date.Format(time.RFC3339)
	said["holdings"] = len(must(kite.GetHoldings())) + len(must(kite.GetGTTs()))
	said["invested"] = must(kite.GetHoldingsSummary()).InvestedAmount
	market := order
	market.OrderType = "MARKET"
	if _, err := kite.PlaceOrder("regular", market); err != nil {
		said["refusal"] = kiteconnect.GetErrorName(400)
		if refusal, ok := err.(kiteconnect.Error); ok {
			said["refusal"] = refusal.ErrorType
		}
	}
	said["logout"] = must(kite.InvalidateAccessToken())
	fmt.Println(string(must(json.Marshal(said))))
}
