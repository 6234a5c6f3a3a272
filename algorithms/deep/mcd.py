"""MCD: maximum classifier discrepancy, two classifiers against their feature generator."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import Batch, BatchNormDomains, DeepMethod, DeepParams
from transfer_sweep.algorithms.losses.discrepancy import classifier_discrepancy
from transfer_sweep.algorithms.networks import Output, reverse_gradient
from transfer_sweep.datasets.base import added_later


class MCDParams(DeepParams):
    """The paper tunes num_k alone."""

    batch_norm_domains: BatchNormDomains = added_later(
        "separate",
        before="joint",
        description="what batch norm sees: separate, each domain's batch by itself (the authors' code); joint, both in "
        "one batch (TLL); source, the source alone",
    )
    num_k: int = Field(4, ge=1, le=32, description="generator updates a step, n of the paper (Saito 2018: 2, 3 or 4)")
    trade_off: float = Field(1.0, ge=0, le=1000, description="weight of the discrepancy (Saito 2018: 1)")
    one_step: bool = Field(False, description="one update through a gradient reversal layer (Saito 2018, appendix)")


class MCD(DeepMethod):
    """A: all learn the source. B: classifiers part on the target, the generator fixed. C: the generator joins them."""

    name = "mcd"
    source = "Saito et al. 2018, Maximum Classifier Discrepancy for Unsupervised Domain Adaptation (CVPR), section 3.3"
    version = 2  # joint is joint in all three steps
    semi_supervised = False  # its steps are of two classifiers; what they should do with target labels, no paper says
    params_type = MCDParams
    params: MCDParams

    def auxiliary(self) -> dict[str, nn.Module]:
        return {"second": self.network.another_classifier()}

    def parameter_groups(self) -> dict[str, list[tuple[nn.Module, float]]]:
        backbone, bottleneck, first, second = super().parameter_groups()["all"]
        return {"generator": [backbone, bottleneck], "classifiers": [first, second]}

    def step(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        if self.params.one_step:
            return self._one_step(source, target)
        learned = self._source_loss(self.forward_source(source.inputs, target).features, source.labels)
        self.minimise({"A": learned})

        with torch.no_grad():  # B leaves the generator alone
            on_source, on_target = self.forward_pair(source.inputs, target)
        kept = self._source_loss(on_source.features, source.labels)
        self.minimise({"kept": kept, "B": -self._discrepancy(on_target.features)}, "classifiers")

        for _ in range(self.params.num_k):
            discrepancy = self._discrepancy(self.forward_target(source.inputs, target).features)
            self.minimise({"C": discrepancy}, "generator")
        return {"classification": learned, "discrepancy": discrepancy}

    def _one_step(self, source: Batch, target: Tensor) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        learned = self._source_loss(on_source.features, source.labels)
        # Classifiers climb the discrepancy; the generator, below the reversal, descends it.
        discrepancy = self._discrepancy(reverse_gradient(on_target.features))
        self.minimise({"A": learned, "B and C": -discrepancy})
        return {"classification": learned, "discrepancy": discrepancy}

    def _source_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        first, second = self.network.classifier(features), self.nets["second"](features)
        return cross_entropy(first, labels) + cross_entropy(second, labels)

    def _discrepancy(self, features: Tensor) -> Tensor:
        distance = classifier_discrepancy(self.network.classifier(features), self.nets["second"](features))
        return self.params.trade_off * distance

    def evaluate(self, inputs: Tensor) -> Output:
        """Both classifiers vote with the mean of their logits, as in the authors' ensemble."""
        output = self.forward(inputs)
        return output._replace(logits=0.5 * (output.logits + self.nets["second"](output.features)))
