"""What code trials ran with, and that edits since are noticed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.small_ledger import Run, write
from transfer_sweep import plugins
from transfer_sweep.algorithms import registry
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.sweep import code_record

pytestmark = pytest.mark.usefixtures("no_plugins_in_use")

METHOD = '''\
"""{doc}"""

from transfer_sweep.algorithms.deep.dann import DANN

class Mine(DANN):
    """{doc}"""

    name = "mine"
    # {doc}
    weight = {weight}
'''

CRITERION = """\
from transfer_sweep.reports.criteria.base import Need, TrialCriterion

class Luck(TrialCriterion):
    name = "luck"
    text = "luck"
    needs = frozenset({Need.PREDICTIONS})

    def compute(self, evidence):
        return %s
"""


def _use(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    plugins.use([folder / name])


def _ran(path: Path, methods: list[str], runs: list[Run]) -> None:
    """A run over these trials, with the code as it is now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Ledger(path, write=True) as ledger:
        ledger.add_environment(code_record.code_digests(methods))
    write(path, runs)


def _changed(path: Path, *methods: str) -> list[str]:
    with Ledger(path) as ledger:
        return code_record.changed(ledger, methods)


def _run(method: str, target: str = "dslr", state: TrialState = TrialState.DONE) -> Run:
    return Run(method, "amazon", target, {}, [(50.0, 1.0, 1.0)], state=state)


def test_a_methods_code_is_its_file_and_the_losses_and_networks_that_it_imports() -> None:
    registry.get("dan")
    sources = code_record._sources_of("transfer_sweep.algorithms.deep.dan")
    assert "class DAN(" in sources[0]
    assert any("def rbf_mmd" in text or "Gretton" in text for text in sources[1:])
    assert not any("class DeepMethod" in text for text in sources)


def test_nothing_is_said_where_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "small" / "ledger.sqlite"
    _ran(path, ["dann", "source_only"], [_run("dann"), _run("source_only")])
    assert _changed(path, "dann", "source_only") == []


def test_a_ledger_of_before_there_was_a_record_of_code_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    write(path, [_run("dann")])
    assert _changed(path, "dann") == []


def test_an_edited_method_is_named_with_the_number_of_trials_that_ran_before(tmp_path: Path) -> None:
    path = tmp_path / "small" / "ledger.sqlite"
    _use(tmp_path, "mine.py", METHOD.format(doc="first", weight=1))
    lost = _run("mine", "webcam", TrialState.FAILED)
    _ran(path, ["mine", "dann"], [_run("mine"), _run("mine", "amazon2"), lost, _run("dann")])
    _use(tmp_path, "mine.py", METHOD.format(doc="first", weight=2))
    assert _changed(path, "mine", "dann") == [
        "mine.py changed since 2 trials ran (they stay; --fresh runs them again)",
    ]


def test_comments_docstrings_and_layout_are_no_code(tmp_path: Path) -> None:
    path = tmp_path / "small" / "ledger.sqlite"
    _use(tmp_path, "mine.py", METHOD.format(doc="first", weight=1))
    _ran(path, ["mine"], [_run("mine")])
    _use(tmp_path, "mine.py", METHOD.format(doc="second", weight="(1)") + "\n\n")
    assert _changed(path, "mine") == []


def test_trials_that_ran_after_the_edit_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small" / "ledger.sqlite"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    _use(tmp_path, "mine.py", METHOD.format(doc="first", weight=1))
    runs = [_run("mine"), _run("mine", "webcam", TrialState.PENDING)]
    runs[1].epochs = []
    _ran(path, ["mine"], runs)
    _use(tmp_path, "mine.py", METHOD.format(doc="first", weight=2))
    now += 60
    with Ledger(path, write=True) as ledger:
        ledger.add_environment(code_record.code_digests(["mine"]))
        ledger.start(runs[1].trial.id, {"cpu": 1})
        ledger.finish(runs[1].trial.id, TrialState.DONE)
    assert _changed(path, "mine") == ["mine.py changed since 1 trial ran (they stay; --fresh runs them again)"]


def test_any_trial_may_have_met_a_plug_in_that_is_no_method(tmp_path: Path) -> None:
    path = tmp_path / "small" / "ledger.sqlite"
    _use(tmp_path, "luck.py", CRITERION % "1.0")
    _ran(path, ["dann"], [_run("dann")])
    with Ledger(path) as ledger:
        assert set(ledger.environments()[0]["plugins"]) == {"luck.py"}
    _use(tmp_path, "luck.py", CRITERION % "2.0")
    assert _changed(path, "dann") == ["luck.py changed since 1 trial ran (they stay; --fresh runs them again)"]
