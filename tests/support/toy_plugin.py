"""A plug-in of one file: a method, a data set of its own, a criterion and a backbone. Tests hand it to ``--plugin``."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from torch import nn

from transfer_sweep.algorithms.base import DomainRole, Params
from transfer_sweep.algorithms.networks.backbones import Backbone
from transfer_sweep.algorithms.shallow._base import Matrix, ShallowMethod
from transfer_sweep.datasets.base import Dataset, Domain, FileCheck, Samples
from transfer_sweep.reports.criteria.base import Evidence, Need, TrialCriterion


class ClassMeansParams(Params):
    """Hyperparameters of the nearest class mean."""

    shrink: float = Field(0.0, ge=0, lt=1, description="share by which means move to the origin")


class ClassMeans(ShallowMethod):
    """Nearest class mean."""

    name = "class_means"
    source = "a toy"
    params_type = ClassMeansParams
    params: ClassMeansParams

    def fit(self) -> dict[str, float]:
        """Means of the classes."""
        return {}

    def represent(self, vectors: Matrix, domain: DomainRole) -> Matrix:
        """As they are."""
        return vectors

    def classify(self, features: Matrix) -> Matrix:
        """Minus distances to the means."""
        vectors, labels = self.labelled()
        means = np.stack([vectors[labels == k].mean(axis=0) for k in range(self.task.num_classes)])
        means = means * (1 - self.params.shrink)
        distances: Matrix = np.linalg.norm(features[:, None] - means[None], axis=2)
        return -distances


class Blobs(Dataset):
    """Two domains of pictures: bright on the left or on the right."""

    name = "blobs"
    source = "a toy"
    domains = ("plain", "noisy")
    classes = ("left", "right")
    raw_backbone = "pixels"
    needs_root = False

    def load(self, domain: str) -> Domain:
        """40 pictures, (3, 224, 224)."""
        rng = np.random.default_rng(0)
        labels = np.arange(40) % 2
        images = rng.integers(0, 60 if domain == "plain" else 120, (40, 3, 224, 224)).astype(np.uint8)
        images[labels == 0, :, :, :112] += 100
        images[labels == 1, :, :, 112:] += 100
        return Domain(domain, Samples(images, labels.astype(np.int64)))

    def verify(self) -> list[FileCheck]:
        """Nothing to miss."""
        return [FileCheck("nothing", "ok")]


class Margin(TrialCriterion):
    """Mean difference of the two largest probabilities."""

    name = "margin"
    text = "mean difference of the two largest probabilities"
    needs = frozenset({Need.PREDICTIONS})

    def compute(self, evidence: Evidence) -> float:
        """See the class."""
        second, first = np.sort(evidence.target.probabilities, axis=1)[:, -2:].T
        return float((first - second).mean())


def _trunk() -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(56), nn.Flatten())


blocky = Backbone(48, _trunk, head="none.", weights=dict)
