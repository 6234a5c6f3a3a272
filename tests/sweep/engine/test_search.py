"""The order in which Tune is given trials."""

from transfer_sweep.sweep.engine.search import PlannedSearch


def _configs(*requests: tuple[float, float]) -> list[dict[str, float]]:
    return [{"id": i, "cpu": cpu, "gpu": gpu} for i, (cpu, gpu) in enumerate(requests)]


def _next(trials: PlannedSearch, name: str) -> int:
    return int(trials.suggest(name)["trial"]["id"])


def test_trials_of_one_kind_keep_their_order() -> None:
    trials = PlannedSearch(_configs(*[(1, 0)] * 5), lambda _: 2)
    assert [_next(trials, str(i)) for i in range(3)] == [0, 1, 2]
    trials.on_trial_complete("1")
    assert [_next(trials, str(i)) for i in (3, 4)] == [3, 4]
    assert trials.suggest("5") == PlannedSearch.FINISHED


def test_cpu_trials_do_not_wait_behind_gpu_trials() -> None:
    gpu, cpu = (1.0, 0.5), (1.0, 0.0)
    trials = PlannedSearch(_configs(*[gpu] * 6, *[cpu] * 6), {gpu: 2, cpu: 4}.__getitem__)
    given = [_next(trials, str(i)) for i in range(6)]
    assert sorted(given) == [0, 1, 6, 7, 8, 9]  # two places on GPUs, four on the other nodes
    # The GPU trials go on; a CPU trial ends, and its place goes to the next of its kind.
    trials.on_trial_complete(str(given.index(6)))
    assert _next(trials, "next") == 10
    trials.on_trial_complete(str(given.index(1)))
    assert _next(trials, "another") == 2
