"""Trials that share a GPU, through the whole run: how fast, whether what is measured of them holds, what they leave.

``python -m benchmarks.gpu.sharing [--trials 1 2 4 8 16] [--weights FILE] [--data-root PATH]`` prints four tables:

1. trials per hour and samples per second of small networks, so many at a time;
2. the peak of memory that each kind of trial reached, and what was forecast of it when ``gpu: auto`` measured it;
3. a trial that wants a third of the GPU and is given a sixteenth: what it was given until that was enough;
4. what a process holds of the GPU's memory between one trial and the next.

The second has ResNet-50 too, from weights drawn at random unless a file is given, on Office-31 where there is a data
root. Without a GPU, trials of the first table share the CPU instead, and the others are left out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import ray
import torch
from rich.console import Console
from safetensors.torch import save_file
from tabulate import tabulate
from torchvision.models import resnet50

from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.reports.ledger.records import planned
from transfer_sweep.sweep import environment
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.engine import tuner
from transfer_sweep.sweep.engine.trainable import TransferTrial
from transfer_sweep.sweep.resources import gpu_memory as gpu
from transfer_sweep.sweep.resources import shares as resources
from transfer_sweep.sweep.runner import Run, RunOptions

MIB = 2**20
TRACE = "gpu.jsonl"  # beside the ledger: what trials say of their memory
TRAIN, TEST = 2000, 500
SMALL = """
dataset: offline_digits
dataset_options: {{channels: 1, train: {train}, test: {test}}}
pairs: [rendered-photo]
protocol: {{backbone: small_cnn, training: scratch}}
epochs: {epochs}
early_stopping: {{scheduler: none}}
checkpoint_seconds: 3600
methods: {methods}
resources: {{cpu: {cpu}, gpu: {gpu}}}
"""
LARGE = """
dataset: {dataset}
pairs: [{pair}]
protocol: {{backbone: resnet50, training: finetune, weights: {weights}}}
epochs: 1
early_stopping: {{scheduler: none}}
methods: {{source_only: {{batch_size: [16, 64]}}, dann: {{batch_size: [16, 64]}}, mcd: {{batch_size: 32}}}}
resources: {{cpu: 1, gpu: auto}}
"""


class MeasuredTrial(TransferTrial):
    """The real Trainable, which says what it holds of the GPU's memory."""

    def _say(self, what: str, **values: float) -> None:
        if torch.cuda.is_available():
            with (Path(self._shared.folder) / TRACE).open("a") as file:
                file.write(json.dumps({"what": what, "trial": self._spec.trial.id, **values}) + "\n")

    def _build(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        super()._build()

    def step(self) -> dict[str, Any]:
        """A step, and the highest that memory was."""
        result = super().step()
        if torch.cuda.is_available():
            self._say("peak", bytes=torch.cuda.max_memory_reserved())
        return result

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Between two trials, and what is held there."""
        self._release()
        self._shared.memory.release()
        if torch.cuda.is_available():
            self._say("left", allocated=torch.cuda.memory_allocated(), reserved=torch.cuda.memory_reserved())
        return super().reset_config(new_config)


class GreedyTrial(MeasuredTrial):
    """A trial that holds a third of the GPU besides its model."""

    def _build(self) -> None:
        self._ballast: torch.Tensor | None = None
        self._ballast = torch.empty(self._shared.memory.total() // 3, dtype=torch.uint8, device=self._device)
        super()._build()


def run(
    trainable: type[TransferTrial], text: str, data_root: Path | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, Any, list[Any]]:
    """Run an experiment; its trials, their epochs, what was remembered of GPUs, and what trials said."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sharing.yaml").write_text(text)
        options = RunOptions(folder / "results", data_root, folder / "cache")
        driver = Run(loader.load(str(folder / "sharing.yaml")), options, Console(stderr=True))
        try:
            with patch.object(tuner, "TransferTrial", trainable):
                driver.execute()
        finally:
            ray.shutdown()
        said = driver.folder / TRACE
        lines = [json.loads(line) for line in said.read_text().splitlines()] if said.exists() else []
        with Ledger(driver.folder / FILE) as ledger:
            return ledger.trials(), ledger.epochs(), ledger.meta("gpu_memory", {}), lines


