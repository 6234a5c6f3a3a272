"""Files of trials that their cell does not choose go: a run of thousands would fill a disk with models."""

from __future__ import annotations

import time
from pathlib import Path

from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.artefacts import SUFFIXES, path_of
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import FINISHED, TrialState


class ArtefactPruner:
    """Removes the models and features of trials that their cell does not choose; while a run lasts, now and then.

    Args:
        ledger: open for writing.
        folder: the experiment's.
        criterion: what chooses.
        seconds: between two looks, at least.
    """

    def __init__(self, ledger: Ledger, folder: Path, criterion: str, seconds: float = 30) -> None:
        self._ledger, self._folder, self._criterion, self._seconds = ledger, folder, criterion, seconds
        self._looked = time.monotonic()

    def maybe_prune(self) -> None:
        """Look, where the last look is long enough ago."""
        if time.monotonic() - self._looked >= self._seconds:
            self.prune()

    def prune(self) -> None:
        """Keep what the chosen trials, those that are not finished and those of former plans have; forget the rest.

        Only finished trials are chosen among: one that runs may lead for a moment, and end below. What compares
        trials may choose anew with each, and waits until the search is complete.
        """
        self._looked = time.monotonic()
        planned, states = self._ledger.trials(), self._ledger.states()
        search = planned[planned["role"] == "search"]
        found = selection.candidates(self._ledger)
        waiting = found.iloc[:0]
        if not search["state"].isin([*FINISHED, TrialState.FAILED]).all():
            compared = [
                family for family in found["family"].unique() if selection.compares_trials(self._criterion, [family])
            ]
            waiting = found[found["family"].isin(compared)]
            found = found.drop(index=waiting.index)
        chosen = selection.choose(found[found["state"].isin(FINISHED)], self._criterion)
        ended = planned["id"][planned["state"].isin([*FINISHED, TrialState.FAILED])]
        unwanted = set(ended) - set(chosen["id"]) - set(waiting["id"])
        gone = [
            path
            for kind, suffix in SUFFIXES.items()
            for path in (self._folder / path_of(kind, "id")).parents[1].glob(f"*/*{suffix}")
            if path.stem in unwanted or path.stem not in states
        ]
        self._ledger.drop_artefacts(SUFFIXES, {path.stem for path in gone})  # first: a ledger names what there is
        for path in gone:
            path.unlink(missing_ok=True)
