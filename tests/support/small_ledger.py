"""A small ledger with known outcomes, for the tests of what is read out of ledgers."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from transfer_sweep.reports.ledger import artefacts
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Cell, EpochReport, Pair, Protocol, Role, Trial, TrialState, canonical

PROTOCOL: dict[str, Any] = {
    "backbone": "efficientnet_lite0",
    "training": "frozen",
    "options": {},
    "holdout": 0.1,
    "transductive": True,
    "profile": "cpu",
    "few": None,
}


@dataclass
class Run:
    """A trial and what it reports: one (target accuracy, information maximisation, classes seen) per epoch.

    ``also`` are further criteria, ``losses`` further losses; ``predicted`` are the classes that it predicts, of three,
    for the target's samples.
    """

    method: str
    source: str
    target: str
    params: dict[str, Any]
    epochs: list[tuple[float, float, float]]
    role: Role = "search"
    seed: int = 0
    budget: int = 3
    state: TrialState | None = TrialState.DONE
    error: str | None = None
    dataset: str = "office31"
    protocol: dict[str, Any] = field(default_factory=lambda: PROTOCOL)
    also: dict[str, float] = field(default_factory=dict)
    predicted: list[int] | None = None
    losses: dict[str, float] = field(default_factory=dict)

    @property
    def trial(self) -> Trial:
        text = canonical(self.protocol)
        name = "|".join(
            (self.dataset, self.method, self.source, self.target, canonical(self.params), str(self.seed), text)
        )
        cell = Cell(self.dataset, self.method, Pair(self.source, self.target), Protocol.decode(text))
        return Trial(name, self.role, cell, self.params, self.seed, self.budget)


RECORDED = ("source_validation", "entropy", "information_maximization", "bnm")
"""The criteria that these trials have recorded."""

PAIRS = [("amazon", "webcam"), ("dslr", "webcam"), ("webcam", "dslr")]

# In every cell of dann the second setting has the best criterion, the third the best target accuracy, and the
# fourth a criterion that only a collapsed model gets.
RUNS = [
    run
    for source, target in PAIRS
    for run in (
        Run("source_only", source, target, {"lr": 0.01}, [(60, 1.0, 1), (65, 1.2, 1), (70, 1.5, 1)]),
        Run("dann", source, target, {"lr": 0.003}, [(70, 1.0, 1)], state=TrialState.STOPPED),
        Run("dann", source, target, {"lr": 0.01}, [(70, 1.1, 1), (81, 1.8, 1), (80, 2.0, 1)]),
        Run("dann", source, target, {"lr": 0.03}, [(75, 1.1, 1), (78, 1.6, 1), (82, 1.9, 1)]),
        Run("dann", source, target, {"lr": 1.0}, [(3, 3.0, 0.1), (3, 3.1, 0.1), (3, 3.2, 0.1)]),
        Run("dann", source, target, {"lr": 0.01}, [(70, 1, 1), (80, 1, 1), (84, 1.9, 1)], role="confirm", seed=1),
        Run("dann", source, target, {"lr": 0.01}, [(70, 1, 1), (80, 1, 1), (76, 2.1, 1)], role="confirm", seed=2),
    )
]


def without_labels(runs: list[Run], *targets: str) -> list[Run]:
    """The runs as they are reported where no label of these targets is known."""
    return [
        replace(run, epochs=[(math.nan, score, seen) for _, score, seen in run.epochs])
        if run.target in targets
        else run
        for run in runs
    ]


def write(path: Path, runs: list[Run]) -> None:
    """A ledger file that holds these runs, as a driver would have written it."""
    with Ledger(path, write=True) as ledger:
        ledger.set_plan(run.trial for run in runs)
        for run in runs:
            name = run.trial.id
            if run.epochs or run.state != TrialState.PENDING:
                ledger.start(name, {"cpu": 1})
            kept = {}
            if run.predicted is not None:
                logits = 9 * np.eye(3, dtype=np.float32)[run.predicted]
                kept = {artefacts.LOGITS: artefacts.save_predictions(path.parent, name, logits, None)}
            for epoch, (target_accuracy, score, seen) in enumerate(run.epochs, start=1):
                criteria = {
                    "source_validation": 50.0 + epoch,
                    "entropy": score - 3.4,
                    "information_maximization": score,
                    "bnm": score / 4,
                    "predicted_classes": seen,
                    **run.also,
                }
                report = EpochReport(epoch, target_accuracy, criteria, {"loss": 1 / epoch, **run.losses}, seconds=0.5)
                ledger.record_epoch(name, report, kept)
            if run.state not in (None, TrialState.PENDING):
                ledger.finish(name, run.state, run.error)


def experiment(
    folder: Path,
    runs: list[Run],
    name: str = "office31_small",
    samples: dict[str, Any] | None = None,
    controls: dict[str, list[str]] | None = None,
    **meta: Any,
) -> Path:
    """The ledger of an experiment that ran ``runs`` on domains of so many ``samples``, some of them as ``controls``."""
    path = folder / name / "ledger.sqlite"
    write(path, runs)
    with Ledger(path, write=True) as ledger:
        ledger.set_meta("experiment", {"dataset": "office31", **meta})
        if samples is not None:
            ledger.set_meta("data", {"checksums": {}, "samples": samples})
        if controls is not None:
            ledger.set_meta("controls", controls)
        ledger.add_environment(
            {
                "command": f"python -m sweep run {name}",
                "commit": "0123456789ab",
                "versions": {"python": "3.11.7"},
                "hardware": {"cores": 2, "memory_gib": 15.6, "machine": "x86_64", "gpus": []},
            }
        )
    return path


def params(text: str) -> dict[str, Any]:
    """The params of a ledger's row."""
    found: dict[str, Any] = json.loads(text)
    return found
