"""Out-of-fold training: one model per fold, each scored only on samples whose labels it never saw.

For the upper bound ``target_only`` where the scored samples are all there is (transductive protocols).
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import get_annotations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.algorithms.base import Algorithm, DomainRole, Part, Prediction, StateDict


class CrossFit(Algorithm):
    """Several models of one method behind the interface of one. What that method declares, this declares too.

    Args:
        models: one per fold, whose tasks have the same target inputs.
        scored: (n_f,) rows of the target inputs that each fold's model did not train on; together they are each row
            once.
    """

    def __init__(self, models: Sequence[Algorithm], scored: Sequence[NDArray[np.integer]]) -> None:
        first = models[0]
        super().__init__(first.task, first.params, first.device, first.seed)
        for declared in get_annotations(Algorithm):
            setattr(self, declared, getattr(first, declared))
        self.models, self.scored = list(models), list(scored)

    def fit_epoch(self) -> dict[str, float]:
        """One unit of budget for each fold; the mean of their losses."""
        losses = [model.fit_epoch() for model in self.models]
        return {name: float(np.mean([loss[name] for loss in losses])) for name in losses[0]}

    def shorten_epoch(self, steps: int) -> float:
        """Shorten each fold's; the folds are of one size, but for a sample."""
        return max(model.shorten_epoch(steps) for model in self.models)

    def skip_to_last_stage(self) -> bool:
        """As each fold's model does."""
        return all(model.skip_to_last_stage() for model in self.models)  # all or none

    def predict(self, inputs: NDArray[Any], domain: DomainRole = "target") -> Prediction:
        """The mean over the folds' models."""
        answers = [model.predict(inputs, domain) for model in self.models]
        return Prediction(np.mean([a.logits for a in answers], axis=0), np.mean([a.features for a in answers], axis=0))

    def predict_part(self, part: Part) -> Prediction:
        """Out-of-fold: each target sample by the one model that did not train on it.

        Raises:
            ValueError: another part is asked for. Each fold has its own.
        """
        if part != "target":
            raise ValueError(f"cross-fitted models have no samples {part!r} in common")
        inputs = self.task.target_inputs
        parts = [model.predict(inputs[rows]) for model, rows in zip(self.models, self.scored, strict=True)]
        order = np.argsort(np.concatenate(self.scored))
        return Prediction(
            np.concatenate([p.logits for p in parts])[order], np.concatenate([p.features for p in parts])[order]
        )

    @property
    def can_be_saved(self) -> bool:
        """No: a mean of models is no model, nor has it one representation."""
        return False

    def state_dict(self) -> StateDict:
        """The state of every fold."""
        return {"folds": [model.state_dict() for model in self.models]}

    def load_state_dict(self, state: StateDict) -> None:
        """Continue every fold."""
        for model, part in zip(self.models, state["folds"], strict=True):
            model.load_state_dict(part)
