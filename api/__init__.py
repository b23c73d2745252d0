"""The control room: health, status and metrics of the running system."""
