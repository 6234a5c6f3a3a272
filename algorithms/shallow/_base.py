"""What the shallow methods share: vectors in, a representation of both domains, a simple classifier on top.

A method here says how it represents samples; the classifiers (nearest neighbour, linear SVM, logistic regression),
the eigenbasis of a scatter matrix, and saving and loading are below. Everything is deterministic and runs on a CPU.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from transfer_sweep.algorithms.base import (
    Algorithm,
    DomainRole,
    Params,
    Part,
    Prediction,
    StateDict,
    Task,
    TrainingError,
    role,
)
from transfer_sweep.datasets.base import Samples

if TYPE_CHECKING:
    from torch import nn

Matrix = NDArray[np.floating[Any]]

# The largest block of distances held at once, in float64 numbers (32 MB).
_BLOCK = 4_000_000
# The logit of a class without source samples: below any distance met here, and finite, also as float16, so that
# entropies of predictions stay finite.
ABSENT = -1e4
# Eigenvalues of a scatter matrix below this part of the largest are rounding errors of its null space.
_RANK_TOLERANCE = 1e-10


class ShallowMethod(Algorithm):
    """A method on vectors that is fitted at once.

    A subclass sets what it learns in :meth:`fit`, names those attributes in ``learned``, and turns inputs into
    features in :meth:`represent`; the classifier that it fits on the source's features gives the logits.

    Attributes:
        learned: names of the attributes that :meth:`fit` sets; arrays and numbers.
    """

    family = "shallow"
    deterministic = True
    learned: ClassVar[tuple[str, ...]] = ()

    def __init__(self, task: Task, params: Params, device: str = "cpu", seed: int = 0) -> None:
        super().__init__(task, params, device, seed)
        self.source_vectors = as_vectors(task.source.inputs)
        self.target_vectors = as_vectors(task.target_inputs)

    @classmethod
    def budget(cls, params: Params, epochs: int) -> int:
        """One unit: there is nothing to stop early."""
        return 1

    def labelled(self) -> tuple[Matrix, NDArray[np.int64]]:
        """Vectors (n, m) and labels (n,) of all labelled samples: the source's, and the target's where it has a few.

        For semi-supervised methods, which learn from both as from one set.
        """
        few = self.task.target_labelled
        if few is None:
            return self.source_vectors, self.task.source.labels
        vectors = np.concatenate([self.source_vectors, as_vectors(few.inputs)])
        return vectors, np.concatenate([self.task.source.labels, few.labels])

    def fit_epoch(self) -> dict[str, float]:
        """Fit; returns what :meth:`fit` measures."""
        return self.fit()

    @abstractmethod
    def fit(self) -> dict[str, float]:
        """Learn from the source's vectors and labels and the target's vectors; set what ``learned`` names."""

    @abstractmethod
    def represent(self, vectors: Matrix, domain: DomainRole) -> Matrix:
        """Features (n, d) of any vectors (n, m) of a domain."""

    def represent_part(self, part: Part) -> Matrix:
        """Features (n, d) of samples of the task; a transductive method has those of its training samples already."""
        known = {"source": self.source_vectors, "target": self.target_vectors}
        vectors = known[part] if part in known else as_vectors(self.task.inputs(part))
        return self.represent(vectors, role(part))

    @abstractmethod
    def classify(self, features: Matrix) -> Matrix:
        """Logits (n, K) of features (n, d)."""

    @property
    def compares_with_samples(self) -> bool:
        """Whether its classifier compares with labelled samples (1-NN), which then are part of the model."""
        return False

    def predict(self, inputs: NDArray[Any] | csr_array, domain: DomainRole = "target") -> Prediction:
        """Logits and features of inputs: (n, m) vectors or (n, channels, height, width) uint8 images."""
        return self._prediction(self.represent(as_vectors(inputs), domain))

    def predict_part(self, part: Part) -> Prediction:
        """Logits and features of samples of the task, as :meth:`represent_part` has them."""
        return self._prediction(self.represent_part(part))

    def _prediction(self, features: Matrix) -> Prediction:
        return Prediction(self.classify(features).astype(np.float32), features.astype(np.float32))

    def state_dict(self) -> StateDict:
        """The learned arrays as tensors, the learned numbers as they are."""
        import torch  # noqa: PLC0415 - most uses of a shallow method need no torch

        state: StateDict = {}
        for name in self.learned:
            value = getattr(self, name, None)
            state[name] = torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
        return state

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from what :meth:`state_dict` returned."""
        import torch  # noqa: PLC0415 - most uses of a shallow method need no torch

        for name in self.learned:
            value = state[name]
            setattr(self, name, value.numpy().copy() if isinstance(value, torch.Tensor) else value)

    def model_state(self) -> StateDict:
        """What is learned and, where the classifier compares with them, the labelled samples."""
        state = self.state_dict()
        if self.compares_with_samples:
            few = self.task.target_labelled
            state["source"] = _encoded(self.task.source)
            state["target_labelled"] = None if few is None else _encoded(few)
        return state

    def load_model_state(self, state: StateDict) -> None:
        """Predict as the model did whose :meth:`model_state` this is, which brings the samples that it compares with.

        A state without them (of models saved before they were part of it) leaves those of the task.
        """
        self.load_state_dict(state)
        if "source" in state:
            few = state["target_labelled"]
            self.task = replace(
                self.task,
                source=_decoded(state["source"]),
                target_labelled=None if few is None else _decoded(few),
            )
            self.source_vectors = as_vectors(self.task.source.inputs)

    def module(self) -> nn.Module:
        """Representation of the target's inputs and classifier, in float64."""
        from torch import nn  # noqa: PLC0415 - most uses of a shallow method need no torch

        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415

        return nn.Sequential(_modules.AsVectors(), *self.represent_modules(), self.classify_module(), _modules.Single())

    def represent_modules(self) -> list[nn.Module]:
        """:meth:`represent` for the target as torch modules, one after another, on float64 vectors (n, m)."""
        raise NotImplementedError(f"{self.name} does not say how it represents samples as a torch module")

    def classify_module(self) -> nn.Module:
        """:meth:`classify` as a torch module, on float64 features (n, d)."""
        raise NotImplementedError(f"{self.name} does not say how it classifies as a torch module")


