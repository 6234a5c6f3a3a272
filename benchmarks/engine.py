"""Seconds per epoch of every deep method, and of the same model in a bare loop, in one run.

    python -m benchmarks.engine [--vectors 1280] [--repeats 5] [--only dann cdan]

Sizes are those of Office-31's amazon → webcam on frozen EfficientNet-Lite0 features (2535 labelled, 795 unlabelled,
1280 features, 31 classes, batch 64); the values are noise, which costs the same. Measurements go round the methods
again and again, and the smallest of each is kept, so that other work on the machine disturbs all alike; they count
processor time, not the clock. Read the ratios: seconds are this machine's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from tabulate import tabulate
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from transfer_sweep.algorithms import registry
from transfer_sweep.algorithms.base import Task
from transfer_sweep.algorithms.networks import DomainDiscriminator, reverse_gradient
from transfer_sweep.datasets.base import Samples

CLASSES, BATCH, EPOCHS = 31, 64, 1000  # so many epochs that no schedule comes to its end


def noise_task(vectors: int) -> Task:
    """A task of amazon → webcam's sizes, of noise."""
    rng = np.random.default_rng(0)

    def samples(n: int) -> Samples:
        return Samples(rng.random((n, vectors), dtype=np.float32), np.arange(n) % CLASSES)

    target = samples(795)
    return Task(
        samples(2535), None, target.inputs, CLASSES, EPOCHS, target, backbone="efficientnet_lite0", training="frozen"
    )


def bare_loop(task: Task, adversarial: bool) -> Callable[[], object]:
    """What a script would do: the model of ``source_only`` (or ``dann``), written out without the engine."""
    torch.manual_seed(0)
    xs, ys, xt = (torch.from_numpy(a) for a in (task.source.inputs, task.source.labels, task.target_inputs))
    features = nn.Sequential(nn.Linear(xs.shape[1], 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5))
    classifier, discriminator = nn.Linear(256, CLASSES), DomainDiscriminator(256, 256)
    trained = [features, classifier, *([discriminator] if adversarial else [])]
    optimizer = torch.optim.SGD(
        [p for module in trained for p in module.parameters()], lr=0.01, momentum=0.9, weight_decay=1e-3, fused=True
    )
    steps = -(-len(xs) // BATCH)
    domains = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)])

    def epoch() -> None:
        source = torch.cat([torch.randperm(len(xs)) for _ in range(2)])
        target = torch.cat([torch.randperm(len(xt)) for _ in range(4)])
        for step in range(steps):
            rows = slice(step * BATCH, (step + 1) * BATCH)
            labels = ys[source[rows]]
            if adversarial:
                f = features(torch.cat([xs[source[rows]], xt[target[rows]]]))
                domain = discriminator(reverse_gradient(f, 0.5))
                loss = cross_entropy(classifier(f[:BATCH]), labels) + binary_cross_entropy_with_logits(domain, domains)
            else:
                loss = cross_entropy(classifier(features(xs[source[rows]])), labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1280, help="features per sample")
    parser.add_argument("--repeats", type=int, default=5, help="rounds over the methods")
    parser.add_argument("--only", nargs="*", help="methods; all deep ones by default")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    task = noise_task(arguments.vectors)

    runs: dict[str, Callable[[], object]] = {
        "bare loop of source_only": bare_loop(task, adversarial=False),
        "bare loop of dann": bare_loop(task, adversarial=True),
    }
    deep = [name for name, family in registry.names().items() if family == "deep"]
    for name in dict.fromkeys(["source_only", "dann", *(arguments.only or deep)]):
        method = registry.get(name)
        runs[name] = method(task, method.params_type(), "cpu", 0).fit_epoch
    seconds = {name: float("inf") for name in runs}
    for round_ in range(arguments.repeats + 1):
        for name, run in runs.items():
            started = time.process_time()
            run()
            if round_:  # the first round warms up
                seconds[name] = min(seconds[name], time.process_time() - started)

    rows = [
        (name, f"{1000 * spent:.0f}", f"{spent / seconds['source_only']:.2f}")
        for name, spent in sorted(seconds.items(), key=lambda item: item[1])
    ]
    print(tabulate(rows, ("method", "ms per epoch", "× source_only"), tablefmt="github", disable_numparse=True))
    for name in ("source_only", "dann"):
        print(f"engine / bare loop, {name}: {seconds[name] / seconds[f'bare loop of {name}']:.3f}")


if __name__ == "__main__":
    main()
