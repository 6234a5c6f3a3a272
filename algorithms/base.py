"""The one interface of all methods, shallow and deep, and the task they are given.

The label firewall starts here: a :class:`Task` has no labels of the samples that will be scored, so that no
method can use them, by intent or by mistake.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.datasets.base import Recorded, Samples, ValueRange

if TYPE_CHECKING:
    from torch import nn

LabelAccess = Literal["none", "few", "target_train"]
StateDict = dict[str, Any]

DomainRole = Literal["source", "target"]
"""Of which of a pair's two domains inputs are."""

Part = Literal["source", "validation", "target", "target_labelled"]
"""Samples of a task, by name: ``source``, what it trains on; ``validation``, the source samples held out of training;
``target``, the unlabelled target training inputs; ``target_labelled``, the labelled target samples."""


def role(part: Part) -> DomainRole:
    """The domain that a part's samples are of."""
    return "source" if part in ("source", "validation") else "target"


class TrainingError(RuntimeError):
    """Training cannot go on (a loss that is not finite, say). Its text is one line for the user."""


class Params(Recorded):
    """Hyperparameters of a method. Each field has a default, bounds and, in its description, the source."""

    @classmethod
    def bounds(cls) -> dict[str, dict[str, float]]:
        """Field → its bounds as JSON schema names them; empty where it has none."""
        names = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
        fields = cls.model_json_schema().get("properties", {})
        return {field: {name: each[name] for name in names if name in each} for field, each in fields.items()}


@dataclass(frozen=True)
class Task:
    """What a method learns from.

    Attributes:
        source: labelled source samples to train on.
        source_validation: source samples held out of training; None where the protocol holds out nothing.
        target_inputs: (m, ...) unlabelled target training inputs.
        num_classes: number of classes K.
        epochs: the full budget that schedules depend on (early stopping does not shorten it).
        target_labelled: labelled target samples, disjoint from those scored: for methods that declare
            ``label_access`` other than ``none``, and for ``semi_supervised`` ones where the protocol gives a few.
        backbone: what turns inputs into features: a network's name, or what the raw vectors are called.
        training: ``frozen``: inputs are features of that backbone already, computed once;
            ``finetune``: inputs are images, and the (pretrained) backbone trains with the rest;
            ``scratch``: the same without pretrained weights; ``raw``: inputs are the dataset's own vectors.
        pretrained: the backbone's pretrained ``state_dict``, handed over for ``finetune``.
        values: what networks trained from scratch see of the images' grey levels.
    """

    source: Samples
    source_validation: Samples | None
    target_inputs: NDArray[Any]
    num_classes: int
    epochs: int = 1
    target_labelled: Samples | None = None
    backbone: str = "raw"
    training: Literal["raw", "frozen", "finetune", "scratch"] = "raw"
    pretrained: StateDict | None = None
    values: ValueRange = "symmetric"

    def samples(self, part: Literal["source", "validation", "target_labelled"]) -> Samples:
        """The labelled samples of that name.

        Raises:
            ValueError: the task has none.
        """
        named = {
            "source": self.source,
            "validation": self.source_validation,
            "target_labelled": self.target_labelled,
        }
        found = named[part]
        if found is None:
            raise ValueError(f"the task has no samples {part!r}")
        return found

    def inputs(self, part: Part) -> NDArray[Any]:
        """The inputs (n, ...) of that name.

        Raises:
            ValueError: the task has none.
        """
        return self.target_inputs if part == "target" else self.samples(part).inputs


