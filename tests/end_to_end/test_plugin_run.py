"""An experiment all of whose parts come from one file, run by Ray's workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.whole_run import read, run
from transfer_sweep.reports.ledger.ledger import Ledger

TOY = Path(__file__).resolve().parents[1] / "support" / "toy_plugin.py"

EXPERIMENT = """\
dataset: blobs
protocol: {backbone: blocky, training: frozen}
pairs: [plain-noisy]
criterion: margin
methods:
  class_means: {shrink: [0, 0.5]}
  nearest_neighbor: {}
"""


@pytest.mark.ray
@pytest.mark.slow
def test_one_file_is_sent_to_the_workers_recorded_and_noticed_when_it_is_edited(tmp_path: Path) -> None:
    (tmp_path / "toys.yaml").write_text(EXPERIMENT)
    plugin = tmp_path / "toy.py"
    plugin.write_text(TOY.read_text())
    cache = {"SWEEP_CACHE": str(tmp_path / "cache")}
    done = run(tmp_path, "--plugin", str(plugin), name="toys", **cache)
    assert done.returncode == 0, done.stderr
    trials, epochs = read(tmp_path, "toys")
    assert trials["state"].tolist() == ["done"] * 3
    assert (epochs["target_accuracy"] == 100).all()  # the bright half of a picture is its class
    assert all("margin" in text for text in epochs["criteria"])
    with Ledger(tmp_path / "toys" / "ledger.sqlite") as ledger:
        (environment,) = ledger.environments()
    assert environment["command"] == "python -m sweep run toys.yaml --plugin toy.py"
    assert set(environment["plugins"]) == {"toy.py"}
    assert set(environment["code"]) == {"class_means", "nearest_neighbor"}

    plugin.write_text(TOY.read_text().replace("means * (1 - self.params.shrink)", "means * (1 + self.params.shrink)"))
    again = run(tmp_path, "--plugin", str(plugin), name="toys", **cache)
    assert again.returncode == 0
    assert "toy.py changed since 3 trials ran (they stay; --fresh runs them again)" in again.stderr
    unread = run(tmp_path, name="toys", **cache)
    assert unread.returncode == 2
    assert "unknown method 'class_means'" in unread.stderr


@pytest.mark.ray
@pytest.mark.slow
def test_a_plug_in_that_works_on_the_driver_alone_fails_its_trials_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "toys.yaml").write_text(EXPERIMENT)
    plugin = tmp_path / "toy.py"
    elsewhere = 'import sys\nif any("worker" in word for word in sys.argv):\n    raise OSError("no licence here")\n'
    plugin.write_text(TOY.read_text().replace("import numpy as np\n", f"import numpy as np\n{elsewhere}", 1))
    done = run(tmp_path, "--plugin", str(plugin), name="toys", SWEEP_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 1, done.stderr
    trials, _ = read(tmp_path, "toys")
    assert trials["state"].tolist() == ["failed"] * 3
    for error in trials["error"]:
        assert "plug-in toy.py cannot be used on this node: OSError: no licence here" in error.splitlines()[-1]
