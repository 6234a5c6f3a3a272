"""Files of a trial that runs on another node than the driver's: they come with its report, and only once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from tests.support import plans
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport, TrialState
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.engine.ledger_callback import LedgerCallback
from transfer_sweep.sweep.engine.trainable import TrialSpec
from transfer_sweep.sweep.trial.report import TrialReport

LOGITS = "logits/aa/aa.npz"


def test_what_tune_keeps_of_a_report_holds_no_file_in_the_object_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tune keeps the last result of every trial until the pass ends: models of thousands would fill the store."""
    monkeypatch.setattr(ray, "get", lambda reference: reference)
    trial = plans.trial("aa")
    tunes: Any = SimpleNamespace(config={"trial": {"id": "aa"}}, checkpoint=None, local_path=None)
    sent = TrialReport(
        [EpochReport(30, 50.0, {"entropy": -1.0}, {}, 0.1)],
        epoch=30,
        score=-1.0,
        state=TrialState.DONE,
        artefacts={"logits": LOGITS},
        files={LOGITS: b"what was predicted"},
    )
    result: dict[str, Any] = {"report": sent, "done": True}
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        ledger.set_plan([trial])
        pruner: Any = SimpleNamespace(maybe_prune=lambda: None)
        storage = Storage.of(str(tmp_path), "other")
        callback = LedgerCallback(ledger, {"aa": TrialSpec(trial)}, tmp_path, storage, lambda _: None, pruner)
        callback.on_trial_result(0, [], tunes, result)
        assert ledger.states() == {"aa": "done"}
    assert (tmp_path / LOGITS).read_bytes() == b"what was predicted"
    assert result["report"].artefacts == {"logits": LOGITS}
    assert not result["report"].files
