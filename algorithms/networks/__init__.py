"""Networks: backbones, digit networks, heads, gradient reversal, multilinear maps.

For orchestration: :func:`load_pretrained`, :func:`build_backbone`, :func:`extract_features`; for methods: the rest.
"""

from transfer_sweep.algorithms.networks.backbones import (
    BACKBONES,
    BackboneError,
    build_backbone,
    extract_features,
    load_pretrained,
)
from transfer_sweep.algorithms.networks.convolutional import PUBLISHED, SCRATCH
from transfer_sweep.algorithms.networks.discriminator import ClassDiscriminators, Critic, DomainDiscriminator
from transfer_sweep.algorithms.networks.gradient_reversal import reverse_gradient
from transfer_sweep.algorithms.networks.multilinear import MultilinearMap, RandomizedMultilinearMap
from transfer_sweep.algorithms.networks.network import Network, Output, build_network, has_batch_norm

__all__ = [
    "BACKBONES",
    "PUBLISHED",
    "SCRATCH",
    "BackboneError",
    "ClassDiscriminators",
    "Critic",
    "DomainDiscriminator",
    "MultilinearMap",
    "Network",
    "Output",
    "RandomizedMultilinearMap",
    "build_backbone",
    "build_network",
    "extract_features",
    "has_batch_norm",
    "load_pretrained",
    "reverse_gradient",
]
