"""How early stopping went."""

from pathlib import Path

from tests.support.small_ledger import Run, experiment
from transfer_sweep.reports import report, results
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.reports.sections import early_stopping


def curve(*accuracies: float) -> list[tuple[float, float, float]]:
    return [(accuracy, accuracy / 50, 1.0) for accuracy in accuracies]


def test_how_early_stopping_went_is_counted(tmp_path: Path) -> None:
    runs = [
        Run("dann", "amazon", "webcam", {"lr": 0.1}, curve(60, 70, 80)),
        Run("dann", "amazon", "webcam", {"lr": 0.2}, curve(82), state=TrialState.STOPPED),  # best, and chosen
        Run("dann", "dslr", "webcam", {"lr": 0.1}, curve(60, 70, 80)),
        Run("dann", "dslr", "webcam", {"lr": 0.2}, curve(50), state=TrialState.STOPPED),
        Run("svm", "dslr", "webcam", {"C": 1}, curve(80), budget=1),
    ]
    path = experiment(tmp_path, runs)
    found = early_stopping.stopping(results.read(path))
    assert found is not None
    assert found.lengths == {"dann": {3: 2, 1: 2}}
    text = report.render([path]).split("## How early stopping went")[1].split("\n\n")[1]
    assert "2 of 4 trials that could be stopped early were, which saved 33 % of their epochs" in text
    assert "Of 2 cells with stopped trials, 1 have the best target accuracy" in text
    assert text.endswith("chose a stopped one in 1.")


def test_there_is_nothing_to_say_of_early_stopping_where_nothing_was_stopped(tmp_path: Path) -> None:
    runs = [Run("dann", "amazon", "webcam", {"lr": 0.1}, curve(60, 70, 80))]
    assert early_stopping.stopping(results.read(experiment(tmp_path, runs))) is None


def test_the_bars_of_early_stopping_are_shares_of_the_trials() -> None:
    figure = early_stopping.draw({"dann": {10: 3, 30: 1}, "mcc": {30: 5}})
    (axes,) = figure.axes
    widths = [[bar.get_width() for bar in part] for part in axes.containers]
    assert widths == [[75, 0], [25, 100]]
