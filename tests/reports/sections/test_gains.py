"""Gains over ``source_only``."""

import math
from pathlib import Path

from tests.support.shown_tables import only_group, row
from tests.support.small_ledger import PROTOCOL, RUNS, Run, experiment
from transfer_sweep.reports import results
from transfer_sweep.reports.sections import gains


def test_the_gap_closed_is_that_of_ganin_2015(tmp_path: Path) -> None:
    bounds = [Run("target_only", target, target, {}, [(90.0, 3.0, 1.0)]) for target in ("webcam", "dslr")]
    own = results.read(experiment(tmp_path, [*RUNS, *bounds], label_access={"target_only": "target_train"}))
    table = gains.table(only_group(own), own.criterion)
    assert table is not None
    # From 70 (source only) to 80 of 90 (target only): ten points, half of the gap.
    assert row(table, "dann")[2:] == ["+10.0 (50 %)"] * 4
    assert [r[0] for r in table.rows] == ["dann"]


def test_there_is_no_gain_over_a_source_only_on_another_backbone(tmp_path: Path) -> None:
    raw = {**PROTOCOL, "backbone": "surf_bow800", "training": "raw"}
    runs = [*RUNS, Run("tca", "amazon", "webcam", {}, [(50.0, 1.0, 1.0)], protocol=raw)]
    records = results.read(experiment(tmp_path, runs)).records
    by_criterion = records[(records["selection"] != "oracle") & (records["source"] == "amazon")]
    gained = by_criterion.set_index("method")["gain_over_source_only"]
    assert gained["dann"] == 10.0
    assert math.isnan(gained["tca"])
