"""Out-of-fold training: one model per fold, each scored only on samples whose labels it never saw.

For the upper bound ``target_only`` where the scored samples are all there is (transductive protocols).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.algorithms.base import Algorithm, Prediction, StateDict


class CrossFit:
    """Several models of one method behind the interface of one.

    Args:
        models: one per fold.
        scored: (n_f,) indices into ``inputs`` of each fold's samples; together they cover it once.
        inputs: the array that is scored, as an object: predicting it gives every sample to the one model
            that did not train on it. Other inputs get the mean of all models' answers.
    """

    def __init__(
        self, models: Sequence[Algorithm], scored: Sequence[NDArray[np.integer]], inputs: NDArray[Any]
    ) -> None:
        self.models, self.scored, self.inputs = list(models), list(scored), inputs

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

    def predict(self, inputs: NDArray[Any]) -> Prediction:
        """Out-of-fold for the array given at construction; the mean over models for any other."""
        if inputs is not self.inputs:
            answers = [model.predict(inputs) for model in self.models]
            return Prediction(
                np.mean([a.logits for a in answers], axis=0), np.mean([a.features for a in answers], axis=0)
            )
        parts = [model.predict(inputs[rows]) for model, rows in zip(self.models, self.scored, strict=True)]
        order = np.argsort(np.concatenate(self.scored))
        return Prediction(
            np.concatenate([p.logits for p in parts])[order], np.concatenate([p.features for p in parts])[order]
        )

    def criteria(self) -> dict[str, float]:
        """None: those of a fold would be of other samples than the rest."""
        return {}

    def state_dict(self) -> StateDict:
        """The state of every fold."""
        return {"folds": [model.state_dict() for model in self.models]}

    def load_state_dict(self, state: StateDict) -> None:
        """Continue every fold."""
        for model, part in zip(self.models, state["folds"], strict=True):
            model.load_state_dict(part)
