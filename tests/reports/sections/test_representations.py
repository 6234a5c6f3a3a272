"""Figures of what chosen trials have kept: whose, and what is in them."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.small_ledger import RUNS, Run, write
from transfer_sweep.reports import report, results
from transfer_sweep.reports.ledger import artefacts
from transfer_sweep.reports.ledger.artefacts import Features
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport
from transfer_sweep.reports.sections import representations


def features(apart: float, n: int = 120) -> Features:
    """Two domains of two classes, the target ``apart`` from the source in the second of twenty dimensions."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    source, target = (rng.normal(0, 0.3, (n, 20)) for _ in range(2))
    for points in (source, target):
        points[:, 0] += 4 * labels
    target[:, 1] += apart
    confusion = np.array([[40, 10], [0, 50]])
    return Features(source.astype(np.float16), labels, target.astype(np.float16), labels, confusion)


def keep(path: Path, runs: list[Run], found: Features) -> None:
    with Ledger(path, write=True) as ledger:
        for number, run in enumerate(runs):
            (path.parent / "features").mkdir(exist_ok=True)
            found.write(path.parent / f"features/{number}.npz")
            accuracy, score, seen = run.epochs[-1]
            criteria = {"information_maximization": score, "predicted_classes": seen, "source_validation": 50.0}
            named = {artefacts.FEATURES: f"features/{number}.npz"}
            ledger.record_epoch(run.trial.id, EpochReport(len(run.epochs), accuracy, criteria, {}, 0.5), named)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "small" / "ledger.sqlite"
    write(path, RUNS)
    with Ledger(path, write=True) as opened:
        families = {"source_only": "deep", "dann": "deep"}
        opened.set_meta("experiment", {"dataset": "office31", "family": families})
    return path


def test_the_baseline_comes_first_and_only_chosen_trials_are_drawn(ledger: Path) -> None:
    others = [run for run in RUNS if run.params == {"lr": 0.03}]
    keep(ledger, [run for run in RUNS if run.params == {"lr": 0.01} and run.role == "search"] + others, features(3))
    own = results.read(ledger)
    (group,) = own.groups()
    rows = representations.panels(own, group)
    assert [[panel.method for panel in row if panel] for row in rows] == [["source_only", "dann"]] * 3
    assert [row[0].pair for row in rows if row[0]] == [("amazon", "webcam"), ("dslr", "webcam"), ("webcam", "dslr")]
    assert [panel.accuracy for panel in rows[0] if panel] == [70, 80]


def test_a_damaged_file_leaves_its_panel_empty(ledger: Path) -> None:
    keep(ledger, [run for run in RUNS if run.params == {"lr": 0.01} and run.role == "search"], features(3))
    (ledger.parent / "features/1.npz").write_bytes(b"PK")
    own = results.read(ledger)
    (group,) = own.groups()
    rows = representations.panels(own, group)
    assert [panel is None for row in rows for panel in row].count(True) == 1
    assert len(representations.t_sne(rows[:1]).axes) == 2


def test_where_nothing_is_kept_nothing_is_drawn(ledger: Path, tmp_path: Path) -> None:
    report.write([ledger], tmp_path / "report.md")
    assert not (tmp_path / "report/features.png").exists()


def test_a_report_shows_features_and_confusions(ledger: Path, tmp_path: Path) -> None:
    keep(ledger, [run for run in RUNS if run.params == {"lr": 0.01} and run.source == "amazon"], features(3, n=30))
    written = report.write([ledger], tmp_path / "report.md")
    assert {"features.png", "confusions.png"} <= {path.name for path in written}
    assert "report/features.png" in (tmp_path / "report.md").read_text()


def test_domains_that_are_apart_stay_apart_in_the_plane_and_the_same_mix() -> None:
    def nearest_of_own_domain(found: Features) -> float:
        """Share of samples whose nearest neighbour is of their own domain."""
        source, target = representations.embedded(found)
        points, domain = np.concatenate([source, target]), np.repeat([0, 1], [len(source), len(target)])
        distances = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(len(points))
        return float((domain[distances.argmin(axis=1)] == domain).mean())

    assert nearest_of_own_domain(features(4)) > 0.95
    assert nearest_of_own_domain(features(0)) < 0.7


def test_confusions_are_shares_of_the_true_class() -> None:
    panel = representations.Panel("dann", ("a", "b"), 90.0, features(1))
    (axes,) = representations.confusions([[panel]]).axes
    (image,) = axes.images
    np.testing.assert_allclose(np.asarray(image.get_array()), [[80, 20], [0, 100]])
    assert sorted(text.get_text() for text in axes.texts) == ["100", "20", "80"]
