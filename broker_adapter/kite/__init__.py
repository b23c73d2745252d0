"""Kite Connect v3 as it is spoken: REST, ticker, session. The venue's words end in this package."""
