"""What the driver records of an experiment for those who read its ledger."""

from pathlib import Path

from rich.console import Console

from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.runner import Run, RunOptions


def test_discriminators_and_bounds_of_methods_are_recorded(tmp_path: Path) -> None:
    for domain in "ab":
        (tmp_path / f"{domain}.csv").write_text("u,v,label\n1,2,cat\n3,4,dog\n2,2,cow\n4,4,dog\n")
    experiment = Experiment.model_validate(
        {
            "name": "mine",
            "dataset": {"tables": {name: str(tmp_path / f"{name}.csv") for name in "ab"}, "label": "label"},
            "pairs": [["a", "b"]],
            "methods": {"dann": {}, "mada": {}, "domain_confusion": {}},
        }
    )
    run = Run(experiment, RunOptions(tmp_path / "results", None, tmp_path / "cache"), Console(quiet=True))
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        run._record(ledger)
        recorded = ledger.meta("experiment")
    assert recorded["discriminators"] == {
        "dann": {"loss": "domain", "number": 1},
        "mada": {"loss": "domain", "number": 3},  # the sum over three classes
    }
    assert recorded["bounds"]["dann"]["dropout"] == {"minimum": 0, "exclusiveMaximum": 1}
