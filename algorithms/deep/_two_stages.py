"""Deep methods that learn in two stages: a task first, then another one with what the first has left."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field
from torch import nn

from transfer_sweep.algorithms.base import Params, StateDict, Task, TrainingError
from transfer_sweep.algorithms.deep._base import DeepMethod, DeepParams
from transfer_sweep.datasets.base import Samples


class StageParams(DeepParams):
    """How the epochs are split."""

    first_share: float = Field(
        0.5, ge=0, lt=1, description="share of the epochs that go to the first stage; 0: there is none"
    )


class TwoStageMethod(DeepMethod):
    """A deep method whose trial has two stages, each with new optimizers and schedules.

    What :meth:`labelled` gives is learned first, with the losses of the method as it then is. Before the second stage
    :meth:`second_stage` changes the network as the method wants it and gives the samples to go on with.

    Attributes:
        second: whether the second stage has begun.
        frozen: modules that the second stage leaves as they are; their batch norms keep their statistics.
    """

    stages = 2
    params_type = StageParams
    params: StageParams

    def __init__(self, task: Task, params: Params, device: str = "cpu", seed: int = 0) -> None:
        self.second = False
        self.frozen: list[nn.Module] = []
        super().__init__(task, params, device, seed)
        self.first_epochs, self.second_epochs = self.lengths(self.params, task.epochs)
        if not self.first_epochs:
            self._start_second_stage()

    @abstractmethod
    def second_stage(self) -> Samples:
        """Make the network ready for the second stage; return the labelled samples to train on."""

    @classmethod
    def lengths(cls, params: StageParams, epochs: int) -> tuple[int, int]:
        """Epochs of the first and of the second stage; each has one at least, unless ``first_share`` is 0.

        Raises:
            TrainingError: fewer than two epochs for two stages.
        """
        if not params.first_share:
            return 0, epochs
        if epochs < 2:
            raise TrainingError(f"{cls.name} trains in two stages: 2 epochs at least, not {epochs}")
        first = min(max(1, round(params.first_share * epochs)), epochs - 1)
        return first, epochs - first

    @classmethod
    def budget(cls, params: Params, epochs: int) -> int:
        """The epochs of both stages."""
        assert isinstance(params, StageParams)
        return sum(cls.lengths(params, epochs))

    def progress_after(self, epochs: float) -> float:
        """p of the stage that runs."""
        if self.second:
            return (epochs - self.first_epochs) / max(self.second_epochs, 1)
        return epochs / max(self.first_epochs, 1)

    def fit_epoch(self) -> dict[str, float]:
        """One epoch of the stage whose turn it is."""
        if not self.second and self.epoch >= self.first_epochs:
            self._start_second_stage()
        return super().fit_epoch()

    def skip_to_last_stage(self) -> bool:
        """To the second, whatever the first has learned."""
        if self.second:
            return False
        self.epoch = self.first_epochs
        self._start_second_stage()
        return True

    def load_state_dict(self, state: StateDict) -> None:
        """Continue in the stage in which :meth:`state_dict` was called."""
        if not self.second and state["epoch"] > self.first_epochs:
            self._start_second_stage()
        super().load_state_dict(state)

    def _start_second_stage(self) -> None:
        self.second = True
        with self._random_state.in_use():
            samples = self.second_stage()
        for module in self.frozen:
            module.requires_grad_(False)
        self.learn_from(samples)
        self.start_optimizers()

    def _train_mode(self) -> None:
        super()._train_mode()
        for module in self.frozen:
            module.eval()
