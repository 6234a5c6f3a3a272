"""Scores a model: the criteria, which see no target labels, and the target accuracy, for reporting only.

The other side of the label firewall in :mod:`transfer_sweep.sweep.trial.task`: target labels are kept here, for one
number that no decision reads, and are no part of the evidence that criteria are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.algorithms.base import Algorithm, Part, Prediction
from transfer_sweep.datasets.base import Samples
from transfer_sweep.reports.criteria.accuracy import accuracy, confusion
from transfer_sweep.reports.criteria.base import Cost, Evidence
from transfer_sweep.reports.criteria.outputs import LabelledOutputs, Outputs
from transfer_sweep.reports.criteria.proxy_a_distance import proxy_a_distance
from transfer_sweep.reports.criteria.subsample import subsample
from transfer_sweep.reports.ledger.artefacts import SAMPLES, WIDEST, Features
from transfer_sweep.reports.selection import PER_TRIAL


@dataclass(frozen=True)
class Scored:
    """What one look at a model gives.

    Attributes:
        target_accuracy: percent of scored target samples; for reporting only. NaN where none has a label.
        criteria: as they are recorded, computed without target labels.
        validation, target: logits on the source validation samples (where there are) and on the unlabelled
            target training inputs, which the criteria are computed from.
        features: for figures, where every criterion was asked for, if there is a source and there are not too many.
            Their confusions are, like the accuracy, for reporting only.
    """

    target_accuracy: float
    criteria: dict[str, float]
    validation: NDArray[np.float32] | None
    target: NDArray[np.float32]
    features: Features | None


class Scoring:
    """Scores a model on samples whose labels it never sees.

    Args:
        target: labelled target samples.
        target_inputs: unlabelled target training inputs, for the criteria.
        source: labelled source training samples; None: no source score.
        validation: source samples held out of training; None where the protocol holds out nothing.
        num_classes: K.
        transductive: whether ``target`` are the target training samples, in their order.
        proxy_a_distance: whether to measure it between the domains, among what ``all_criteria`` adds.
        rows: which of ``target`` are scored, as far as they have labels; None: all.
        source_part: what ``source`` is called in the model's task.
        target_classes: of how many of the K classes the target has samples, or ``unknown``; None: of all.
    """

    def __init__(
        self,
        target: Samples,
        target_inputs: NDArray[Any],
        source: Samples | None,
        validation: Samples | None,
        num_classes: int,
        transductive: bool,
        proxy_a_distance: bool = False,
        rows: NDArray[np.integer] | None = None,
        source_part: Part = "source",
        target_classes: int | Literal["unknown"] | None = None,
    ) -> None:
        self._transductive, self._source_part = transductive, source_part
        self._proxy_a_distance = proxy_a_distance
        among = np.arange(len(target)) if rows is None else rows
        self._rows = among[target.labelled[among]]
        self._target_classes = target_classes
        self._target, self._target_inputs, self._source, self._validation = target, target_inputs, source, validation
        self._num_classes = num_classes

    def __call__(self, model: Algorithm, all_criteria: bool = False) -> Scored:
        """Predict and score.

        Args:
            model: what to score.
            all_criteria: those too that cannot be afforded at every epoch: they need features or further passes, and
                cost several times as much as the rest.
        """
        on_training = model.predict_part("target")
        scored, labels = self.on_scored(model, on_training)
        evidence = self._evidence(model, on_training)
        found = _criteria(evidence, Cost.EVERY_EPOCH)
        found |= {"predicted_classes": self._share_of_classes(evidence.target)}
        if all_criteria:
            found |= _criteria(evidence, Cost.WHERE_TRIALS_END) | self._distances(evidence)
        return Scored(
            target_accuracy=accuracy(scored, labels),
            criteria=found,
            validation=None if evidence.validation is None else evidence.validation.logits,
            target=on_training.logits,
            features=self._features(evidence, confusion(scored, labels)) if all_criteria else None,
        )

    def on_scored(
        self, model: Algorithm, on_training: Prediction | None = None, without: Sequence[int] = ()
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Logits (n, K) of the scored samples, and their labels (n,).

        Args:
            model: what to ask.
            on_training: what it says of the target's training inputs, where that is known.
            without: training inputs that are not to be scored, where these are the scored ones.
        """
        if not self._transductive:
            prediction = model.predict(self._target.inputs)
        else:
            prediction = model.predict_part("target") if on_training is None else on_training
        rows = self._rows[~np.isin(self._rows, without)] if self._transductive else self._rows
        return prediction.logits[rows], self._target.labels[rows]

    def _share_of_classes(self, outputs: Outputs) -> float:
        """How many of the target's classes are predicted, as a share: what the guard against collapse looks at.

        Where nobody knows how many classes the target has, any two that are predicted are enough.
        """
        share = outputs.predicted_classes
        if self._target_classes is None or not np.isfinite(share):
            return share
        predicted = round(share * self._num_classes)
        if self._target_classes == "unknown":
            return 1.0 if predicted > 1 else share
        return min(1.0, predicted / self._target_classes)

    def _evidence(self, model: Algorithm, on_training: Prediction) -> Evidence:
        """What criteria may know: no label of the target is in it."""
        source, validation = self._source, self._validation

        def outputs(samples: Samples, prediction: Prediction) -> LabelledOutputs:
            return LabelledOutputs(prediction.logits, prediction.features, samples.labels)

        return Evidence(
            target=Outputs(on_training.logits, on_training.features),
            num_classes=self._num_classes,
            target_inputs=self._target_inputs,
            validation=None if validation is None else outputs(validation, model.predict_part("validation")),
            predict=lambda inputs: model.predict(inputs).logits,
            outputs_on_source=None
            if source is None
            else lambda: outputs(source, model.predict_part(self._source_part)),
            scores_of_method=model.criteria,
        )

    def _distances(self, evidence: Evidence) -> dict[str, float]:
        """The proxy A-distance between the domains, as they are and as the model sees them."""
        if not self._proxy_a_distance or self._source is None or evidence.source is None:
            return {}
        return {
            "pad_input": proxy_a_distance(self._source.inputs, self._target_inputs),
            "pad_representation": proxy_a_distance(evidence.source.features, evidence.target.features),
        }

    def _features(self, evidence: Evidence, counts: NDArray[np.int64]) -> Features | None:
        if evidence.source is None or evidence.source.features.shape[1] > WIDEST:
            return None
        source, target = (subsample(len(each.features), SAMPLES) for each in (evidence.source, evidence.target))
        return Features(
            source=evidence.source.features[source].astype(np.float16),
            source_labels=evidence.source.labels[source],
            target=evidence.target.features[target].astype(np.float16),
            target_predictions=evidence.target.classes[target],
            confusion=counts,
        )


def _criteria(evidence: Evidence, cost: Cost) -> dict[str, float]:
    """The criteria of some cost, as they are recorded."""
    values = ((each.key, each.compute(evidence)) for each in PER_TRIAL.values() if each.cost is cost)
    return {key: value for key, value in values if value is not None}
