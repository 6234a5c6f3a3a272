"""The report of Amazon reviews: risks, iterations and distances beside those of an earlier replication, and drawn."""

from pathlib import Path

import numpy as np
import pytest

from tests.support import plans
from tests.support.small_ledger import PROTOCOL
from transfer_sweep.reports import report, results
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport, TrialState, canonical
from transfer_sweep.reports.sections import distances
from transfer_sweep.reports.sections.context import References

COUNTS = {**PROTOCOL, "backbone": "bow5000", "training": "raw", "transductive": False}
MSDA = {**COUNTS, "backbone": "bow5000_msda", "inputs": {"msda": {}}}
# method, protocol, (training, validation risk, passes), PAD of inputs and representation, target accuracy
TRIALS = [
    ("shallow_nn", COUNTS, (0.0, 0.18, 150), (1.84, 0.90), 74.0),
    ("shallow_dann", COUNTS, (0.02, 0.19, 40), (1.84, 0.80), 75.5),
    ("shallow_dann", MSDA, (0.12, 0.20, 20), (1.92, 1.30), 79.0),
    ("logistic_regression", COUNTS, None, (1.84, 1.84), 73.0),
]


@pytest.fixture
def own(tmp_path: Path) -> results.Results:
    """One trial a cell of dvd → electronics, as a driver writes them."""
    path = tmp_path / "amazon_pad" / "ledger.sqlite"
    rows = [
        plans.trial(str(i), method, "dvd", "electronics", {}, canonical(protocol), budget=1, dataset="amazon_reviews")
        for i, (method, protocol, *_) in enumerate(TRIALS)
    ]
    path.parent.mkdir()
    with Ledger(path, write=True) as ledger:
        ledger.set_plan(rows)
        for row, (_, _, risks, (inputs, learned), accuracy) in zip(rows, TRIALS, strict=True):
            criteria = {"information_maximization": 0.3, "pad_input": inputs, "pad_representation": learned}
            losses = dict(zip(("training_risk", "validation_risk", "passes"), risks, strict=True)) if risks else {}
            ledger.record_epoch(row.id, EpochReport(1, accuracy, criteria, losses, seconds=1.0), state=TrialState.DONE)
    return results.read(path)


def test_the_two_by_two_table_has_our_numbers_and_those_published_for_the_same_inputs(own: results.Results) -> None:
    references = References()
    table = distances.table(own, references)
    assert table is not None
    found = {(str(row[1]), str(row[2])): [str(cell) for cell in row[3:]] for row in table.rows}
    sources = {number: text for text, number in references.texts.items()}
    assert [cell.split(" [")[0] for cell in found["shallow_dann", "bow5000"]] == [
        *("0.020 (0.027", "0.190 (0.195", "0.245 (0.254", "40 (42", "1.840 (1.853", "0.800 (0.893")
    ]
    # The replication failed to print the test risk of this one; the paper's distance is that on mSDA.
    assert found["shallow_dann", "bow5000_msda"][2] == "0.210"
    number = int(found["shallow_dann", "bow5000_msda"][5].rsplit("[", 1)[1].rstrip("])"))
    assert "; 1.000 [" in found["shallow_dann", "bow5000_msda"][5]
    assert "DANN on mSDA representation" in sources[number]
    assert found["logistic_regression", "bow5000"] == ["–", "–", "0.270", "–", "1.840", "1.840"]


def test_distances_are_drawn_over_those_of_the_untouched_inputs(own: results.Results) -> None:
    shown = distances.points(distances.with_distances(own))
    points = {each.label: list(zip(each.inputs, each.representation, strict=True)) for each in shown}
    assert points == {
        "shallow_nn, bow5000": [(1.84, 0.90)],
        "shallow_dann, bow5000": [(1.84, 0.80)],
        "shallow_dann, bow5000_msda": [(1.84, 1.30)],
        "logistic_regression, bow5000": [(1.84, 1.84)],
        "bow5000_msda itself": [(1.84, 1.92)],
    }
    drawn = distances.draw(shown, "bow5000").axes[0]
    assert {str(c.get_label()): [tuple(p) for p in np.asarray(c.get_offsets())] for c in drawn.collections} == points
    assert "proxy_a_distance" in [getattr(block, "name", "") for block in report.blocks(own)]


def test_of_experiments_that_measure_no_risk_the_report_says_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "plain" / "ledger.sqlite"
    path.parent.mkdir()
    row = plans.trial("0", "coral", "dvd", "books", {}, canonical(COUNTS), budget=1, dataset="amazon_reviews")
    with Ledger(path, write=True) as ledger:
        ledger.set_plan([row])
        epoch = EpochReport(1, 70.0, {"information_maximization": 0.1}, {"loss": 1.0}, 1.0)
        ledger.record_epoch("0", epoch, state=TrialState.DONE)
    plain = results.read(path)
    assert distances.table(plain, References()) is None
    assert distances.with_distances(plain).empty
