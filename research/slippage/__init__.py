"""What own fills paid -> the parameters of the bar fill model, and how far they can be believed."""
