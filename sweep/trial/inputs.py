"""The arrays that trials work on: a dataset's own, the frozen features of a backbone, or mSDA; computed once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from threadpoolctl import threadpool_limits

from transfer_sweep.algorithms.networks.backbones import (
    BACKBONES,
    build_backbone,
    code_of,
    extract_features,
    load_pretrained,
)
from transfer_sweep.algorithms.representations.msda import MSDAParams, msda, span_coordinates
from transfer_sweep.datasets.base import Dataset, Domain, Progress, Samples
from transfer_sweep.datasets.io.cache import cached_array, content_key
from transfer_sweep.reports.ledger.records import RAW, Trial, canonical
from transfer_sweep.sweep import environment
from transfer_sweep.sweep.errors import SweepError

_MSDA_VERSION = 1  # of its code: what another one left in the cache is not used


def load(
    dataset: Dataset,
    keys: Iterable[tuple[str, str]],
    cache: Path,
    progress: Progress,
    weights: Path | None = None,
) -> dict[tuple[str, str], Domain]:
    """The domains that a plan needs, each in each representation it is needed in.

    Args:
        dataset: where they come from.
        keys: (domain, representation), see :meth:`Protocol.representation`.
        cache: folder for features, keyed by what they are computed from.
        progress: told of slow work as it goes on.
        weights: a file of pretrained weights instead of the published ones.

    Raises:
        DataError: a file is missing or damaged.
        BackboneError: the backbone has no weights here.
    """
    raw = _Raw(dataset)
    frozen: dict[str, _Frozen] = {}
    found: dict[tuple[str, str], Domain] = {}
    for name, form in dict.fromkeys(keys):
        if (name, form) in found:
            continue
        if form == RAW:
            found[name, form] = raw(name, {})
        elif form.startswith("{"):
            inputs = json.loads(form)
            params, pair = inputs.pop("msda", None), inputs.pop("pair", [name])
            domains = {each: raw(each, inputs) for each in pair}
            if params is not None:
                domains = _denoised(domains, MSDAParams.model_validate(params), cache, progress)
            found |= {(each, form): domain for each, domain in domains.items()}
        else:
            if form not in frozen:
                frozen[form] = _Frozen(form, cache, progress, weights)
            found[name, form] = frozen[form](raw(name, {}), f"{dataset.name}/{name}")
    return found


class _Raw:
    """A dataset's own domains, each read once for each of its options."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._loaded: dict[tuple[str, str], Domain] = {}

    def __call__(self, name: str, options: dict[str, Any]) -> Domain:
        key = (name, canonical(options))
        if key not in self._loaded:
            own = self._dataset
            if options:
                own = own.with_options(own.options.model_copy(update=options))
            self._loaded[key] = own.load(name)
        return self._loaded[key]


def _denoised(domains: dict[str, Domain], params: MSDAParams, cache: Path, progress: Progress) -> dict[str, Domain]:
    """mSDA of one or two domains, learned from their training inputs together."""
    learned_from = [domain.train for domain in domains.values()]
    parts = learned_from + [domain.test for domain in domains.values() if domain.test is not None]
    label = f"mSDA of {' and '.join(domains)}"
    digest = hashlib.sha256()
    for part in parts:
        for array in _buffers(part.inputs):
            digest.update(np.ascontiguousarray(array).data)
    key = content_key("msda", _MSDA_VERSION, params.model_dump(exclude={"rotate"}), digest.hexdigest())[:32]

    def build() -> NDArray[np.float16]:
        inputs = [part.inputs for part in learned_from]
        together = vstack(inputs, format="csr") if isinstance(inputs[0], csr_array) else np.vstack(inputs)
        with threadpool_limits(environment.cores()):  # no trial runs yet: all cores are ours
            return msda(
                together,
                [part.inputs for part in parts[len(learned_from) :]],
                params,
                lambda done, total: progress(label, done, total),
            )

    def rotated() -> NDArray[np.float32]:
        features = cached_array(cache / "features", f"msda-{key}", build)
        with threadpool_limits(environment.cores()):
            return span_coordinates(features, sum(len(part) for part in learned_from))

    if params.rotate:
        features = cached_array(cache / "features", f"msda-{key}-rotated", rotated)
    else:
        features = cached_array(cache / "features", f"msda-{key}", build)
    ends = np.cumsum([len(part) for part in parts])
    cut = np.split(np.asarray(features), ends[:-1])
    made = {id(part): Samples(inputs, part.labels) for part, inputs in zip(parts, cut, strict=True)}
    return {
        name: replace(d, train=made[id(d.train)], test=None if d.test is None else made[id(d.test)])
        for name, d in domains.items()
    }


def _buffers(inputs: NDArray[Any] | csr_array) -> tuple[NDArray[Any], ...]:
    return (inputs.indptr, inputs.indices, inputs.data) if isinstance(inputs, csr_array) else (inputs,)


class _Frozen:
    """Turns a domain's images into features of one backbone."""

    def __init__(self, backbone: str, cache: Path, progress: Progress, weights: Path | None) -> None:
        if backbone not in BACKBONES:
            raise SweepError(f"frozen features need a pretrained backbone ({', '.join(BACKBONES)}), not {backbone!r}")
        self._name, self._cache, self._progress = backbone, cache, progress
        state = load_pretrained(backbone, weights)
        digest = hashlib.sha256(code_of(backbone).encode())
        for key in sorted(state):
            digest.update(key.encode())
            digest.update(state[key].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        self._weights = digest.hexdigest()[:16]
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._network = build_backbone(backbone, state)

    def __call__(self, domain: Domain, label: str) -> Domain:
        test = domain.test
        return replace(
            domain,
            train=Samples(self._features(domain.train.inputs, label), domain.train.labels),
            test=None if test is None else Samples(self._features(test.inputs, f"{label} test"), test.labels),
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


def wanted(trials: Iterable[Trial]) -> list[tuple[str, str]]:
    """(domain, representation) of every array that these trials work on, each once."""
    return list(dict.fromkeys((domain, trial.representation) for trial in trials for domain in trial.pair))


def fine_tuned(trials: Iterable[Trial]) -> list[str]:
    """The backbones that these trials fine-tune, each once."""
    return list(dict.fromkeys(t.protocol.backbone for t in trials if t.protocol.training == "finetune"))
