"""What can be asked for under /api/v1: one module for each resource, each with its `ROUTES`."""
