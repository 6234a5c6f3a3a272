"""Which part of a plan ``--only`` leaves."""

from pathlib import Path

import pytest

from tests.support.experiment_file import load_methods
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning.filters import Filter


def test_filter_refuses_what_the_experiment_does_not_have(tmp_path: Path) -> None:
    loaded = load_methods(tmp_path)
    keep = Filter.parse(["method=tca,jda", "pair=uci-photo"], loaded)
    assert keep.keeps("tca", Pair("uci", "photo"))
    assert not keep.keeps("nearest_neighbor", Pair("uci", "photo"))
    assert not keep.keeps("tca", Pair("rendered", "photo"))
    for text in ("method=coral", "pair=photo-uci", "speed=fast", "tca", "method=", "pair=", "pair= , "):
        with pytest.raises(SweepError):
            Filter.parse([text], loaded)
