"""Which pairs of the user's own data can be learned, and what is said of the others."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from tests.support import plans
from transfer_sweep.algorithms import registry
from transfer_sweep.datasets.base import Dataset, Domain, FileCheck, Samples
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning import strategies
from transfer_sweep.sweep.planning.data import DataRecord
from transfer_sweep.sweep.planning.trials import present

CLASSES = {"shop": "abc", "phone": "ab", "scans": "abx", "heap": "", "single": "a", "half": "ab"}


class Own(Dataset):
    """Domains of which only the classes matter."""

    name = "own"
    raw_backbone = "vectors"
    source = "made up"
    of_user = True
    needs_root = False

    def __init__(self) -> None:
        super().__init__()
        self.domains = tuple(CLASSES)
        self.classes = tuple("abcx")
        self.value = 0.0

    def known_classes(self, domain: str) -> Collection[str]:
        return CLASSES[domain]

    def wholly_labelled(self, domain: str) -> bool:
        return domain not in ("heap", "half")

    def load(self, domain: str) -> Domain:
        return Domain(domain, Samples(np.full((2, 1), self.value, np.float32), np.array([0, -1])))

    def verify(self) -> list[FileCheck]:
        return []


def _experiment(pairs: str | list[list[str]] = "all") -> Experiment:
    written: dict[str, object] = {
        "name": "mine",
        "dataset": "own",
        "methods": {"dann": {}, "target_only": {}},
        "pairs": pairs,
    }
    return Experiment.model_validate(written)


def test_what_cannot_be_learned_is_skipped_with_its_reason() -> None:
    pairs = [("shop", "phone"), ("shop", "scans"), ("heap", "shop"), ("single", "shop"), ("shop", "heap")]
    trials = [plans.trial(f"{s}{t}", "dann", s, t) for s, t in pairs]
    trials += [plans.trial(t, "target_only", t, t) for t in ("phone", "heap", "half")]
    kept, skipped = present(_experiment(), trials, Own())
    assert [trial.id for trial in kept] == ["shopphone", "shopheap", "phone"]
    assert "shop lacks, which nothing can learn from it: x" in skipped["shop-scans"]
    assert "has no labels" in skipped["heap-shop"]
    assert "has only a" in skipped["single-shop"]
    assert "labels of heap" in skipped["target_only heap-heap"]
    assert "labels of half" in skipped["target_only half-half"]
    assert len(skipped) == 5


def test_a_pair_that_is_asked_for_and_cannot_be_is_refused() -> None:
    trials = [plans.trial("a", "dann", "shop", "phone"), plans.trial("b", "dann", "heap", "shop")]
    with pytest.raises(SweepError, match="heap-shop: heap cannot be a source"):
        present(_experiment([["shop", "phone"], ["heap", "shop"]]), trials, Own())


def test_data_that_changed_is_noticed_though_nothing_is_left_to_run(tmp_path: Path) -> None:
    trial, data = plans.trial("a", "dann", "shop", "phone"), Own()
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        ledger.set_plan([trial])
        DataRecord("mine", data).check(ledger, [trial])
        ledger.finish(trial.id, TrialState.DONE)
        DataRecord("mine", data).check(ledger, [trial])
        data.value = 1.0
        with pytest.raises(SweepError, match="own/phone is not what it was when trials of mine ran"):
            DataRecord("mine", data).check(ledger, [trial])


def test_where_time_is_short_every_cell_has_its_defaults_first() -> None:
    trials = [
        plans.trial("a1", "tca", "a", "b", {"mu": 10.0}),
        plans.trial("b1", "dann", "a", "b", {"lr": 0.1}),
        plans.trial("a2", "tca", "a", "b", _defaults("tca")),
        plans.trial("b2", "dann", "a", "b", {"lr": 0.2}),
        plans.trial("b3", "dann", "a", "b", _defaults("dann")),
    ]
    assert [trial.id for trial in strategies.best_first(trials)] == ["a2", "b3", "a1", "b1", "b2"]


def _defaults(method: str) -> dict[str, object]:
    return registry.get(method).params_type().encode()
