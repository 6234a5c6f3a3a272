"""What a trial sends to the driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transfer_sweep.reports.ledger.records import EpochReport, TrialState


@dataclass(frozen=True)
class TrialReport:
    """Some epochs of a trial, or its end.

    Attributes:
        epochs: since the last report, in order.
        epoch: the last epoch that there is; 0 before the first.
        score: what rungs compare, of the last epoch in this report; always finite, larger is better.
        state: ``running``, or how the trial ended.
        artefacts: kind → path of what is kept of it, relative to the experiment's folder.
        error: the traceback of a trial that failed; empty otherwise.
        files: path → reference to its content in the object store, of artefacts that were made on another node than
            the driver's.
    """

    epochs: Sequence[EpochReport]
    epoch: int
    score: float
    state: TrialState
    artefacts: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    files: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialEvent:
    """Something happened to a trial.

    Attributes:
        trial: its id.
        state: where it stands now: ``running`` as it starts, continues or reports, ``pending`` where its process or
            node was lost and it waits to continue, or how it ended.
        report: what it sent, where it did.
        error: why it failed, where it could not send that itself.
    """

    trial: str
    state: TrialState
    report: TrialReport | None = None
    error: str = ""

    @property
    def last_error(self) -> str:
        """The last line of what went wrong; empty where nothing did."""
        lines = (self.error or (self.report.error if self.report else "")).strip().splitlines()
        return lines[-1] if lines else ""
