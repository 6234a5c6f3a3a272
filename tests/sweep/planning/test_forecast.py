"""The forecast of a run: what is timed, and how it is added up."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from transfer_sweep.datasets.base import Domain, Samples
from transfer_sweep.datasets.offline_digits import OfflineDigits
from transfer_sweep.reports.ledger.records import Trial
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.planning import forecast
from transfer_sweep.sweep.planning import trials as plan
from transfer_sweep.sweep.trial import inputs

FILE = """
dataset: offline_digits
pairs: [uci-rendered, uci-photo]
epochs: 9
confirm: {{seeds: 3}}
early_stopping: {stopping}
methods:
  nearest_neighbor: {{}}
  dann: {{lr: [0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009]}}
"""

SIZES = {"uci": 100, "rendered": 40, "photo": 300}


def _forecast(
    monkeypatch: pytest.MonkeyPatch,
    loaded: Experiment,
    domains: dict[tuple[str, str], Domain],
    cost: Callable[[Trial], forecast._Cost],
    slots: int,
) -> forecast.Forecast:
    """The forecast of a whole experiment where its domains and what trials cost are these."""
    monkeypatch.setattr(inputs, "load", lambda *_: domains)
    monkeypatch.setattr(forecast._Stopwatch, "cost", lambda _, trial: cost(trial))
    ten_classes = OfflineDigits()
    return forecast.forecast(loaded, plan.search(loaded), ten_classes, Path(), lambda *_: None, slots)


def _zeros(n: int) -> Samples:
    return Samples(np.zeros((n, 2), np.float32), np.zeros(n, np.int64))


def _expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopping: str, more_than_used: int = 0
) -> tuple[list[Trial], dict[str, float]]:
    """The forecast where building takes 1 s, an epoch of the largest pair 2 s and all criteria of it 0.5 s."""
    file = tmp_path / "mine.yaml"
    file.write_text(FILE.format(stopping=stopping))
    loaded = loader.load(str(file))
    domains = {
        (name, "raw"): Domain(name, _zeros(n + more_than_used), train_size=n if more_than_used else None)
        for name, n in SIZES.items()
    }
    cost = forecast._Cost(build=1.0, epoch=2.0, all_criteria=0.5)
    expected = _forecast(monkeypatch, loaded, domains, lambda _: cost, slots=2)
    total = sum(expected.core_seconds.values())
    assert expected.seconds == pytest.approx(forecast.START_SECONDS + total / 2)
    return plan.search(loaded), dict(expected.core_seconds)


def test_without_stopping_every_trial_and_confirmation_takes_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, spent = _expected(tmp_path, monkeypatch, "{scheduler: none}")
    trial, full = 1.0 + forecast.TRIAL_SECONDS, 9 * 2.0 + 2 * 0.5  # criteria at the end and where a rung would be
    # 9 searched and 2 more seeds of each of two pairs; the larger domain has 300 samples or, uci's, 100.
    assert spent["dann"] == pytest.approx(11 * (trial + full) + 11 * (trial + full / 3))
    # A shallow method looks at both domains: 400 or 140 samples. It is deterministic, but its split is drawn.
    assert spent["nearest_neighbor"] == pytest.approx(3 * (trial + 2.5) + 3 * (trial + 2.5 * 140 / 400))


def test_of_a_domain_that_is_drawn_from_the_part_counts_that_a_trial_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, part = _expected(tmp_path, monkeypatch, "{scheduler: none}")
    assert part == _expected(tmp_path, monkeypatch, "{scheduler: none}", more_than_used=1000)[1]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8])
def test_the_first_the_middle_and_the_last_of_a_grid_are_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    (tmp_path / "grid.yaml").write_text(
        f"dataset: offline_digits\npairs: [rendered-photo]\nmethods: {{tca: {{mu: {list(range(1, n + 1))}}}}}\n"
    )
    loaded = loader.load(str(tmp_path / "grid.yaml"))
    timed: list[Trial] = []

    def cost(trial: Trial) -> forecast._Cost:
        timed.append(trial)
        return forecast._Cost(0.0, 1.0, 0.0)

    _forecast(monkeypatch, loaded, {(name, "raw"): Domain(name, _zeros(4)) for name in SIZES}, cost, slots=1)
    planned = plan.search(loaded)
    assert len(timed) == min(n, 3) == len(set(timed))
    assert {planned[0], planned[-1]} <= set(timed)
    assert n < 3 or abs(planned.index(timed[1]) - (n - 1) / 2) <= 0.5


def test_early_stopping_saves_no_more_than_the_rungs_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, full = _expected(tmp_path, monkeypatch, "{scheduler: none}")
    _, stopped = _expected(tmp_path, monkeypatch, "{scheduler: asha, grace: 0.34, reduction: 3}")
    assert stopped["nearest_neighbor"] == full["nearest_neighbor"]
    # The rung is at epoch 4 of 9: at least the first of a cell passes it, at least one of nine is below the median.
    saved = full["dann"] - stopped["dann"]
    each = (5 * 2.0 + 0.5) * (1 + 1 / 3)
    assert each <= saved <= 8 * each
    assert len(rows) == 2 * (1 + 9)


def test_inputs_of_another_kind_are_timed_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kinds.yaml"
    file.write_text(
        "dataset: amazon_reviews\npairs: [books-dvd]\n"
        "methods: {logistic_regression: [{C: [1, 2, 3]}, {protocol: {msda: {layers: 1}}}]}\n"
    )
    loaded = loader.load(str(file))
    samples = Samples(np.zeros((4, 2), np.float32), np.zeros(4, np.int64))
    domains = {
        (name, trial.representation): Domain(name, samples) for trial in plan.search(loaded) for name in trial.pair
    }

    def cost(trial: Trial) -> forecast._Cost:
        return forecast._Cost(build=0.0, epoch=100.0 if "msda" in trial.protocol.inputs else 1.0, all_criteria=0.0)

    spent = _forecast(monkeypatch, loaded, domains, cost, slots=1).core_seconds
    assert spent == {"logistic_regression": pytest.approx(3 * 1.0 + 100.0 + 4 * forecast.TRIAL_SECONDS)}
