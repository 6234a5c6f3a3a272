"""What the experiment took: trials, epochs and time."""

from __future__ import annotations

from collections.abc import Iterator

from transfer_sweep.reports.document.elements import Block, Heading, Table
from transfer_sweep.reports.document.text import MISSING, share
from transfer_sweep.reports.ledger.records import FINISHED, LOST, TrialState
from transfer_sweep.reports.results import Results
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place
from transfer_sweep.reports.selection import CONTROL

PLACE = Place(Part.CLOSING, 10)


def blocks(context: Context) -> Iterator[Block]:
    """The table."""
    yield Heading(2, "What it took")
    yield table(context.results)


def table(results: Results) -> Table:
    """Trials and epochs of the search by method: what ran, what early stopping saved, and how long it took."""
    spent = results.and_controls(results.candidates).set_index("id")[["epochs_spent", "seconds"]]
    trials = results.every_trial.join(spent, on="id")
    rows = []
    for method, of_one in trials.groupby("method", sort=False):
        search = of_one[of_one["role"] == "search"]
        states = search["state"].value_counts()
        ended = search[search["state"].isin(FINISHED)]
        full, used = int(ended["budget"].sum()), int(ended["epochs_spent"].fillna(0).sum())
        failed = sum(int(states.get(state, 0)) for state in LOST)
        rows.append(
            [
                str(method),
                str(len(search)),
                str(states.get(TrialState.DONE, 0)),
                str(states.get(TrialState.STOPPED, 0)),
                str(failed),
                str(states.get(TrialState.PENDING, 0) + states.get(TrialState.RUNNING, 0)),
                str(full),
                str(used),
                share((full - used) / full) if full else MISSING,
                str((of_one["role"] == "confirm").sum()),
                str((of_one["role"] == CONTROL).sum()),
                f"{of_one['seconds'].sum() / 60:.1f}",
            ]
        )
    total = ["all", *(str(sum(int(row[i]) for row in rows)) for i in range(1, 8))]
    full, used = int(total[6]), int(total[7])
    total.append(share((full - used) / full) if full else MISSING)
    total += [*(str(sum(int(row[i]) for row in rows)) for i in (9, 10)), f"{trials['seconds'].sum() / 60:.1f}"]
    headers = [
        "method",
        "search trials",
        "done",
        "stopped early",
        "failed",
        "to do",
        "epochs of the full grid",
        "epochs spent",
        "saved",
        "confirmation trials",
        "controls",
        "minutes of trial time",
    ]
    return Table(
        "Trials and epochs",
        headers,
        [*rows, total] if len(rows) > 1 else rows,
        "l" + "r" * 11,
        ["Epochs are those of search trials that ended (done or stopped); time is that of all epochs kept."],
        total=len(rows) > 1,
    )
