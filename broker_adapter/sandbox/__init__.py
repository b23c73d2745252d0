"""The sandbox exchange: a local market that speaks Kite's REST and ticker protocols."""