class LinearMethod(ShallowMethod):
    """A shallow method whose classifier is linear: ``weight`` (K, d) and ``bias`` (K,)."""

    learned: ClassVar[tuple[str, ...]] = ("weight", "bias")
    weight: Matrix
    bias: Matrix

    def classify(self, features: Matrix) -> Matrix:
        """Decision values (n, K)."""
        return features @ self.weight.T + self.bias

    def classify_module(self) -> nn.Module:
        """A linear map."""
        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415

        return _modules.Affine(self.weight.T, self.bias)


class AlignmentParams(Params):
    """Hyperparameters of a method that moves the source onto the target and then trains a classifier on it."""

    classifier: Literal["nn", "svm"] = Field(
        "nn", description="what is trained on the aligned source: 1-NN as in Fernando et al. 2013, or a linear SVM"
    )
    C: float = Field(1.0, ge=1e-6, le=1e6, description="cost of the SVM; LIBLINEAR's default, Fan et al. 2008")
    unit_length: bool = Field(
        False, description="scale aligned samples to length one before the classifier; off in the papers' equations"
    )


class AlignmentMethod(ShallowMethod):
    """A shallow method that maps source and target into one space, then trains 1-NN or an SVM on the source.

    A subclass learns its maps in :meth:`align` and applies them in :meth:`transform`.
    """

    params: AlignmentParams
    learned: ClassVar[tuple[str, ...]] = ("weight", "bias")
    weight: Matrix | None = None
    bias: Matrix | None = None
    _references: Matrix | None = None

    @property
    def compares_with_samples(self) -> bool:
        """Whether the classifier is 1-NN."""
        return self.params.classifier == "nn"

    @abstractmethod
    def align(self) -> None:
        """Learn the maps from ``self.source_vectors`` and ``self.target_vectors``."""

    @abstractmethod
    def transform(self, vectors: Matrix, domain: DomainRole) -> Matrix:
        """The vectors (n, m) of a domain in the common space (n, d)."""

    def fit(self) -> dict[str, float]:
        """Learn the maps, then the classifier."""
        self.align()
        self._references = None
        if self.params.classifier == "svm":
            features = self.represent_part("source")
            labels, classes = self.task.source.labels, self.task.num_classes
            self.weight, self.bias = fit_linear_classifier("svm", features, labels, classes, self.params.C)
        return {}

    def represent(self, vectors: Matrix, domain: DomainRole) -> Matrix:
        """The vectors in the common space, scaled to unit length if so chosen."""
        transformed = self.transform(np.asarray(vectors, dtype=np.float64), domain)
        return unit_rows(transformed) if self.params.unit_length else transformed

    def classify(self, features: Matrix) -> Matrix:
        """Minus the distance to each class's nearest aligned source sample, or the SVM's decision values."""
        if self.weight is not None and self.bias is not None:
            return features @ self.weight.T + self.bias
        return nearest_neighbor_logits(features, self.references(), self.task.source.labels, self.task.num_classes)

    def references(self) -> Matrix:
        """The aligned source samples (n, d), computed once."""
        if self._references is None:
            self._references = self.represent_part("source")
        return self._references

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from what :meth:`state_dict` returned."""
        super().load_state_dict(state)
        self._references = None

    @abstractmethod
    def transform_modules(self) -> list[nn.Module]:
        """:meth:`transform` for the target as torch modules, on float64 vectors (n, m)."""

    def represent_modules(self) -> list[nn.Module]:
        """Those of :meth:`transform_modules`, and unit length if so chosen."""
        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415

        return [*self.transform_modules(), *([_modules.UnitRows()] if self.params.unit_length else [])]

    def classify_module(self) -> nn.Module:
        """1-NN among the aligned source samples, or a linear map."""
        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415

        if self.weight is not None and self.bias is not None:
            return _modules.Affine(self.weight.T, self.bias)
        return _modules.NearestNeighbor(self.references(), self.task.source.labels, self.task.num_classes)


def _encoded(samples: Samples) -> StateDict:
    """Samples as tensors; sparse inputs stay so."""
    import torch  # noqa: PLC0415 - most uses of a shallow method need no torch

    inputs = samples.inputs
    arrays: dict[str, NDArray[Any]] = {"labels": samples.labels}
    if isinstance(inputs, csr_array):
        arrays |= {"data": inputs.data, "indices": inputs.indices, "indptr": inputs.indptr}
    else:
        arrays["inputs"] = inputs
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    return {**tensors, "width": inputs.shape[1]}


def _decoded(state: StateDict) -> Samples:
    """What :func:`_encoded` encoded."""
    arrays = {name: tensor.numpy() for name, tensor in state.items() if name != "width"}
    labels = arrays.pop("labels")
    if "inputs" in arrays:
        return Samples(arrays["inputs"], labels)
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    return Samples(csr_array(parts, shape=(len(labels), state["width"])), labels)


def as_vectors(inputs: NDArray[Any] | csr_array) -> Matrix:
    """Inputs as dense float32 or float64 vectors (n, m): uint8 images are flattened and divided by 255."""
    if isinstance(inputs, csr_array):
        dense: Matrix = inputs.toarray()
        return dense
    vectors = inputs.reshape(len(inputs), -1)
    if inputs.dtype == np.uint8:
        return vectors.astype(np.float32) / np.float32(255)
    return vectors.astype(np.float32) if inputs.dtype == np.float16 else vectors


def unit_rows(vectors: Matrix) -> Matrix:
    """The vectors (n, m) scaled to Euclidean length one; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def nearest_neighbor_logits(queries: Matrix, references: Matrix, labels: NDArray[np.int64], num_classes: int) -> Matrix:
    """Minus the Euclidean distance of each query to the nearest reference of each class.

    The largest logit is that of the nearest reference's class (1-NN). Distances are computed in float64, block by
    block, as one matrix product each.

    Args:
        queries: (n, d).
        references: (r, d).
        labels: (r,) classes of the references.
        num_classes: K.

    Returns:
        (n, K); a class without references gets a logit below every other.
    """
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    sorted_references = np.asarray(references[order], dtype=np.float64)
    squares = np.einsum("ij,ij->i", sorted_references, sorted_references)
    factor = -2 * sorted_references.T
    nearest = np.empty((len(queries), len(present)))
    step = max(1, _BLOCK // max(1, len(references)))
    for start in range(0, len(queries), step):
        block = np.asarray(queries[start : start + step], dtype=np.float64)
        distances = block @ factor
        distances += squares
        distances += np.einsum("ij,ij->i", block, block)[:, None]
        nearest[start : start + step] = np.minimum.reduceat(distances, starts, axis=1)
    logits = np.full((len(queries), num_classes), ABSENT)
    logits[:, present] = -np.sqrt(np.maximum(nearest, 0))
    if len(present) < num_classes and len(queries):
        absent = np.setdiff1d(np.arange(num_classes), present)
        logits[:, absent] = min(ABSENT, 2 * float(logits[:, present].min()))
    return logits


def fit_linear_classifier(
    kind: Literal["svm", "logistic_regression"],
    features: Matrix,
    labels: NDArray[np.int64],
    num_classes: int,
    cost: float,
) -> tuple[Matrix, Matrix]:
    """Weights and biases of a linear classifier, from scikit-learn.

    Args:
        kind: ``svm``: one classifier against the rest for each class, squared hinge loss (LIBLINEAR, Fan 2008);
            ``logistic_regression``: multinomial, by L-BFGS.
        features: (n, d).
        labels: (n,).
        num_classes: K.
        cost: weight C of the losses, summed over samples, against half the squared length of the weights.

    Features are divided by their mean length for the fit, so that a cost means the same on any of them (and one that
    is moderate stays so: LIBLINEAR takes minutes on a thousand samples of length 30).

    Returns:
        weight (K, d) and bias (K,); a class without samples has weight zero and a bias below every other.

    Raises:
        TrainingError: all samples are of one class.
    """
    if len(np.unique(labels)) < 2:
        raise TrainingError("a linear classifier needs source samples of at least two classes, there is only one")
    scale = float(np.linalg.norm(features, axis=1).mean()) or 1.0
    if kind == "svm":
        # The dual has a variable per sample, the primal one per feature. Only the order of the dual's steps is random.
        model = LinearSVC(C=cost, dual=features.shape[0] < features.shape[1], random_state=0, max_iter=10_000)
    else:
        model = LogisticRegression(C=cost, max_iter=1000)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes")  # of one sample per class
        model.fit(np.asarray(features, dtype=np.float64) / scale, labels)
    coefficients, intercepts = model.coef_ / scale, model.intercept_
    if len(model.classes_) == 2:  # one decision value, for the second class against the first
        coefficients, intercepts = np.vstack([-coefficients, coefficients]), np.hstack([-intercepts, intercepts])
    weight = np.zeros((num_classes, features.shape[1]))
    bias = np.full(num_classes, ABSENT)
    weight[model.classes_], bias[model.classes_] = coefficients, intercepts
    return weight, bias


class Eigenbasis(NamedTuple):
    """Eigenvalues (r,), largest first, and eigenvectors (m, r) of a scatter matrix of rank r."""

    values: Matrix
    vectors: Matrix


def scatter_eigenbasis(vectors: Matrix) -> Eigenbasis:
    """Eigenvalues and eigenvectors of the scatter (X − mean)ᵀ(X − mean) of the vectors (n, m), null space left out.

    The smaller of the m×m scatter and the n×n Gram matrix is decomposed, in float64.
    """
    centred = np.asarray(vectors, dtype=np.float64)
    centred = centred - centred.mean(0)
    samples, dimensions = centred.shape
    small = centred.T @ centred if dimensions <= samples else centred @ centred.T
    values, basis = scipy.linalg.eigh(small, driver="evd", overwrite_a=True, check_finite=True)
    values, basis = values[::-1], basis[:, ::-1]
    rank = max(1, int(np.count_nonzero(values > _RANK_TOLERANCE * values[0])))
    values, basis = values[:rank], basis[:, :rank]
    if dimensions > samples:
        basis = centred.T @ (basis / np.sqrt(values))
    return Eigenbasis(values, basis)
