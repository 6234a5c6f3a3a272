"""The label firewall: from two domains to what a method may see and what only the scoring does.

Everything that touches target labels is in this file and in :mod:`transfer_sweep.sweep.trial.scoring`. A
:class:`~transfer_sweep.algorithms.base.Task` gets none of the scored samples' labels;
:class:`~transfer_sweep.sweep.trial.scoring.Scoring` keeps them, for one number that no decision reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm, StateDict, Task
from transfer_sweep.algorithms.cross_fit import CrossFit
from transfer_sweep.datasets import splits
from transfer_sweep.datasets.base import Domain, Samples
from transfer_sweep.reports.ledger.records import Training, Trial
from transfer_sweep.sweep.trial.scoring import Scoring

FOLDS = 5


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


def build_trial(
    trial: Trial, source: Domain, target: Domain, config: TaskConfig, device: str
) -> tuple[Algorithm, Scoring]:
    """A trial's method ready to train on its pair, and what scores it. The seed of draws and splits is the trial's.

    Args:
        trial: its identity.
        source, target: the domains of its pair, whole, in its representation.
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
        self._trial, self._config = trial, config
        self._source, self._target = (drawn(domain, trial.seed) for domain in (source, target))
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
            train, validation = self._hold_out(_with_labels(self._source.train))
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
            target_classes=self._protocol.target_classes,
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


def drawn(domain: Domain, seed: int) -> Domain:
    """The domain with the training samples that a trial of this seed has."""
    if domain.train_size is None:
        return domain
    rows = splits.subset(len(domain.train), domain.train_size, seed, domain.name)
    return replace(domain, train=domain.train.take(rows), train_size=None)


def _with_labels(samples: Samples) -> Samples:
    """The samples of which a class is known."""
    known = samples.labelled
    return samples if known.all() else samples.take(np.flatnonzero(known))
