"""Logs of single runs."""

from pathlib import Path

import pandas as pd

from tests.support.small_ledger import PROTOCOL, Run, experiment
from transfer_sweep.reports.formats import epoch_logs

THREE = {"per_class": 3, "classes": None, "source": True}


def test_logs_say_how_many_labels_a_run_had(tmp_path: Path) -> None:
    runs = [
        Run("dann", "amazon", "webcam", {}, [(70.0, 1.0, 1.0)], budget=1),
        Run("dann", "amazon", "webcam", {}, [(80.0, 1.0, 1.0)], budget=1, protocol={**PROTOCOL, "few": THREE}),
        Run("mcc", "amazon", "webcam", {}, [(90.0, 1.0, 1.0)], budget=1),
    ]
    written = epoch_logs.export([experiment(tmp_path, runs)], tmp_path / "logs")
    assert [str(file.relative_to(tmp_path / "logs")) for file in written] == [
        "dann/amazon_to_webcam/dann.csv",
        "mcc/amazon_to_webcam/mcc.csv",
    ]
    dann, mcc = map(pd.read_csv, written)
    assert dann["few"].fillna("").tolist() == ["", "3 per class"]
    assert dann["target_accuracy"].tolist() == [70.0, 80.0]
    assert "few" not in mcc