@dataclass(frozen=True)
class Prediction:
    """What a method says of n inputs.

    Attributes:
        logits: (n, K) float32; the class with the largest one is the prediction.
        features: (n, d) float32, the representation that the last classifier works on.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]


class Discriminator(NamedTuple):
    """What a method declares of domain discriminators whose gradient it reverses.

    Attributes:
        loss: the name of their loss among those that it reports: a mean cross-entropy over both domains.
        per_class: whether there is one for each class, and the loss is the sum of theirs.
    """

    loss: str
    per_class: bool = False


class Algorithm(ABC):
    """A transfer-learning method. Subclass it in ``algorithms/<family>/<name>.py``; the registry finds it.

    Attributes:
        name: the module's name, and that of experiment files and ``paper_results.csv``.
        source: citation, with equation numbers where the code follows one.
        family: ``shallow`` (runs on vectors, on a CPU) or ``deep`` (the training loop).
        label_access: which target labels it needs. ``none``; ``few``: a drawn few-shot set;
            ``target_train``: labels of target samples that are never scored.
        semi_supervised: whether one that needs none also learns from a few-shot set, where the protocol draws one.
        uses_source: whether it learns from the source; one that does not runs once per target.
        deterministic: whether the result is the same for every seed (given the same split).
        stages: one after another in its epochs. Early stopping leaves a method of several alone: what trials are like
            in the first says nothing of what the last makes of them.
        version: raised when its behaviour changes, so that results of both are told apart (above 1, it is part of a
            trial's identity).
        discriminator: of a method that reverses the gradient of domain discriminators, which loss is theirs.
        paper_settings: dataset → the params that its paper fixed for all pairs there, where it did not search them by
            target labels. A report shows the trial that has them beside the published numbers.
        params_type: its hyperparameters.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    family: ClassVar[Literal["shallow", "deep"]]
    label_access: ClassVar[LabelAccess] = "none"
    semi_supervised: ClassVar[bool] = False
    uses_source: ClassVar[bool] = True
    deterministic: ClassVar[bool] = False
    stages: ClassVar[int] = 1
    version: ClassVar[int] = 1
    discriminator: ClassVar[Discriminator | None] = None
    paper_settings: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    params_type: ClassVar[type[Params]] = Params

    def __init__(self, task: Task, params: Params, device: str = "cpu", seed: int = 0) -> None:
        self.task = task
        self.params = params
        self.device = device
        self.seed = seed

    @classmethod
    def takes_few_labels(cls) -> bool:
        """Whether it learns from a few labelled target samples."""
        return cls.label_access == "few" or cls.semi_supervised

    @classmethod
    def budget(cls, params: Params, epochs: int) -> int:
        """Units of budget a full run takes: 1 for a one-shot method, ``epochs`` for a deep one."""
        raise NotImplementedError

    @classmethod
    def control(cls, params: Params, backbone: str, training: str) -> tuple[str, Mapping[str, Any]] | None:
        """The method with the same batch-norm statistics of both domains, and no loss of them: its name and its params.

        What that gains over ``source_only`` as it is, batch norm gains by seeing the target, and not the method. It has
        the shared hyperparameters, and nothing else of the method: neither balanced batches, nor augmentation, nor
        several steps in one.

        Args:
            params: the method's.
            backbone, training: of its protocol.

        Returns:
            None where batch norm sees no target, by default.
        """
        return None

    @abstractmethod
    def fit_epoch(self) -> dict[str, float]:
        """Do one unit of budget; return the losses of it, by name.

        Raises:
            TrainingError: a loss is not finite.
        """

    def shorten_epoch(self, steps: int) -> float:
        """Make epochs of at most so many steps, to time them; return the share of a whole epoch that this is.

        A unit of budget that has no steps stays whole: 1.
        """
        return 1.0

    def skip_to_last_stage(self) -> bool:
        """Go on to the stage that trains last, to measure it, too; return whether there was one to go on to."""
        return False

    @abstractmethod
    def predict(self, inputs: NDArray[Any], domain: DomainRole = "target") -> Prediction:
        """Logits and features for any inputs of the task's form, unseen ones too.

        Args:
            inputs: (n, ...).
            domain: which they are of. Some methods transform the two differently.
        """

    def predict_part(self, part: Part) -> Prediction:
        """Logits and features for samples of the task; of a transductive method, its answer for its training samples.

        Raises:
            ValueError: the task has no such samples.
        """
        return self.predict(self.task.inputs(part), role(part))

    @property
    def can_be_saved(self) -> bool:
        """Whether it is one model to use elsewhere, which :meth:`model_state` gives."""
        return True

    def criteria(self) -> dict[str, float]:
        """Scores of itself that only the method can compute, by name; higher is better. By default none.

        ``reverse_validation``, say: the accuracy on source samples of what the method learns from the target with
        its predictions as labels (Ganin 2016, section 5.1.4). Asked for at a trial's end and at rungs.
        """
        return {}

    def model_state(self) -> StateDict:
        """What prediction needs of the state, without what only training needs; by default all of it."""
        return self.state_dict()

    def load_model_state(self, state: StateDict) -> None:
        """Predict as the model did whose :meth:`model_state` this is."""
        self.load_state_dict(state)

    def module(self) -> nn.Module:
        """What :meth:`predict` says of target inputs as one torch module on the CPU, for use elsewhere.

        Returns:
            (n, …) inputs of the task's form as a tensor → (n, K) float32 logits; in evaluation mode.

        Raises:
            NotImplementedError: the method does not say how.
        """
        raise NotImplementedError(f"{self.name} does not say how it predicts as a torch module")

    @abstractmethod
    def state_dict(self) -> StateDict:
        """All that is needed to continue bit for bit on CPU.

        Values are tensors, numbers, strings, None, and dicts and lists of those, so that
        ``torch.load(weights_only=True)`` restores them.
        """

    @abstractmethod
    def load_state_dict(self, state: StateDict) -> None:
        """Continue from what :meth:`state_dict` returned, for the same task, params and seed."""
