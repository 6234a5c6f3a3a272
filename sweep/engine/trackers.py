"""What trackers of experiments are told: files for TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial as TuneTrial
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from transfer_sweep.reports.ledger.records import EpochReport, Trial
from transfer_sweep.sweep.engine.scheduler import trial_id
from transfer_sweep.sweep.engine.trainable import TrialSpec

_FLUSH_SECONDS = 30
_ROOT = "ray/tune"  # before each name, as Tune's own callback has it


class TensorBoard(Callback):
    """A point for every epoch of every trial, in folders by method and pair, and hyperparameters at the end.

    Args:
        folder: where the files go.
        specs: trial id → its spec.
    """

    def __init__(self, folder: Path, specs: Mapping[str, TrialSpec]) -> None:
        self._folder, self._specs = folder, specs
        self._writers: dict[str, SummaryWriter] = {}
        self._last: dict[str, EpochReport] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that we do not use, and open files are not for pickling."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Open a trial's file; a further one, where it starts again as its process was lost."""
        planned = self._specs[trial_id(trial)].trial
        self._close(planned.id)
        folder = self._folder / planned.method / f"{planned.pair.source}_to_{planned.pair.target}" / planned.id
        self._writers[planned.id] = SummaryWriter(str(folder), flush_secs=_FLUSH_SECONDS)

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """A point for every epoch of a report."""
        key = trial_id(trial)
        for epoch in result["report"].epochs:
            self._last[key] = epoch
            for name, value in _scalars(epoch):
                self._writers[key].add_scalar(name, value, global_step=epoch.epoch)

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """What the ``hparams`` view shows of a trial."""
        self._end(trial_id(trial))

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """The trial's process is lost for good."""
        self._close(trial_id(trial))

    def _end(self, key: str) -> None:
        writer, last = self._writers.get(key), self._last.pop(key, None)
        if writer is not None and last is not None:
            for summary in hparams(_hyperparameters(self._specs[key].trial), dict(_scalars(last))):
                writer.file_writer.add_summary(summary)
        self._close(key)

    def _close(self, key: str) -> None:
        writer = self._writers.pop(key, None)
        if writer is not None:
            writer.close()


def _scalars(epoch: EpochReport) -> Iterator[tuple[str, float]]:
    """Names as paths, and finite values, of what an epoch measured."""
    measured = {
        "target_accuracy": epoch.target_accuracy,
        **{f"criteria/{name}": value for name, value in epoch.criteria.items()},
        **{f"losses/{name}": value for name, value in epoch.losses.items()},
        "seconds": epoch.seconds,
    }
    yield from ((f"{_ROOT}/{name}", value) for name, value in measured.items() if math.isfinite(value))


def _hyperparameters(trial: Trial) -> dict[str, Any]:
    """What TensorBoard is to know of a trial."""
    known = {"method": trial.method, "pair": str(trial.pair), "seed": trial.seed, **trial.params}
    return {name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in known.items()}
