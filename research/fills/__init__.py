"""How an order fills where there is no order book: prices and quantities out of a bar."""
