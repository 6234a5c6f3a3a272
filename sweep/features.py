"""The arrays that trials work on: a dataset's own, or the frozen features of a backbone, computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.networks.backbones import BACKBONES, build_backbone, extract_features, load_pretrained
from datasets.base import Dataset, Domain, Progress, Samples
from datasets.cache import cached_array
from sweep import SweepError, environment

RAW = "raw"


def load(
    dataset: Dataset,
    wanted: Iterable[tuple[str, str]],
    cache: Path,
    progress: Progress,
    weights: Path | None = None,
) -> dict[tuple[str, str], Domain]:
    """The domains that a plan needs, each in each representation it is needed in.

    Args:
        dataset: where they come from.
        wanted: (domain, representation): :data:`RAW`, or the name of a backbone for its frozen features.
        cache: folder for features, keyed by the images' and the weights' content.
        progress: told of slow work as it goes on.
        weights: a file of pretrained weights instead of the published ones.

    Raises:
        DataError: a file is missing or damaged.
        BackboneError: the backbone has no weights here.
    """
    loaded: dict[str, Domain] = {}
    frozen: dict[str, _Frozen] = {}
    found: dict[tuple[str, str], Domain] = {}
    for name, form in dict.fromkeys(wanted):
        if name not in loaded:
            loaded[name] = dataset.load(name)
        if form == RAW:
            found[name, form] = loaded[name]
            continue
        if form not in frozen:
            frozen[form] = _Frozen(form, cache, progress, weights)
        found[name, form] = frozen[form](loaded[name], f"{dataset.name}/{name}")
    return found


class _Frozen:
    """Turns a domain's images into features of one backbone."""

    def __init__(self, backbone: str, cache: Path, progress: Progress, weights: Path | None) -> None:
        if backbone not in BACKBONES:
            raise SweepError(f"frozen features need a pretrained backbone ({', '.join(BACKBONES)}), not {backbone!r}")
        self._name, self._cache, self._progress = backbone, cache, progress
        state = load_pretrained(backbone, weights)
        digest = hashlib.sha256()
        for key in sorted(state):
            digest.update(key.encode())
            digest.update(state[key].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        self._weights = digest.hexdigest()[:16]
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._network = build_backbone(backbone, state)

    def __call__(self, domain: Domain, label: str) -> Domain:
        test = domain.test
        return Domain(
            domain.name,
            Samples(self._features(domain.train.inputs, label), domain.train.labels),
            None if test is None else Samples(self._features(test.inputs, f"{label} test"), test.labels),
        )

    def _features(self, images: NDArray[np.uint8], label: str) -> NDArray[np.float32]:
        pixels = hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()[:16]
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self._progress(f"{self._name} features of {label}", done, len(images))

        def build() -> NDArray[np.float32]:
            torch.set_num_threads(environment.cores())  # no trial runs yet: all cores are ours
            return extract_features(self._network, images, device=self._device, progress=advance)

        return cached_array(self._cache / "features", f"{self._name}-{self._weights}-{pixels}", build)
