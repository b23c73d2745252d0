"""Processes for the supervision tests: one waits for the end, one cannot start, one crashes."""

import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    if sys.argv[1] == "broken":
        print("the key does not fit", flush=True)
        sys.exit(7)
    if sys.argv[1] == "crashing":
        os.kill(os.getpid(), signal.SIGSEGV)
    ready = Path(os.environ["KITEPILOT_RUN_FOLDER"]) / "ready" / sys.argv[1]
    ready.parent.mkdir(parents=True, exist_ok=True)
    ready.touch()
    signal.sigwait({signal.SIGTERM})