def speed(at_a_time: Sequence[int], epochs: int) -> None:
    """Trials per hour of small networks that share what there is."""
    rows: list[list[float]] = []
    for k in at_a_time:
        share = gpu.one_of(k) if torch.cuda.is_available() else 0
        methods = f"{{source_only: {{lr: {{loguniform: [0.001, 0.01]}}, samples: {3 * k}}}}}"
        cpu = min(1.0, environment.cores() / k)
        text = SMALL.format(train=TRAIN, test=TEST, epochs=epochs, methods=methods, cpu=cpu, gpu=share)
        trials, done, _, _ = run(MeasuredTrial, text)
        # The first k start with their processes; what is left runs in processes that are warm.
        warm = trials.sort_values("started_at").iloc[k:]
        hours = (warm["finished_at"].max() - trials["finished_at"].nsmallest(k).min()) / 3600
        seconds = done[done["trial"].isin(warm["id"])].groupby("trial")["seconds"].mean()
        rows.append([k, share, len(warm) / hours, float((TRAIN / seconds).mean()) * k])
    table = [[*row, row[2] / rows[0][2]] for row in rows]
    head = ["trials at a time", "share", "trials per hour", "samples/s in all", "× the first"]
    print(tabulate(table, head, "github", floatfmt=("d", ".4f", ".0f", ".0f", ".2f")), flush=True)


def forecasts(weights: Path | None, data_root: Path | None) -> None:
    """Peaks against what ``gpu: auto`` measured before."""
    rows = []
    methods = "{source_only: {batch_size: [32, 256]}, dann: {batch_size: [32, 256]}, mcd: {}, self_ensembling: {}}"
    small = SMALL.format(train=TRAIN, test=TEST, epochs=3, methods=methods, cpu=1, gpu="auto")
    with tempfile.TemporaryDirectory() as name:
        if weights is None:
            weights = Path(name) / "resnet50.safetensors"
            save_file({k: v.contiguous() for k, v in resnet50().state_dict().items()}, weights)
        dataset, pair = ("office31", "dslr-webcam") if data_root else ("offline_digits", "rendered-photo")
        large = LARGE.format(dataset=dataset, pair=pair, weights=weights)
        for text in (small, large):
            trials, _, known, said = run(MeasuredTrial, text, data_root)
            peaks = pd.DataFrame([line for line in said if line["what"] == "peak"]).groupby("trial")["bytes"].max()
            for trial, taken, state in zip(planned(trials), trials["resources"], trials["state"], strict=True):
                (need,) = known[resources.kind_of(trial)].values()
                peak = float(peaks.get(trial.id, float("nan")))
                what = [trial.method, trial.protocol.backbone, trial.params["batch_size"]]
                memory = [need["peak"] / MIB, peak / MIB, peak / need["peak"], need["context"] / MIB]
                rows.append([*what, *memory, json.loads(taken)["gpu"], state])
    head = ["method", "backbone", "batch size", "forecast MiB", "peak MiB", "ratio", "context MiB", "share", "state"]
    print(tabulate(rows, head, "github", floatfmt=("", "", "d", ".0f", ".0f", ".2f", ".0f", ".4f")), flush=True)


def out_of_memory() -> None:
    """A share that is too small, and what becomes of it."""
    text = SMALL.format(
        train=TRAIN, test=TEST, epochs=2, methods="{source_only: {lr: [0.001, 0.01]}}", cpu=1, gpu=gpu.one_of(16)
    )
    trials, _, _, _ = run(GreedyTrial, text)
    shares = [json.loads(text)["gpu"] for text in trials["resources"]]
    rows = list(zip(trials["method"], trials["attempts"], shares, trials["state"], strict=True))
    print(tabulate(rows, ["method", "attempts", "share at last", "state"], "github", floatfmt=".4f"), flush=True)


def left_behind() -> None:
    """Memory held between trials of one process."""
    methods = "{source_only: {lr: {loguniform: [0.001, 0.01]}, samples: 10}, mcd: {}, self_ensembling: {}}"
    text = SMALL.format(train=TRAIN, test=TEST, epochs=2, methods=methods, cpu=1, gpu=1)
    _, _, _, said = run(MeasuredTrial, text)
    left = pd.DataFrame([line for line in said if line["what"] == "left"])
    rows = [[name, len(left), left[name].iloc[0] / MIB, left[name].max() / MIB] for name in ("allocated", "reserved")]
    print(
        tabulate(rows, ["held between trials", "times", "first MiB", "most MiB"], "github", floatfmt=".1f"), flush=True
    )


def main() -> None:
    """Print markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="at a time")
    parser.add_argument("--epochs", type=int, default=30, help="of each trial whose speed is measured")
    parser.add_argument("--weights", type=Path, help="of ResNet-50, as .pth or .safetensors")
    parser.add_argument("--data-root", type=Path)
    arguments = parser.parse_args()
    there = torch.cuda.is_available()
    what = torch.cuda.get_device_name() if there else "no GPU: trials share the CPU, and memory is not measured"
    print(f"{what}; {environment.cores()} cores\n", flush=True)
    speed(arguments.trials, arguments.epochs)
    if there:
        print()
        forecasts(arguments.weights, arguments.data_root)
        print()
        out_of_memory()
        print()
        left_behind()


if __name__ == "__main__":
    main()
