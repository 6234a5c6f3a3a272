"""The label firewall: from two domains to what a method may see and what only the scoring does.

Everything that touches target labels is in this file. A :class:`~transfer_sweep.algorithms.base.Task` gets none of the
scored samples' labels; :class:`Scoring` keeps them, for one number that no decision reads.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.algorithms.base import Algorithm, Params, Part, Prediction, StateDict, Task
from transfer_sweep.algorithms.cross_fit import CrossFit
from transfer_sweep.datasets import splits
from transfer_sweep.datasets.base import Domain, Samples, ValueRange
from transfer_sweep.reports import criteria
from transfer_sweep.reports.ledger.artefacts import WIDEST, Features, some
from transfer_sweep.reports.ledger.ledger import TrialRow

FOLDS = 5
_IMAGES_AT_ONCE = 1024


@dataclass(frozen=True)
class FewLabels:
    """The few-label setting.

    Attributes:
        per_class: labelled target samples of each class.
        classes: how many classes have them; then only samples of the others are scored. None: all.
        source: whether methods have the source, too.
    """

    per_class: int
    classes: int | None = None
    source: bool = True


@dataclass(frozen=True)
class Setting:
    """What, besides the data and the method, a task depends on."""

    holdout: float
    seed: int
    epochs: int
    num_classes: int
    backbone: str
    training: Any
    pretrained: StateDict | None = None
    values: ValueRange = "symmetric"
    proxy_a_distance: bool = False
    few: FewLabels | None = None


def setting_of(
    row: TrialRow,
    epochs: int,
    num_classes: int,
    pretrained: StateDict | None = None,
    proxy_a_distance: bool = False,
) -> Setting:
    """The setting of a planned trial.

    Args:
        row: its identity.
        epochs: the experiment's budget, which schedules depend on.
        num_classes: of the dataset.
        pretrained: the backbone's weights, where it is fine-tuned.
        proxy_a_distance: whether it is measured.
    """
    protocol = json.loads(row.protocol)
    return Setting(
        holdout=protocol["holdout"],
        seed=row.seed,
        epochs=epochs,
        num_classes=num_classes,
        backbone=protocol["backbone"],
        training=protocol["training"],
        pretrained=pretrained,
        values=protocol["options"].get("values", "symmetric"),
        proxy_a_distance=proxy_a_distance,
        few=None if protocol["few"] is None else FewLabels(**protocol["few"]),
    )


@dataclass(frozen=True)
class Scored:
    """What one look at a model gives.

    Attributes:
        target_accuracy: percent of scored target samples; for reporting only.
        criteria: computed without target labels.
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
        proxy_a_distance: whether to measure it between the domains, among what ``thorough`` adds.
        rows: which of ``target`` are scored; None: all.
        source_part: what ``source`` is called in the model's task.
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
    ) -> None:
        self._transductive, self._source_part = transductive, source_part
        self._proxy_a_distance = proxy_a_distance
        self._rows: Any = slice(None) if rows is None else rows
        self._target, self._target_inputs, self._source, self._validation = target, target_inputs, source, validation
        self._num_classes = num_classes

    def __call__(self, model: Algorithm, thorough: bool = False) -> Scored:
        """Predict and score.

        Args:
            model: what to score.
            thorough: every criterion, those too that need features or further passes, and cost several times as much
                as the rest.
        """
        on_training = model.predict_part("target")
        scored, labels = self.on_scored(model, on_training)
        held = None if self._validation is None else model.predict_part("validation")
        on_source: Prediction | None = None
        if self._source is not None and (held is None or thorough):
            on_source = model.predict_part(self._source_part)
        found = {"source_validation": self._source_score(held, on_source)}
        found |= criteria.prediction_criteria(on_training.logits)
        if thorough:
            found |= self._dearer(model, on_training, on_source, held)
        return Scored(
            target_accuracy=criteria.accuracy(scored, labels),
            criteria=found,
            validation=None if held is None else held.logits,
            target=on_training.logits,
            features=self._features(on_training, on_source, criteria.confusion(scored, labels)) if thorough else None,
        )

    def on_scored(
        self, model: Algorithm, on_training: Prediction | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Logits (n, K) of the scored samples, and their labels (n,).

        Args:
            model: what to ask.
            on_training: what it says of the target's training inputs, where that is known.
        """
        if not self._transductive:
            prediction = model.predict(self._target.inputs)
        else:
            prediction = model.predict_part("target") if on_training is None else on_training
        return prediction.logits[self._rows], self._target.labels[self._rows]

    def _features(
        self, on_target: Prediction, on_source: Prediction | None, confusion: NDArray[np.int64]
    ) -> Features | None:
        if on_source is None or self._source is None or on_source.features.shape[1] > WIDEST:
            return None
        source, target = some(len(on_source.features)), some(len(on_target.features))
        return Features(
            source=on_source.features[source].astype(np.float16),
            source_labels=self._source.labels[source],
            target=on_target.features[target].astype(np.float16),
            target_predictions=on_target.logits[target].argmax(axis=1),
            confusion=confusion,
        )

    def _source_score(self, held: Prediction | None, on_source: Prediction | None) -> float:
        """Accuracy on what is held out; where nothing is, leave-one-out 1-NN in the learned representation."""
        if held is not None and self._validation is not None:
            return criteria.accuracy(held.logits, self._validation.labels)
        if on_source is not None and self._source is not None:
            return criteria.leave_one_out_accuracy(on_source.features, self._source.labels)
        return math.nan

    def _dearer(
        self, model: Algorithm, on_target: Prediction, on_source: Prediction | None, held: Prediction | None
    ) -> dict[str, float]:
        """The criteria that are not computed at every epoch."""
        predicted = on_target.logits.argmax(axis=1)
        found = {
            "snd": criteria.soft_neighborhood_density(on_target.logits),
            "class_cluster": criteria.class_cluster(on_target.features, predicted, self._num_classes),
            "iwcv": math.nan,
            "dev": math.nan,
            "reverse_neighbor": math.nan,
        }
        if on_source is not None and self._source is not None:
            found["reverse_neighbor"] = criteria.reverse_neighbor(
                on_source.features, self._source.labels, on_target.features, predicted
            )
        if held is not None and on_source is not None and self._validation is not None:
            weights = criteria.density_ratio(on_source.features, on_target.features, held.features)
            found |= criteria.importance_weighted(held.logits, self._validation.labels, weights)
        for name, partners in zip(("mixval_intra", "mixval_inter"), criteria.partners(predicted), strict=True):
            found[name] = self._agreement_on_mixtures(model, predicted, partners)
        if self._proxy_a_distance and on_source is not None and self._source is not None:
            found["pad_input"] = criteria.proxy_a_distance(self._source.inputs, self._target_inputs)
            found["pad_representation"] = criteria.proxy_a_distance(on_source.features, on_target.features)
        return found | model.criteria()

    def _agreement_on_mixtures(
        self, model: Algorithm, predicted: NDArray[np.intp], partners: NDArray[np.intp]
    ) -> float:
        """Percentage of mixed target samples that are classified as their larger part is; NaN without any."""
        rows = np.intersect1d(criteria.some(len(predicted)), np.flatnonzero(partners >= 0))
        if not len(rows):
            return math.nan
        # Images are mixed a part at a time: all of them once more would be too many.
        logits = [
            model.predict(criteria.mixed(self._target_inputs, part, partners[part])).logits
            for part in np.array_split(rows, max(1, math.ceil(len(rows) / _IMAGES_AT_ONCE)))
        ]
        return criteria.accuracy(np.concatenate(logits), predicted[rows])


def build(
    cls: type[Algorithm], params: Params, source: Domain, target: Domain, setting: Setting, device: str
) -> tuple[Algorithm, Scoring]:
    """A method ready to train on a pair, and what scores it. The split's seed is the trial's."""
    if cls.label_access == "target_train":
        return _build_on_target(cls, params, source, target, setting, device)
    labelled, scored = _few_labels(target, setting)
    if labelled is not None and not cls.takes_few_labels():
        raise TypeError(f"{cls.name} declares that it takes no target labels")
    if setting.few is not None and not setting.few.source and labelled is not None:
        train, validation = labelled, None
        given = labelled if cls.label_access == "few" else None
    else:
        train, validation = _hold_out(source.train, setting)
        given = labelled
    task = _task(train, validation, target.train.inputs, given, setting)
    scoring = Scoring(
        target.scored,
        target.train.inputs,
        train,
        validation,
        setting.num_classes,
        target.test is None,
        setting.proxy_a_distance,
        scored,
    )
    return cls(task, params, device, setting.seed), scoring


def _few_labels(target: Domain, setting: Setting) -> tuple[Samples | None, NDArray[np.integer] | None]:
    """The few labelled target samples, and which of the scored ones remain (None: all).

    They are drawn from the target's training samples. Where those are the scored ones, too, the drawn ones are taken
    out of them; where only some classes have labels, all samples of these classes are.
    """
    few = setting.few
    if few is None:
        return None, None
    among = None if few.classes is None else splits.some_classes(setting.num_classes, few.classes, setting.seed)
    drawn, rest = splits.few_shot(target.train.labels, few.per_class, setting.seed, among)
    rows = rest if target.test is None else np.arange(len(target.test))
    if among is not None:
        rows = rows[~np.isin(target.scored.labels[rows], among)]
    return target.train.take(drawn) if len(drawn) else None, rows


def _hold_out(samples: Samples, setting: Setting) -> tuple[Samples, Samples | None]:
    if not setting.holdout:
        return samples, None
    kept, held = splits.holdout(samples.labels, setting.holdout, setting.seed)
    return samples.take(kept), samples.take(held)


def _build_on_target(
    cls: type[Algorithm], params: Params, source: Domain, target: Domain, setting: Setting, device: str
) -> tuple[Algorithm, Scoring]:
    """A method that trains on target labels, never on those of samples it is scored on."""
    labelled, validation = _hold_out(target.train, setting)
    if target.test is not None:
        first = source.train if cls.uses_source else labelled
        task = _task(first, validation, target.train.inputs, labelled, setting)
        return cls(task, params, device, setting.seed), Scoring(
            target.test,
            target.train.inputs,
            labelled,
            validation,
            setting.num_classes,
            transductive=False,
            source_part="target_labelled",
        )
    models, scored = [], []
    for rows, fold in splits.folds(target.train.labels, FOLDS, setting.seed):
        part = target.train.take(rows)
        task = _task(source.train if cls.uses_source else part, None, target.train.inputs, part, setting)
        models.append(cls(task, params, device, setting.seed))
        scored.append(fold)
    # Out-of-fold accuracy on these labels would be the oracle's: there is no source score without it.
    scoring = Scoring(target.train, target.train.inputs, None, None, setting.num_classes, transductive=True)
    return CrossFit(models, scored), scoring


def _task(
    source: Samples,
    validation: Samples | None,
    target_inputs: NDArray[Any],
    labelled: Samples | None,
    setting: Setting,
) -> Task:
    return Task(
        source=source,
        source_validation=validation,
        target_inputs=target_inputs,
        num_classes=setting.num_classes,
        epochs=setting.epochs,
        target_labelled=labelled,
        backbone=setting.backbone,
        training=setting.training,
        pretrained=setting.pretrained,
        values=setting.values,
    )
