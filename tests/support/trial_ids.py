"""Trial ids of experiments in few lines of text: what a golden file keeps, and how it grows.

After adding an experiment, a method or a profile: ``python -m tests.support.trial_ids`` adds its lines to the golden
file. Lines that are there it never changes: a changed id is a trial that every user runs again. Where that is meant,
delete its lines first, and say why in the commit.
"""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.planning import trials

SWEEP_TESTS = Path(__file__).resolve().parents[1] / "sweep" / "planning"
GOLDEN = SWEEP_TESTS / "trial_ids.txt"
DRAWS = SWEEP_TESTS / "draws.yaml"  # every kind of range, which the experiments do without
PLAN = "plan"  # what stands for method and pair in the line of a whole experiment


def files() -> list[str]:
    """What :func:`planned` takes: each experiment, and a file of ranges."""
    return [*loader.names(), str(DRAWS)]


def planned(file: str) -> dict[str, str]:
    """The trials of an experiment in all its profiles, as the golden file has them.

    Returns:
        ``experiment plan`` and ``experiment method source-target`` (``experiment/profile`` for a profile) → the number
        of trials and a digest of their ids in plan order. A profile whose trials are all those of one before has the
        line of the whole plan alone.
    """
    lines: dict[str, str] = {}
    seen = set()
    for profile in ("default", *loader.profiles(file)):
        name = Path(file).stem if profile == "default" else f"{Path(file).stem}/{profile}"
        cells: dict[str, list[str]] = defaultdict(list)
        for trial in trials.search(loader.load(file, profile)):
            cells[f"{name} {PLAN}"].append(trial.id)
            cells[f"{name} {trial.method} {trial.pair}"].append(trial.id)
        summaries = {cell: f"{len(ids)} {_digest(ids)}" for cell, ids in cells.items()}
        plan = summaries[f"{name} {PLAN}"]
        lines |= {f"{name} {PLAN}": plan} if plan in seen else summaries
        seen.add(plan)
    return lines


def differences(golden: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """One line for each experiment or cell whose trials differ, those added last."""
    changed = [f"{key}: {golden[key]} → {now.get(key, 'no trials')}" for key in golden if golden[key] != now.get(key)]
    return changed + [f"{key}: new, {now[key]}" for key in now if key not in golden]


def read() -> dict[str, str]:
    """The golden file: ``experiment[/profile] method pair`` → number and digest."""
    lines = GOLDEN.read_text(encoding="utf-8").splitlines() if GOLDEN.exists() else []
    return {" ".join(words[:-2]): " ".join(words[-2:]) for words in map(str.split, lines)}


def extend() -> list[str]:
    """Add what is new to the golden file; what would change there, which keeps the file as it is."""
    golden, now = read(), {key: line for file in files() for key, line in planned(file).items()}
    grown = {key.split()[0] for key in now if key not in golden}  # the plan of such an experiment may be another
    kept = {key: line for key, line in golden.items() if key.split()[0] not in grown or key.split()[1] != PLAN}
    changed = differences(kept, {key: line for key, line in now.items() if key in kept})
    if not changed:
        GOLDEN.write_text("".join(f"{key} {line}\n" for key, line in now.items()), encoding="utf-8")
    return changed


def _digest(ids: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit("\n".join(extend()) or 0)
