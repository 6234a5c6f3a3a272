"""The loop of passes: what a run plans, runs and forgets; its passes are made up, and need no Ray."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.reports.ledger.records import EpochReport, Trial, TrialState
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.engine.passes import Engine
from transfer_sweep.sweep.planning.filters import Filter
from transfer_sweep.sweep.runner import Run, RunOptions

FILE_OF_EXPERIMENT = """\
dataset: offline_digits
dataset_options: {channels: 1, train: 40, test: 20}
protocol: {backbone: small_cnn, training: scratch}
pairs: [uci-photo]
epochs: 2
confirm: {seeds: 2}
methods:
  source_only: {}
  dann: {}
  mcc: {}
  dan: {}
"""

Ran = list[tuple[str, str, int]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "RunOf":
    file = tmp_path / "mine.yaml"
    file.write_text(FILE_OF_EXPERIMENT)
    return RunOf(file, monkeypatch)


class RunOf:
    """Runs of one experiment; each trial of a pass ends with the same scores."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = file
        self.ran: Ran = []

        def passes(_: Run, ledger: Ledger, engine: Engine, plan: Sequence[Trial]) -> None:
            assert isinstance(engine, Engine)
            states = ledger.states()
            for trial in [t for t in plan if current._wanted(t) and not states[t.id].finished]:
                ledger.start(trial.id, {"cpu": 1})
                criteria = {"information_maximization": 1.0, "predicted_classes": 1.0}
                report = EpochReport(trial.budget, 50.0, criteria, {}, 1.0)
                ledger.record_epoch(trial.id, report, {}, TrialState.DONE)
                self.ran.append((trial.method, trial.role, trial.seed))

        current: Run
        monkeypatch.setattr(Run, "_pass", passes)

        def make(only: Sequence[str], fresh: bool) -> Run:
            nonlocal current
            experiment = loader.load(str(file))
            options = RunOptions(
                file.parent / "results",
                None,
                file.parent / "cache",
                only=Filter.parse(list(only), experiment),
                fresh=fresh,
            )
            current = Run(experiment, options, Console(file=io.StringIO()))
            return current

        self._make = make

    def __call__(self, *only: str, fresh: bool = False) -> Ran:
        self.ran = []
        outcome = self._make(only, fresh).execute()
        assert set(outcome.states) == {TrialState.DONE}
        return sorted(self.ran)

    @property
    def controls(self) -> dict[str, list[str]]:
        """The methods of chosen trials → the states of their controls."""
        with Ledger(self.file.parent / "results" / "mine" / FILE) as ledger:
            trials = ledger.trials()
            methods = dict(zip(trials["id"].astype(str), trials["method"].astype(str), strict=True))
            states = ledger.states()
            return {
                methods[chosen]: [str(states[key]) for key in own]
                for chosen, own in ledger.meta("controls", {}).items()
            }


SEARCH = [(method, "search", 0) for method in ("dan", "dann", "mcc", "source_only")]
CONFIRM = [(method, "confirm", 1) for method in ("dan", "dann", "mcc", "source_only")]
JOINT = [("source_only", "control", 0), ("source_only", "control", 1)]  # DAN's
SEPARATE = JOINT  # DANN's and MCC's, which share them


def test_controls_run_once_the_search_is_complete_each_once_and_not_again(run: RunOf) -> None:
    assert run() == sorted([*SEARCH, *CONFIRM, *JOINT, *SEPARATE])
    assert run.controls == {"dann": ["done", "done"], "mcc": ["done", "done"], "dan": ["done", "done"]}
    assert run() == []


def test_only_brings_the_controls_of_the_methods_it_names(run: RunOf) -> None:
    assert run("method=dann") == sorted([("dann", "search", 0), ("dann", "confirm", 1), *SEPARATE])
    assert run("method=source_only") == [("source_only", "confirm", 1), ("source_only", "search", 0)]
    assert run("method=mcc") == [("mcc", "confirm", 1), ("mcc", "search", 0)]  # DANN's controls are there
    assert run("method=dan") == sorted([("dan", "search", 0), ("dan", "confirm", 1), *JOINT])


def test_fresh_forgets_the_controls_of_what_it_runs_again_and_no_others(run: RunOf) -> None:
    run()
    assert run("method=source_only", fresh=True) == [("source_only", "confirm", 1), ("source_only", "search", 0)]
    assert all(states == ["done", "done"] for states in run.controls.values())
    assert run("method=dan", fresh=True) == sorted([("dan", "search", 0), ("dan", "confirm", 1), *JOINT])
    assert len(run(fresh=True)) == len([*SEARCH, *CONFIRM, *JOINT, *SEPARATE])
