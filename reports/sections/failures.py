"""Trials that failed, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator

from transfer_sweep.reports.document.elements import Block, Table
from transfer_sweep.reports.document.text import params_text
from transfer_sweep.reports.ledger.records import LOST
from transfer_sweep.reports.results import Results, dicts
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place

PLACE = Place(Part.CLOSING, 20)

_SHOWN_FAILURES = 20
_ERROR_LENGTH = 160


def blocks(context: Context) -> Iterator[Block]:
    """The table; nothing where none failed."""
    failed = table(context.results)
    if failed is not None:
        yield failed


def table(results: Results) -> Table | None:
    """Trials that failed, with the last line of the error."""
    failed = results.every_trial[results.every_trial["state"].isin(LOST)]
    if failed.empty:
        return None
    rows = []
    for trial in dicts(failed.head(_SHOWN_FAILURES)):
        lines = [line.strip() for line in str(trial["error"] or "").splitlines() if line.strip()]
        error = lines[-1] if lines else "no error recorded"
        error = error if len(error) <= _ERROR_LENGTH else error[: _ERROR_LENGTH - 1] + "…"
        pair = f"{trial['source']} → {trial['target']}"
        params = json.loads(trial["params"])
        text = params_text(params, sorted(params))
        rows.append([trial["method"], pair, text, str(trial["seed"]), str(trial["attempts"]), error])
    more = len(failed) - len(rows)
    notes = ["The next `run` tries them again."] + ([f"{more} more are in the ledger."] if more else [])
    return Table(
        f"{len(failed)} of {len(results.every_trial)} trials failed",
        ["method", "pair", "params", "seed", "attempts", "last line of the error"],
        rows,
        "lllrrl",
        notes,
    )
