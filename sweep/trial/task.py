"""The label firewall: from two domains to what a method may see and what only the scoring does.

Everything that touches target labels is in this file. A :class:`~transfer_sweep.algorithms.base.Task` gets none of the
scored samples' labels; :class:`Scoring` keeps them, for one number that no decision reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm, Part, Prediction, StateDict, Task
from transfer_sweep.algorithms.cross_fit import CrossFit
from transfer_sweep.datasets import splits
from transfer_sweep.datasets.base import Domain, Samples
from transfer_sweep.reports import criteria
from transfer_sweep.reports.ledger.artefacts import WIDEST, Features, some
from transfer_sweep.reports.ledger.records import Training, Trial

FOLDS = 5
_IMAGES_AT_ONCE = 1024


@dataclass(frozen=True)
class TaskConfig:
    """What a trial's task depends on besides the trial and its data.

    Attributes:
        epochs: the experiment's budget, which schedules depend on.
        num_classes: of the data set.
        pretrained: the backbone's weights, where it is fine-tuned.
        proxy_a_distance: whether it is measured at the trial's end.
        training: instead of the protocol's; None: as that says.
    """

    epochs: int
    num_classes: int
    pretrained: StateDict | None = None
    proxy_a_distance: bool = False
    training: Training | None = None


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


def build_trial(
    trial: Trial, source: Domain, target: Domain, config: TaskConfig, device: str
) -> tuple[Algorithm, Scoring]:
    """A trial's method ready to train on its pair, and what scores it. The split's seed is the trial's.

    Args:
        trial: its identity.
        source, target: the domains of its pair, in its representation.
        config: what else decides its task.
        device: where it computes.

    Raises:
        DataError: its protocol does not go with the data.
    """
    method = method_registry.get(trial.method)
    firewall = _Firewall(trial, source, target, config)
    if method.label_access == "target_train":
        return firewall.on_target(method, device)
    return firewall.on_source(method, device)


def build_untrained(trial: Trial, samples: Samples, config: TaskConfig, device: str) -> Algorithm:
    """A trial's method without its data, to restore a deep model's state into.

    Args:
        trial: its identity.
        samples: of the form of its inputs, whatever they hold; they stand for every part of its data.
        config: what else decides its task.
        device: where it computes.
    """
    domain = Domain(trial.pair.target, samples)
    firewall = _Firewall(trial, domain, domain, config)
    return firewall.built(method_registry.get(trial.method), firewall.task(samples, None, samples), device)


class _Firewall:
    """Hands out to a method what it may see of two domains, and to its scoring the rest."""

    def __init__(self, trial: Trial, source: Domain, target: Domain, config: TaskConfig) -> None:
        self._trial, self._source, self._target, self._config = trial, source, target, config
        self._protocol = trial.protocol

    def on_source(self, method: type[Algorithm], device: str) -> tuple[Algorithm, Scoring]:
        """A method that learns from the source and, where the protocol says so, from a few target labels."""
        target, few = self._target, self._protocol.few
        labelled, scored = self._few_labels()
        if labelled is not None and not method.takes_few_labels():
            raise TypeError(f"{method.name} declares that it takes no target labels")
        if few is not None and not few.source and labelled is not None:
            train, validation = labelled, None
            given = labelled if method.label_access == "few" else None
        else:
            train, validation = self._hold_out(self._source.train)
            given = labelled
        task = self.task(train, validation, given)
        scoring = Scoring(
            target.scored,
            target.train.inputs,
            train,
            validation,
            self._config.num_classes,
            target.test is None,
            self._config.proxy_a_distance,
            scored,
        )
        return self.built(method, task, device), scoring

    def on_target(self, method: type[Algorithm], device: str) -> tuple[Algorithm, Scoring]:
        """A method that trains on target labels, never on those of samples it is scored on."""
        source, target, classes = self._source, self._target, self._config.num_classes
        labelled, validation = self._hold_out(target.train)
        if target.test is not None:
            task = self.task(source.train if method.uses_source else labelled, validation, labelled)
            scoring = Scoring(
                target.test,
                target.train.inputs,
                labelled,
                validation,
                classes,
                transductive=False,
                source_part="target_labelled",
            )
            return self.built(method, task, device), scoring
        models, scored = [], []
        for rows, fold in splits.folds(target.train.labels, FOLDS, self._trial.seed):
            part = target.train.take(rows)
            task = self.task(source.train if method.uses_source else part, None, part)
            models.append(self.built(method, task, device))
            scored.append(fold)
        # Out-of-fold accuracy on these labels would be the oracle's: there is no source score without it.
        scoring = Scoring(target.train, target.train.inputs, None, None, classes, transductive=True)
        return CrossFit(models, scored), scoring

    def task(self, source: Samples, validation: Samples | None, labelled: Samples | None) -> Task:
        """What a method learns from."""
        return Task(
            source=source,
            source_validation=validation,
            target_inputs=self._target.train.inputs,
            num_classes=self._config.num_classes,
            epochs=self._config.epochs,
            target_labelled=labelled,
            backbone=self._protocol.backbone,
            training=self._config.training or self._protocol.training,
            pretrained=self._config.pretrained,
            values=self._protocol.options.get("values", "symmetric"),
        )

    def built(self, method: type[Algorithm], task: Task, device: str) -> Algorithm:
        """The method over a task."""
        return method(task, method.params_type.decode(self._trial.params), device, self._trial.seed)

    def _hold_out(self, samples: Samples) -> tuple[Samples, Samples | None]:
        if not self._protocol.holdout:
            return samples, None
        kept, held = splits.holdout(samples.labels, self._protocol.holdout, self._trial.seed)
        return samples.take(kept), samples.take(held)

    def _few_labels(self) -> tuple[Samples | None, NDArray[np.integer] | None]:
        """The few labelled target samples, and which of the scored ones remain (None: all).

        They are drawn from the target's training samples. Where those are the scored ones, too, the drawn ones are
        taken out of them; where only some classes have labels, all samples of these classes are.
        """
        few, target, seed = self._protocol.few, self._target, self._trial.seed
        if few is None:
            return None, None
        among = None if few.classes is None else splits.some_classes(self._config.num_classes, few.classes, seed)
        drawn, rest = splits.few_shot(target.train.labels, few.per_class, seed, among)
        rows = rest if target.test is None else np.arange(len(target.test))
        if among is not None:
            rows = rows[~np.isin(target.scored.labels[rows], among)]
        return target.train.take(drawn) if len(drawn) else None, rows
