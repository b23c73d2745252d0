"""Read the JSON of a paper day and insist on what a paper day promises."""

import json
import sys
from pathlib import Path

result = json.loads(Path(sys.argv[1]).read_text())
failures = [
    text
    for text, bad in (
        ("not reconciled", not result["reconciled"]),
        ("open positions at the end", result["open_positions"]),
        ("orders without an intent", result["unlinked_orders"]),
        ("no orders at all", not result["orders"]),
        ("no fills at all", not result["fills"]),
        ("an audit that was not sealed and verified", not result["audit"]["verified"]),
    )
    if bad
]
print(
    f"{result['run_id']}: {result['orders']} orders, {result['fills']} fills, {result['ticks']} ticks, "
    f"{result['ticks_per_s']:.0f} ticks/s, net {result['net_pnl_paise'] / 100:.2f}, "
    f"tick to signal {result['tick_to_signal_ms']}, signal to enqueued {result['signal_to_enqueued_ms']}"
)
if failures:
    sys.exit("; ".join(failures))
