"""A few labels that are drawn of each target to choose trials by: ``labels(50)``, and ``labels(50, prior)``.

The driver draws them, the same for every trial, and records which and what they are; no trial is told. Who is right on
them is known from stored predictions, so that drawing them, or more of them, trains nothing anew. Where the drawn
samples are among the scored ones, they are taken out of every accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep.reports.ledger.artefacts import predicted_classes

META = "labels"
"""What the ledger keeps them under."""

ON_DRAWN, PREDICTIONS = "right_on_drawn", "predictions"
"""Columns of candidates: (n,) whether a trial is right on each drawn sample, None if unknown; its predictions' file."""

FORM = "labels(N) or labels(N, prior)"

_WRITTEN = re.compile(r"labels\s*\(\s*([1-9][0-9]{0,5})\s*(,\s*prior\s*)?\)")


@dataclass(frozen=True)
class ByLabels:
    """A way of choosing by drawn labels.

    Attributes:
        number: of labels of each target.
        prior: whether the label-free criterion is the prior, and the labels evidence; else labels alone choose.
    """

    number: int
    prior: bool

    @classmethod
    def parse(cls, written: str) -> Self | None:
        """What a criterion's name says; None where it is no way of choosing by drawn labels."""
        found = _WRITTEN.fullmatch(written.strip())
        return None if found is None else cls(int(found[1]), found[2] is not None)

    def __str__(self) -> str:
        return f"labels({self.number}, prior)" if self.prior else f"labels({self.number})"

    @property
    def text(self) -> str:
        """What it is, in words."""
        labels = f"{self.number} label{'s' * (self.number != 1)} drawn of the target"
        return f"expected accuracy, given {labels} and label-free criteria" if self.prior else f"accuracy on {labels}"


@dataclass(frozen=True)
class Drawn:
    """The labels that were drawn of a target.

    Attributes:
        rows: of its training inputs, in the order of drawing: the first k of them are a draw of k.
        labels: theirs.
        scored: how many labelled samples are scored where these are among them, and are taken out; None where the
            target has a test part, which is scored whole.
        seed: of the trials that have these training inputs, where those of other seeds have others; None: all have.
    """

    rows: tuple[int, ...]
    labels: tuple[int, ...]
    scored: int | None
    seed: int | None = None

    def encode(self) -> dict[str, Any]:
        """As the ledger has it."""
        return asdict(self)

    @classmethod
    def decode(cls, record: Mapping[str, Any]) -> Self:
        """Read what :meth:`encode` gave."""
        return cls(tuple(record["rows"]), tuple(record["labels"]), record["scored"], record["seed"])

    def right(self, predicted: NDArray[np.integer] | None) -> NDArray[np.bool_] | None:
        """(n,) whether classes (N,) predicted of the target's training inputs are right on the drawn ones."""
        return None if predicted is None else predicted[list(self.rows)] == np.array(self.labels)

    def rest(self, accuracy: float, right: NDArray[np.bool_] | None) -> float:
        """Accuracy in percent on the scored samples without the drawn ones; NaN where it cannot be told.

        Args:
            accuracy: in percent, on all labelled samples that trials were scored on.
            right: see :meth:`right`.
        """
        if self.scored is None:
            return accuracy
        if right is None or not np.isfinite(accuracy):
            return float("nan")
        all_right = round(accuracy / 100 * self.scored)
        return 100.0 * (all_right - int(right.sum())) / (self.scored - len(self.rows))


def decode(record: Mapping[str, Any] | None) -> dict[str, Drawn]:
    """Target → the labels that were drawn of it, from the ledger's record; empty where none were."""
    return {target: Drawn.decode(each) for target, each in (record or {}).items()}


def apply(candidates: pd.DataFrame, drawn: Mapping[str, Drawn]) -> pd.DataFrame:
    """Candidates with what choosing by drawn labels needs, and without these samples in any accuracy.

    Args:
        candidates: with ``logits``, the files of their predictions.
        drawn: target → its labels; empty: the candidates stay as they are.

    Returns:
        With :data:`ON_DRAWN` and :data:`PREDICTIONS`. ``best_accuracy``, which is over epochs of which no predictions
        are kept, is NaN where drawn samples are among the scored ones and a trial had more than one epoch.
    """
    if not drawn:
        return candidates
    rows = candidates.assign(**{PREDICTIONS: candidates["logits"]})
    of_target = [drawn.get(target) for target in rows["target"]]
    right = [
        None if each is None or each.seed not in (None, seed) else each.right(predicted_classes(path))
        for each, seed, path in zip(of_target, rows["seed"], rows["logits"], strict=True)
    ]
    rows[ON_DRAWN] = pd.Series(right, index=rows.index, dtype=object)
    accuracies = [
        accuracy if each is None else each.rest(accuracy, own)
        for each, own, accuracy in zip(of_target, right, rows["target_accuracy"], strict=True)
    ]
    taken_out = pd.Series([each is not None and each.scored is not None for each in of_target], index=rows.index)
    one_epoch = rows["epochs_spent"] == 1
    best = rows["best_accuracy"].mask(taken_out).mask(taken_out & one_epoch, pd.Series(accuracies, index=rows.index))
    return rows.assign(target_accuracy=pd.Series(accuracies, index=rows.index, dtype=float), best_accuracy=best)
