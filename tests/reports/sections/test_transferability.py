"""How transferable layers are."""

from pathlib import Path

import pandas as pd

from tests.support.small_ledger import Run, experiment
from transfer_sweep.reports import report, results
from transfer_sweep.reports.document import plotting
from transfer_sweep.reports.sections import transferability

PAIRS = [("amazon", "webcam"), ("webcam", "amazon")]
ACCESS = {"transferability": "target_train"}


def run(pair: tuple[str, str], accuracy: float, seed: int, layers: int, base: str, fine_tune: bool) -> Run:
    params = {"layers": layers, "base": base, "fine_tune": fine_tune}
    return Run("transferability", *pair, params, [(accuracy, 2.0, 1.0)], "search" if seed == 0 else "confirm", seed, 1)


def transfer_runs() -> list[Run]:
    found = []
    for i, pair in enumerate(PAIRS):
        for seed in (0, 1):
            base = 90.0 + 2 * i + seed
            found.append(run(pair, base, seed, layers=0, base="source", fine_tune=False))
            for n in (1, 2):
                for origin, plus, change in (("source", False, -n), ("source", True, n), ("target", False, 0.5 * i)):
                    found.append(run(pair, base + change, seed, n, origin, plus))
    return found


def test_curves_are_over_all_pairs_and_seeds_and_differences_of_the_same_ones(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, transfer_runs(), label_access=ACCESS))
    found = transferability.curves(own)
    assert len(found) == len(transfer_runs())
    means = found.groupby(["network", "layers"])["difference"].mean()
    assert means.to_dict() == {
        ("B", 0): 0.0,
        **{("AnB", n): -n for n in (1, 2)},
        **{("AnB+", n): n for n in (1, 2)},
        **{("BnB", n): 0.25 for n in (1, 2)},
    }
    table = transferability.table(found)
    assert table.headers == ["network", "n = 1", "n = 2"]
    assert table.rows == [
        ["B", "91.5 ± 1.3", ""],
        ["BnB", "91.8 (+0.2 ± 0.1)", "91.8 (+0.2 ± 0.1)"],
        ["AnB", "90.5 (−1.0 ± 0.0)", "89.5 (−2.0 ± 0.0)"],
        ["AnB+", "92.5 (+1.0 ± 0.0)", "93.5 (+2.0 ± 0.0)"],
    ]


def test_nothing_is_chosen_of_what_is_compared(tmp_path: Path) -> None:
    path = experiment(tmp_path, transfer_runs(), label_access=ACCESS)
    text = report.render([path])
    assert "## How transferable layers are" in text
    assert "## How the numbers were chosen" not in text
    assert "chosen by" not in text
    found = transferability.curves(results.read(path))
    assert isinstance(found, pd.DataFrame)
    plotting.save(transferability.draw(found), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000
