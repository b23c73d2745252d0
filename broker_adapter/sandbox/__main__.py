"""`python -m broker_adapter.sandbox`: the same as `kitepilot sandbox`."""

from __future__ import annotations

import sys

from kitepilot.cli.sandbox import app

if __name__ == "__main__":
    app(prog_name="kitepilot sandbox", args=sys.argv[1:])
