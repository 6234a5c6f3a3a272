"""Labels of the target that choose trials: those that the user gave of a part of it, or a few that are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transfer_sweep.datasets import splits
from transfer_sweep.datasets.base import Dataset
from transfer_sweep.reports.drawn_labels import ByLabels, Drawn
from transfer_sweep.reports.ledger.records import Trial
from transfer_sweep.reports.selection import TARGET_LABELS
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial.task import drawn


def with_labels_given(experiment: Experiment, trials: Sequence[Trial], dataset: Dataset) -> tuple[Experiment, str]:
    """The experiment with what chooses its trials, and a line that says so where labels of a part were given.

    Such labels choose unless the file names a criterion itself, or some target of the trials has all labels or none:
    numbers of one experiment are chosen in one way.

    Args:
        experiment: as the file has it.
        trials: its search trials whose data is there.
        dataset: its data.

    Raises:
        SweepError: the file says that labels are to choose, and a target has none or the data is published.
        DataError: the user's own data cannot be read.
    """
    targets = list(dict.fromkeys(trial.pair.target for trial in trials))
    if experiment.criterion == TARGET_LABELS:
        if not dataset.of_user:
            raise SweepError(
                f"criterion: {TARGET_LABELS} is for the labels that you have of your own data; with all labels of a "
                "published target it would be the oracle, which every report shows"
            )
        for target in targets:
            if not dataset.known_classes(target):
                raise SweepError(f"criterion: {TARGET_LABELS} chooses by labels of each target, and {target} has none")
    if not dataset.of_user or "criterion" in experiment.model_fields_set:
        return experiment, ""
    partly = [target for target in targets if dataset.known_classes(target) and not dataset.wholly_labelled(target)]
    if not partly:
        return experiment, ""
    names = ", ".join(partly)
    if partly == targets:
        return experiment.model_copy(update={"criterion": TARGET_LABELS}), (
            f"the labels given of {names} choose, and train nothing: accuracy on them flatters; "
            f"`criterion: {experiment.criterion}` chooses without them"
        )
    return experiment, (
        f"the labels given of {names} are for reporting only, since not all targets have some and lack some: "
        f"{experiment.criterion} chooses"
    )


def draw_labels(experiment: Experiment, trials: Sequence[Trial], dataset: Dataset) -> dict[str, Drawn]:
    """The labels that choose where the criterion is by drawn ones: target → a few of its samples with theirs.

    They are drawn at random of the target's training samples with labels, whatever the classes, with the experiment's
    seed; where those are the scored ones, the drawn are not scored.

    Args:
        experiment: for its criterion and seed.
        trials: its search trials whose data is there.
        dataset: its data.

    Raises:
        SweepError: a target has too few labels.
        DataError: the data cannot be read.
    """
    by, found = ByLabels.parse(experiment.criterion), dict[str, Drawn]()
    if by is None:
        return found
    for target in dict.fromkeys(trial.pair.target for trial in trials):
        whole = dataset.load(target)
        domain = drawn(whole, experiment.seed)
        labelled = np.flatnonzero(domain.train.labelled)
        needed = by.number + (domain.test is None)  # one at least is scored
        if len(labelled) < needed:
            raise SweepError(
                f"criterion: {by} draws labels of each target, and {target} has {len(labelled)} samples with one: "
                f"it takes {needed} at least"
            )
        rows = splits.some_samples(labelled, by.number, experiment.seed)
        scored = len(labelled) if domain.test is None else None
        seed = None if whole.train_size is None else experiment.seed
        found[target] = Drawn(tuple(rows.tolist()), tuple(domain.train.labels[rows].tolist()), scored, seed)
    return found
