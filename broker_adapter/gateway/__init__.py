"""The gateway: approved intents in, orders out, the truth about them back. Journal first, then the broker."""
