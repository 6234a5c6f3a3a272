"""A network of one hidden layer on the source alone: the DANN paper's NN, Algorithm 1 without its domain regressor."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array
from sklearn.preprocessing import normalize

from transfer_sweep.algorithms.base import (
    Algorithm,
    DomainRole,
    Params,
    Part,
    Prediction,
    StateDict,
    Task,
    TrainingError,
)
from transfer_sweep.algorithms.shallow._base import as_vectors
from transfer_sweep.algorithms.shallow._stochastic import Network, train_pass

if TYPE_CHECKING:
    from torch import nn

_PATIENCE = 1.5  # × the passes that the best network took, in the authors' code
_VALIDATION = 0.1  # of the target's samples, held out where the network is learnt back


class ShallowNNParams(Params):
    """The paper: D 50 or 100, μ 0.001, early stopping on the validation risk."""

    hidden_size: int = Field(50, ge=1, le=10_000, description="D: units of the hidden layer (Ganin 2016: 50 or 100)")
    lr: float = Field(1e-3, gt=0, le=1, description="μ: learning rate of every step (Ganin 2016: 0.001)")
    max_passes: int = Field(200, ge=1, le=10_000, description="passes over the source, at most (authors' code: 200)")
    min_passes: int = Field(30, ge=0, le=10_000, description="passes before early stopping may end (authors' code: 30)")
    scaling: Literal["none", "length", "log_length"] = Field(
        "none",
        description="of a sample: none (Ganin 2016); to a given length, which makes long reviews count no more than "
        "short ones; log_length: the same after x ↦ log(1 + x), for counts",
    )
    length: float = Field(10.0, gt=0, le=1e4, description="that samples are scaled to; raw counts average 10 to 13")


class ShallowNN(Algorithm):
    """Stochastic steps until the validation risk has not fallen for half as many passes as the best network took.

    The network with the lowest validation risk is kept (of equals the latest, as in the authors' code); where nothing
    of the source is held out, the last one. Training is one unit of budget: it ends by its own criterion.
    """

    name = "shallow_nn"
    source = "Ganin et al. 2016, Domain-Adversarial Training of Neural Networks (JMLR 17), section 5.1: NN"
    family = "shallow"
    params_type: ClassVar[type[Params]] = ShallowNNParams
    params: ShallowNNParams
    network: Network

    def __init__(self, task: Task, params: Params, device: str = "cpu", seed: int = 0) -> None:
        super().__init__(task, params, device, seed)
        self._rng = np.random.default_rng(seed)
        self._source = self._prepare(task.source.inputs)
        self._target = self._prepare(task.target_inputs)
        held = task.source_validation
        self._validation = None if held is None else (self._prepare(held.inputs), held.labels)

    @classmethod
    def budget(cls, params: Params, epochs: int) -> int:
        """One unit: early stopping on the source is part of the algorithm."""
        return 1

    def fit_epoch(self) -> dict[str, float]:
        """Train; returns training and validation risk (0 to 1) of the network kept, and the passes it took."""
        task = self.task
        start = Network.random(self._source.shape[1], self.params.hidden_size, task.num_classes, self._rng)
        self.network, passes, risk = self._train(
            start, self._source, task.source.labels, self._target, self._validation
        )
        measured = {"training_risk": self._risk(self.network, self._source, task.source.labels), "passes": passes}
        return measured if risk is None else {**measured, "validation_risk": risk}

    @property
    def game(self) -> tuple[float, float] | None:
        """λ, and the domain regressor's rate over μ; None where there is no domain regressor."""
        return None

    def _train(
        self,
        network: Network,
        source: csr_array,
        labels: NDArray[np.int64],
        target: csr_array,
        validation: tuple[csr_array, NDArray[np.int64]] | None,
    ) -> tuple[Network, int, float | None]:
        """The network kept, the passes after which it was there, and its validation risk."""
        best, best_risk, best_pass = network, np.inf, 0
        until = self.params.min_passes
        for done in range(1, self.params.max_passes + 1):
            train_pass(network, source, labels, target, self._rng, self.params.lr, self.game)
            if not np.isfinite(network.V).all():
                raise TrainingError(f"the weights are not finite after {done} passes: lower lr ({self.params.lr:g})")
            if validation is None:
                best, best_pass = network, done
                continue
            risk = self._risk(network, *validation)
            if risk <= best_risk:
                best, best_risk, best_pass = network.copy(), risk, done
                until = max(until, int(_PATIENCE * done))
            elif done > until:
                break
        return best, best_pass, None if validation is None else float(best_risk)

    @staticmethod
    def _risk(network: Network, inputs: csr_array, labels: NDArray[np.int64]) -> float:
        return float((network.logits(network.hidden(inputs)).argmax(1) != labels).mean())

    def criteria(self) -> dict[str, float]:
        """Reverse validation, in percent (Ganin et al. 2016, section 5.1.2; Zhong et al. 2010).

        The network learns on, from the target's samples with its predictions as labels and the source's without
        any, stopped early on a tenth of the former; what comes out is scored on the source samples that neither saw.
        Nothing where the protocol holds out no source samples.
        """
        if self._validation is None:
            return {}
        predicted = self.network.logits(self.network.hidden(self._target)).argmax(1)
        order = np.random.default_rng(self.seed).permutation(len(predicted))
        kept, stop = np.split(order, [len(order) - max(1, round(_VALIDATION * len(order)))])
        back, _, _ = self._train(
            self.network.copy(),
            self._target[kept],
            predicted[kept],
            self._source,
            (self._target[stop], predicted[stop]),
        )
        return {"reverse_validation": 100 * (1 - self._risk(back, *self._validation))}

    def _prepare(self, inputs: NDArray[Any] | csr_array) -> csr_array:
        """Inputs (n, m) as a CSR matrix of float32, scaled."""
        vectors = inputs if isinstance(inputs, csr_array) else as_vectors(inputs)
        prepared = csr_array(vectors).astype(np.float32)
        if self.params.scaling == "log_length":
            if len(prepared.data) and prepared.data.min() < 0:
                raise TrainingError("scaling log_length is for counts: these inputs have negative entries")
            prepared.data = np.log1p(prepared.data)
        if self.params.scaling != "none":
            prepared = csr_array(normalize(prepared) * np.float32(self.params.length))
        return prepared

    def predict(self, inputs: NDArray[Any] | csr_array, domain: DomainRole = "target") -> Prediction:
        """Logits, and the hidden units (n, D) as features."""
        return self._prediction(self._prepare(inputs))

    def predict_part(self, part: Part) -> Prediction:
        """Logits and hidden units of samples of the task, most of which are prepared already."""
        if part == "source":
            return self._prediction(self._source)
        if part == "target":
            return self._prediction(self._target)
        if part == "validation" and self._validation is not None:
            return self._prediction(self._validation[0])
        return super().predict_part(part)

    def _prediction(self, prepared: csr_array) -> Prediction:
        hidden = self.network.hidden(prepared)
        return Prediction(self.network.logits(hidden).astype(np.float32), hidden.astype(np.float32))

    def module(self) -> nn.Module:
        """Scaling and the network's two layers, in float64."""
        from torch import nn  # noqa: PLC0415 - training needs no torch

        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415 - likewise

        scaling: list[nn.Module] = [_modules.Log1p()] if self.params.scaling == "log_length" else []
        if self.params.scaling != "none":
            scaling.append(_modules.UnitRows(self.params.length))
        net = self.network
        layers = [_modules.Affine(net.W, net.b), nn.Sigmoid(), _modules.Affine(net.V.T, net.c)]
        return nn.Sequential(_modules.AsVectors(), *scaling, *layers, _modules.Single())

    def state_dict(self) -> StateDict:
        """The network, once it is trained."""
        import torch  # noqa: PLC0415 - training needs no torch

        if not hasattr(self, "network"):
            return {"network": None}
        return {"network": {f.name: torch.from_numpy(getattr(self.network, f.name).copy()) for f in fields(Network)}}

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from what :meth:`state_dict` returned."""
        if state["network"] is not None:
            self.network = Network(**{name: tensor.numpy().copy() for name, tensor in state["network"].items()})
