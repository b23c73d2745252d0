"""What a person must be told: events and looks at the machine -> notices -> alerts -> messages to targets."""
