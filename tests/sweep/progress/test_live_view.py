"""What is seen of a run."""

import io
import time

import pytest
from rich.console import Console

from tests.support.plans import trial
from transfer_sweep.reports.ledger.records import EpochReport, TrialState, canonical
from transfer_sweep.reports.selection import guarded
from transfer_sweep.sweep.progress import live_view
from transfer_sweep.sweep.progress.live_view import LiveView, ProgressPrinter
from transfer_sweep.sweep.progress.run_state import RunState, Score
from transfer_sweep.sweep.trial.report import TrialEvent, TrialReport


def _cells(state: RunState) -> list[list[str]]:
    """The table, row by row."""
    columns = [[str(cell) for cell in column.cells] for column in live_view.table(state).columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _console(width: int = 80) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=width), text


def _failure(key: str, error: str) -> TrialEvent:
    return TrialEvent(key, TrialState.FAILED, TrialReport([], 0, 0.0, TrialState.FAILED, error=error))


def test_a_cell_shows_what_has_ended_and_the_accuracy_of_the_best() -> None:
    trials = [*(trial(f"d{i}") for i in range(3)), trial("t", "tca")]
    state = RunState(
        trials, {"d0": TrialState.DONE, "d1": TrialState.FAILED, "d2": TrialState.OOM}, {"d0": Score(1.0, 47.64)}
    )
    assert _cells(state) == [["dann", "3/3 47.6 2✗"], ["tca", "0/1"]]


def test_where_the_target_has_no_labels_a_cell_shows_the_criterion() -> None:
    scores = [guarded(1.25, 1.0), guarded(9.0, 0.1), guarded(float("nan"), 1.0)]
    trials = [trial(f"t{i}", method) for i, method in enumerate(("dann", "cdan", "mcd"))]
    state = RunState(trials, {}, {f"t{i}": Score.of(score, float("nan")) for i, score in enumerate(scores)})
    assert [cells[1] for cells in _cells(state)] == ["0/1 1.250", "0/1 collapsed", "0/1 diverged"]
    caption = str(live_view.table(state).caption)
    assert "information_maximization of the best so far" in caption
    assert "accuracy" not in caption


def test_each_number_of_target_labels_has_a_row() -> None:
    few = canonical({"few": {"per_class": 3, "classes": None, "source": True}})
    trials = [trial("a"), trial("b", protocol=few), trial("c", "target_only", "b")]
    state = RunState(trials, {}, {"a": Score(1.0, 60.0)})
    assert _cells(state) == [["dann", "0/1 60.0", ""], ["dann+3", "0/1", ""], ["target_only", "", "0/1"]]


def test_with_many_pairs_a_cell_shows_counts_until_all_have_ended_then_the_accuracy() -> None:
    pairs = [(source, target) for source in "abc" for target in "abc" if source != target] + [("d", "a")]
    trials = [trial(f"{s}{t}{i}", source=s, target=t) for s, t in pairs for i in range(2)]
    ended = {"ab0": TrialState.DONE, "ab1": TrialState.STOPPED, "ac0": TrialState.DONE}
    state = RunState(trials, ended, dict.fromkeys(ended, Score(1.0, 50.0)))
    assert _cells(state)[0][1:3] == ["50.0", "1/2"]


def test_the_state_of_a_run_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    state = RunState([trial(f"t{i}") for i in range(5)], {}, {})
    state.event(TrialEvent("t0", TrialState.RUNNING))
    state.event(TrialEvent("t1", TrialState.RUNNING))
    now[0] = 175.0
    report = TrialReport([EpochReport(1, 50.0, {}, {}, 1.0)], 1, 1.0, TrialState.DONE)
    state.event(TrialEvent("t0", TrialState.DONE, report))
    # Four trials of 75 s, two at a time.
    assert live_view.summary(state, slots=2) == "[1:15] 1/5 trials, 1 running, 0.0 trials/s, 2:30 left"


def test_without_a_terminal_failures_and_losses_are_lines_that_nothing_breaks() -> None:
    console, text = _console(width=40)
    view = LiveView(console)
    view.start(RunState([trial("t"), trial("u")], {}, {}), slots=1)
    path = "/a/path/" + "long/" * 30
    view.event(TrialEvent("u", TrialState.PENDING))
    view.event(_failure("t", f"Traceback:\nOSError: {path}"))
    view.stop()
    lines = text.getvalue().splitlines()
    assert "lost: dann a-b: its process or node is gone, it continues elsewhere" in lines
    assert f"failed: dann a-b: OSError: {path}" in lines
    assert "1/2 trials, 1 failed" in lines[-1]


def test_a_terminal_is_left_with_the_last_state() -> None:
    text = io.StringIO()
    console = Console(file=text, width=100, force_terminal=True, color_system=None)
    view = LiveView(console)
    view.start(RunState([trial("t")], {}, {}), slots=1)
    view.event(_failure("t", "ValueError: bad"))
    view.stop()
    shown = text.getvalue()
    assert "1/1 1✗" in shown
    assert "last failure: dann a-b: ValueError: bad" in shown


def test_work_before_the_trials_is_a_line_at_each_tenth() -> None:
    console, text = _console()
    tell = ProgressPrinter(console)
    for done in range(0, 101, 5):
        tell("features of amazon", done, 100)
    assert text.getvalue().splitlines() == [f"features of amazon: {n}/100" for n in range(0, 101, 10)]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75, "1:15"), (3599.6, "1:00:00"), (3675, "1:01:15")])
def test_durations_are_read_as_clocks_show_them(seconds: float, text: str) -> None:
    assert live_view.clock(seconds) == text
