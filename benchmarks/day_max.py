"""A whole paper day at `--speed max`: ticks per second through every process, against real time.

The baseline is the session's own pace: a day that is traded in its own length has ratio 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile

SESSION_S = 6.25 * 3600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="12 instruments instead of 50")
    parser.add_argument("--log", default="sqlite", choices=["sqlite", "kafka"])
    options = parser.parse_args()
    instruments = 12 if options.quick else 50
    command = [
        *(sys.executable, "-m", "kitepilot", "paper", "--speed", "max", "--json"),
        *("--instruments", str(instruments), "--log", options.log),
    ]
    with tempfile.TemporaryFile("w+") as out:
        code = subprocess.run(command, stdout=out, check=False).returncode
        out.seek(0)
        result = json.loads(out.read())
    ratio = SESSION_S / result["traded_in_s"]
    print(f"instruments            {instruments}")
    print(f"ticks                  {result['ticks']:,}")
    print(f"traded in              {result['traded_in_s']:.1f} s  ({ratio:.0f} times real time)")
    print(f"ticks/s, whole path    {result['ticks_per_s']:,.0f}")
    print(f"orders, fills          {result['orders']}, {result['fills']}; reconciled: {result['reconciled']}")
    keys = ("ticks", "ticks_per_s", "traded_in_s", "reconciled", "tick_to_signal_ms", "signal_to_enqueued_ms")
    figures = {key: result[key] for key in keys}
    print(
        json.dumps({"benchmark": "day_max", "log": options.log, "times_real_time": round(ratio, 1)} | figures)
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
