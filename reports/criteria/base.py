"""What a criterion is, and what it is computed from.

A criterion scores a trial without target labels; higher is better. It is one class in ``NAME.py``, of one of four
kinds: of a single trial (:class:`TrialCriterion`, nearly all), of trials beside each other
(:class:`EnsembleCriterion`), or made of others: a mean of ranks (:class:`MeanRank`), or one for each family of methods
(:class:`ByFamily`). Outputs or features that hold a NaN give
NaN, never an exception, so that a diverged trial is recorded like any other, and chosen last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.reports.criteria.density_ratio import density_ratio
from transfer_sweep.reports.criteria.outputs import LabelledOutputs, Outputs


class Need(Enum):
    """What a criterion looks at."""

    PREDICTIONS = "predictions on the unlabelled target training inputs"
    FEATURES = "features of the samples it looks at"
    SOURCE = "labelled source training samples"
    VALIDATION = "source samples held out of training"
    PASSES = "further passes of the model"
    METHOD = "the method itself, where it can tell"
    CELL = "all trials of the cell"
    PAIR = "the trials of all methods on the pair"


class Cost(Enum):
    """When a criterion can be afforded."""

    EVERY_EPOCH = "at every epoch"
    WHERE_TRIALS_END = "at rungs and at the last epoch"
    AFTERWARDS = "never by a trial: out of what trials recorded"


class Criterion(ABC):
    """A score of trials that is computed without target labels; higher is better.

    Attributes:
        name: the module's name, and that of experiment files and reports.
        text: what it is, in a line, as reports and pages show it.
        needs: what it looks at. One that needs nothing but predictions is also computed for trials that did not
            record it, from their stored logits.
        cost: when it is computed.
        version: of its definition. Raise it where values change: those of two versions are never compared.
        place: where it stands in lists; equal places are ordered by name.
    """

    name: ClassVar[str]
    text: ClassVar[str]
    needs: ClassVar[frozenset[Need]]
    cost: ClassVar[Cost]
    version: ClassVar[int] = 1
    place: ClassVar[int] = 1000

    @property
    def key(self) -> str:
        """What its values are recorded under."""
        return self.name if self.version == 1 else f"{self.name}@{self.version}"


def _nothing_to_predict(_inputs: NDArray[Any]) -> NDArray[Any]:
    raise LookupError("only stored predictions are known of this model")


@dataclass(frozen=True)
class Evidence:
    """What is known of a trained model without target labels. What several criteria look at is computed once.

    Attributes:
        target: outputs for the unlabelled target training inputs.
        num_classes: K.
        target_inputs: (n, …) those inputs.
        validation: outputs for source samples held out of training; None where the protocol holds out nothing.
        predict: further inputs of the form of ``target_inputs`` → their logits (m, K).
        outputs_on_source: asks the model for the source training samples; None where there is no source to ask about.
        scores_of_method: asks the method for the scores that it gives itself, by name of the criterion.
    """

    target: Outputs
    num_classes: int
    target_inputs: NDArray[Any]
    validation: LabelledOutputs | None = None
    predict: Callable[[NDArray[Any]], NDArray[Any]] = _nothing_to_predict
    outputs_on_source: Callable[[], LabelledOutputs] | None = None
    scores_of_method: Callable[[], Mapping[str, float]] = dict

    @classmethod
    def of_logits(cls, logits: NDArray[Any]) -> Evidence:
        """What the stored logits (n, K) of a trial on the target tell."""
        target = Outputs.of_logits(logits)
        return cls(target, logits.shape[1], target.features)

    @cached_property
    def source(self) -> LabelledOutputs | None:
        """Outputs for the source training samples, predicted when first asked for; None where there are none."""
        return None if self.outputs_on_source is None else self.outputs_on_source()

    @cached_property
    def importance(self) -> NDArray[np.float64] | None:
        """(n,) density ratio target : source at the validation samples; None without any, or without a source."""
        if self.validation is None or self.source is None:
            return None
        return density_ratio(self.source.features, self.target.features, self.validation.features)


class TrialCriterion(Criterion):
    """A criterion by which a trial scores itself: it can stop trials, and choose."""

    cost: ClassVar[Cost] = Cost.EVERY_EPOCH

    @abstractmethod
    def compute(self, evidence: Evidence) -> float | None:
        """The score of a trained model.

        Returns:
            The score; NaN where it is not defined; None where it is none that this method has, so that nothing is
            recorded.
        """


class Comparison(ABC):
    """Trials that are compared with each other. They come one by one: what they predict is too much to hold at once."""

    @abstractmethod
    def add(self, trial: Outputs | None, vote: bool) -> None:
        """Take in the next trial.

        Args:
            trial: its outputs for the same unlabelled target inputs as all others'; None where it has none.
            vote: whether it has a say: collapsed trials have none while others have not collapsed.
        """

    @abstractmethod
    def scores(self) -> list[float]:
        """One score a trial, in the order in which they came; NaN where it is not defined."""


class EnsembleCriterion(Criterion):
    """A criterion that compares a trial's predictions with those of others. It can choose, but not stop."""

    cost: ClassVar[Cost] = Cost.AFTERWARDS

    @abstractmethod
    def compute(self) -> Comparison:
        """A new comparison, of the trials of a cell or, with :attr:`Need.PAIR`, of all that saw the same of a pair."""


class MeanRank(Criterion):
    """The mean of a trial's ranks in its cell by other criteria. It can choose, but not stop.

    Attributes:
        parts: the names of those criteria.
    """

    parts: ClassVar[tuple[str, ...]]
    needs: ClassVar[frozenset[Need]] = frozenset({Need.CELL})
    cost: ClassVar[Cost] = Cost.AFTERWARDS

    def compute(self, ranks: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Mean over criteria of (n,) ranks of n trials, as shares in (0, 1]; 1 is best."""
        return sum(ranks[1:], start=ranks[0]) / len(ranks)


class ByFamily(Criterion):
    """Another criterion in cells of deep methods than in those of classical ones. It can choose, but not stop.

    Attributes:
        deep, shallow: the names of those criteria.
    """

    deep: ClassVar[str]
    shallow: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PAIR})
    cost: ClassVar[Cost] = Cost.AFTERWARDS
