"""Which of Tune's trials runs next, and which goes on."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from transfer_sweep.reports.ledger.records import Trial
from transfer_sweep.sweep.resources.shares import Request
from transfer_sweep.sweep.stopping.rungs import Rungs


def trial_id(trial: TuneTrial) -> str:
    """The ledger's id of one of Tune's trials."""
    return str(trial.config["trial"]["id"])


class CellASHA(FIFOScheduler):
    """Trials in the order given, stopped by :class:`Rungs`, paused with a checkpoint once interrupted or out of time.

    Args:
        rungs: with the stored epochs replayed already.
        trials: trial id → the planned trial.
        places: request → how many such trials the cluster takes at a time.
        deadline: when to stop, by ``time.monotonic()``; None: when all trials have ended.

    Attributes:
        interrupted: whether the user asked to stop; set from outside.
    """

    def __init__(
        self,
        rungs: Rungs,
        trials: Mapping[str, Trial],
        places: Mapping[Request, float],
        deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rungs, self._trials, self._places, self._deadline = rungs, trials, places, deadline
        self._processes: dict[Request, set[tuple[str, int]]] = defaultdict(set)
        self._waiting: deque[TuneTrial] = deque()
        self.interrupted = False

    @property
    def out_of_time(self) -> bool:
        """Whether the time is over."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    @property
    def stopping(self) -> bool:
        """Whether no trial begins any more, and those that run save themselves."""
        return self.interrupted or self.out_of_time

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        """A trial waits: the next in order, or one whose process was lost, which goes on before others begin."""
        if trial.num_failures:
            self._waiting.appendleft(trial)
        else:
            self._waiting.append(trial)

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        """Stop a trial that its rung does not promote; pause any when stopping."""
        self._seen(trial, result)
        planned = self._trials[trial_id(trial)]
        if not self._rungs.keep_going(planned, result["epoch"], result["score"]):
            return TrialScheduler.STOP
        return TrialScheduler.PAUSE if self.stopping else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> None:
        """Nothing is to be decided any more."""
        self._seen(trial, result)

    def _seen(self, trial: TuneTrial, result: Mapping[str, Any]) -> None:
        self._processes[_request(trial)].add((result["node_ip"], result["pid"]))

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """The next in order; none when stopping, and the end once nothing runs any more."""
        if not self.stopping:
            # FIFOScheduler goes through all trials that there ever were, at every step.
            self._waiting = deque(trial for trial in self._waiting if trial.status == TuneTrial.PENDING)
            return self._next() if self._waiting else None
        live = tune_controller.get_live_trials()
        for trial in [t for t in live if t.status == TuneTrial.PENDING]:
            trial.init_local_path()  # what Tune says of a trial in the end names its folder
            tune_controller.stop_trial(trial)
        if not any(t.status == TuneTrial.RUNNING for t in live):
            tune_controller.request_stop_experiment()
        return None

    def _next(self) -> TuneTrial:
        """The first that waits, but for those whose own processes are being started.

        A process starts for a certain trial, and takes seconds. Should one that is free get that trial, Tune would
        end the other as it starts, and with short trials never have more than one.
        """
        request = _request(self._waiting[0])
        alike = [trial for trial in self._waiting if _request(trial) == request]
        there = len(self._processes[request])
        starting = max(0, int(self._places[request]) - there) if there else 0
        return alike[min(starting, len(alike) - 1)]


def _request(trial: TuneTrial) -> Request:
    return trial.config["trial"]["cpu"], trial.config["trial"]["gpu"]
