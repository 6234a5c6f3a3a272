"""The planned trials, handed to Tune one by one."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from ray.tune.search import Searcher

from transfer_sweep.sweep.resources.shares import Request


class PlannedSearch(Searcher):
    """Gives Tune the planned trials one by one. (A grid of them would be copied whole for every trial.)

    Trials that ask for the same resources keep their order. Of several such classes the one comes next whose places
    are the least taken, so that CPU nodes have shallow trials while GPU nodes train, and neither waits for the other.

    Args:
        configs: what each trial's ``config["trial"]`` is to be, in order; ``cpu`` and ``gpu`` are its request.
        places: how many trials of a request the cluster takes at a time.
    """

    def __init__(self, configs: Iterable[dict[str, Any]], places: Callable[[Request], float]) -> None:
        super().__init__(metric="score", mode="max")
        self._waiting: dict[Request, deque[tuple[int, dict[str, Any]]]] = defaultdict(deque)
        for position, config in enumerate(configs):
            self._waiting[config["cpu"], config["gpu"]].append((position, config))
        self._places = {request: max(1.0, places(request)) for request in self._waiting}
        self._taken: Counter[Request] = Counter()
        self._requests: dict[str, Request] = {}

    def suggest(self, trial_id: str) -> Any:
        """The next trial; ``FINISHED`` after the last."""
        waiting = [request for request, rest in self._waiting.items() if rest]
        if not waiting:
            return Searcher.FINISHED
        request = min(waiting, key=lambda r: (self._taken[r] / self._places[r], self._waiting[r][0][0]))
        self._taken[request] += 1
        self._requests[trial_id] = request
        return {"trial": self._waiting[request].popleft()[1]}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A place is free. (Nothing is learnt from results: the plan is fixed.)"""
        request = self._requests.pop(trial_id, None)
        if request is not None:
            self._taken[request] -= 1

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a later pass plans anew."""
