"""``python -m benchmarks``: every benchmark that this machine can run, one after another."""

import os
import subprocess
import sys

BENCHMARKS = {"overhead": False, "engine": False, "jda": True, "msda": True}  # name → whether it needs the data root


def main() -> int:
    """Run them; 1 where one failed."""
    root = os.environ.get("SWEEP_DATA_ROOT")
    failed = 0
    for name, needs_data in BENCHMARKS.items():
        if needs_data and not root:
            print(f"\n## {name}\nskipped: set SWEEP_DATA_ROOT", flush=True)
            continue
        print(f"\n## {name}", flush=True)
        extra = ["--data-root", root] if needs_data and root else []
        failed |= subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *extra], check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
