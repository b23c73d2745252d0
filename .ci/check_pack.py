"""Wait for the pack that a paper day's close started by itself, and insist that it is complete."""

import json
import sys
import time
import zipfile
from pathlib import Path

from infra.daily_packs import packs_of, read_manifest
from kitepilot.cli import after_close

WITHIN_S = 1_200

home, result = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
deadline = time.monotonic() + WITHIN_S
while after_close.under_way(home) is not None:
    if time.monotonic() > deadline:
        sys.exit(f"the daily pack is still being made after {WITHIN_S} s")
    time.sleep(1)
packs = packs_of(home / "packs", result["session"], result["run_id"])
if not packs:
    sys.exit(
        (home / "after-close" / f"{result['run_id']}.log").read_text() or "no daily pack, and no word why"
    )
manifest = read_manifest(packs[-1].path)
with zipfile.ZipFile(packs[-1].path) as pack:
    print(f"{packs[-1].path.name}: {manifest.status}, {len(pack.namelist())} files")
if packs[-1].failed:
    sys.exit("; ".join(manifest.why))
