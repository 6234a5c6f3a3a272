"""What the values of hyperparameters gave."""

from pathlib import Path

from tests.support.shown_tables import only_group
from transfer_sweep.reports import results
from transfer_sweep.reports.document.elements import text_of
from transfer_sweep.reports.sections import hyperparameters


def test_what_each_value_of_the_only_param_gave_stands_by_pair(small: Path) -> None:
    own = results.read(small)
    table = hyperparameters.single_params(own, only_group(own).records)
    assert table is not None
    assert list(table.headers) == ["method", "param", "A→W", "D→W", "W→D", "average"]
    # Of seed 0 alone, though lr 0.01 ran with more; source_only searched nothing.
    assert [list(map(text_of, row)) for row in table.rows] == [
        ["dann", "lr 0.003", *["70.0§"] * 3, "70.0"],
        ["dann", "lr 0.01", *["80.0"] * 3, "80.0"],
        ["dann", "lr 0.03", *["82.0"] * 3, "82.0"],
        ["dann", "lr 1", *["3.0"] * 3, "3.0"],
    ]
    assert any("stopped early" in note for note in table.notes)
