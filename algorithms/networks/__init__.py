"""Networks: backbones, digit networks, heads, gradient reversal, multilinear maps.

For orchestration: :func:`load_pretrained`, :func:`build_backbone`, :func:`extract_features`; for methods: the rest.
"""

from algorithms.networks.backbones import (
    BACKBONES,
    BackboneError,
    build_backbone,
    extract_features,
    load_pretrained,
)
from algorithms.networks.convolutional import PUBLISHED, SCRATCH
from algorithms.networks.discriminator import ClassDiscriminators, Critic, DomainDiscriminator
from algorithms.networks.gradient_reversal import reverse_gradient
from algorithms.networks.multilinear import MultilinearMap, RandomizedMultilinearMap
from algorithms.networks.network import Network, Output, build_network

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
    "load_pretrained",
    "reverse_gradient",
]
