"""Every list of criteria is made of their files."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from tests.support.small_ledger import RUNS, write
from transfer_sweep.reports import results, selection
from transfer_sweep.reports.criteria import registry
from transfer_sweep.reports.criteria.base import Cost, Evidence, Need
from transfer_sweep.reports.criteria.entropy import Entropy
from transfer_sweep.reports.criteria.outputs import LabelledOutputs, Outputs
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport

ROOT = Path(__file__).parents[3]


def test_lists_stand_in_the_order_that_reports_have_always_had() -> None:
    assert list(selection.CRITERIA) == [
        "auto",
        "information_maximization",
        "entropy",
        "bnm",
        "source_validation",
        "snd",
        "class_cluster",
        "iwcv",
        "dev",
        "mixval_intra",
        "mixval_inter",
        "reverse_neighbor",
        "reverse_validation",
        "mixval",
        "im_and_source",
        "ensemble",
        "pair_ensemble",
        "ensemble_and_cluster",
    ]
    every_epoch = [name for name, each in selection.PER_TRIAL.items() if each.cost is Cost.EVERY_EPOCH]
    assert every_epoch == ["information_maximization", "entropy", "bnm", "source_validation"]
    assert list(selection.ENSEMBLES) == ["ensemble", "pair_ensemble"]
    assert list(selection.RANKED) == ["mixval", "im_and_source", "ensemble_and_cluster"]
    assert list(selection.BY_FAMILY) == ["auto"]
    assert selection.RANKED["mixval"].parts == ("mixval_intra", "mixval_inter")


# --- what a criterion says that it needs ---


def _evidence(available: frozenset[Need]) -> Evidence:
    """Of a model that is good but not perfect, as far as ``available`` goes; the rest is not there, or is of no use."""
    points, labels = make_blobs(60, n_features=3, centers=3, cluster_std=3.0, random_state=0)
    features = points if Need.FEATURES in available else np.empty((60, 0))
    logits = points @ np.linalg.lstsq(points, np.eye(3)[labels], rcond=None)[0]
    known = LabelledOutputs(logits, features, labels)

    def predict(inputs: np.ndarray) -> np.ndarray:
        if Need.PASSES not in available:
            raise LookupError("no further passes")
        return np.asarray(np.eye(3)[np.arange(len(inputs)) % 3])

    return Evidence(
        Outputs(logits if Need.PREDICTIONS in available else np.full((60, 3), np.nan), features),
        3,
        points,
        validation=known if Need.VALIDATION in available else None,
        predict=predict,
        outputs_on_source=(lambda: known) if Need.SOURCE in available else None,
        scores_of_method=lambda: {"reverse_validation": 50.0} if Need.METHOD in available else {},
    )


@pytest.mark.parametrize("name", selection.PER_TRIAL)
def test_a_criterion_is_computed_of_what_it_says_that_it_needs_and_of_nothing_else(name: str) -> None:
    criterion = selection.PER_TRIAL[name]
    value = criterion.compute(_evidence(criterion.needs))
    assert value is not None
    assert np.isfinite(value)


def test_each_text_is_a_line_that_no_other_criterion_has() -> None:
    texts = list(selection.CRITERIA.values())
    assert len(set(texts)) == len(texts)
    assert all(text and "\n" not in text for text in texts)


# --- versions ---


@pytest.fixture
def second_entropy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A second version of a criterion."""
    registry.name_of.cache_clear()
    monkeypatch.setattr(Entropy, "version", 2)
    yield
    registry.name_of.cache_clear()


@pytest.mark.usefixtures("second_entropy")
def test_values_of_two_versions_of_a_criterion_are_never_mixed(tmp_path: Path) -> None:
    assert registry.by_name({"entropy": 1.0, "bnm": 2.0, "pad_input": 3.0}) == {"bnm": 2.0, "pad_input": 3.0}
    assert registry.by_name({"entropy@2": 4.0, "entropy@3": 5.0, "bnm@2": 6.0}) == {"entropy": 4.0}
    write(tmp_path / "ledger.sqlite", RUNS[:3])
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        report = EpochReport(3, 80.0, {"entropy": -0.1, "entropy@2": -9.0}, {}, 1.0)
        ledger.record_epoch(RUNS[2].trial.id, report)
        entropies = selection.candidates(ledger)["entropy"].tolist()
    assert np.isnan(entropies[:2]).all()
    assert entropies[2] == -9.0
    assert selection.guarded_score({"entropy": -0.1, "entropy@2": -9.0}, "entropy") == -9.0
    assert selection.guarded_score({"entropy": -0.1}, "entropy") == selection.guarded_score({}, "entropy")


@pytest.mark.usefixtures("second_entropy")
def test_the_record_of_a_run_says_which_version_its_values_are_of(tmp_path: Path) -> None:
    write(tmp_path / "ledger.sqlite", RUNS[:1])
    candidates = results.read(tmp_path / "ledger.sqlite").derived.assign(entropy=-9.0)
    recorded = candidates.rename(columns={name: each.key for name, each in registry.find().items()})
    assert "entropy@2" in recorded
    assert selection.of_these_versions(recorded).equals(candidates)
    old = candidates[["entropy", "bnm"]]
    assert list(selection.of_these_versions(old)) == ["bnm"]


# --- a criterion more ---

MARGIN = '''
"""The margin of the two likeliest classes."""

import numpy as np

from transfer_sweep.reports.criteria.base import Evidence, Need, TrialCriterion


class Margin(TrialCriterion):
    """Mean difference of the two largest probabilities."""

    name = "margin"
    text = "mean difference of the two largest probabilities"
    needs = frozenset({Need.PREDICTIONS})

    def compute(self, evidence: Evidence) -> float:
        """See the class."""
        second, first = np.sort(evidence.target.probabilities, axis=1)[:, -2:].T
        return float((first - second).mean())
'''

EXPERIMENT = """
dataset: offline_digits
protocol: {backbone: small_cnn, training: scratch}
pairs: [rendered-photo]
criterion: margin
methods: {source_only: {lr: [0.01]}}
"""

USE = dedent(
    """
    import json, sys
    from pathlib import Path

    import numpy as np

    import transfer_sweep.reports.criteria as package

    folder = Path(sys.argv[1])
    package.__path__.append(str(folder))  # as if the file lay beside the others

    from tests.support.small_ledger import Run, write
    from transfer_sweep.algorithms.base import Task
    from transfer_sweep.algorithms.shallow.nearest_neighbor import NearestNeighbor, NearestNeighborParams
    from transfer_sweep.datasets.base import Samples
    from transfer_sweep.reports import report, selection
    from transfer_sweep.reports.ledger.ledger import Ledger
    from transfer_sweep.reports.ledger.records import EpochReport
    from transfer_sweep.sweep.config import loader
    from transfer_sweep.sweep.stopping.rungs import Rungs
    from transfer_sweep.sweep.trial.scoring import Scoring

    experiment = loader.load(str(folder / "toy.yaml"))


    samples = Samples(np.eye(3), np.arange(3))
    method = NearestNeighbor(Task(samples, None, samples.inputs, num_classes=3), NearestNeighborParams())
    method.fit_epoch()
    scored = Scoring(samples, samples.inputs, None, None, 3, transductive=True)(method)

    firsts = [1.0, 3.0, 2.0, 0.5, 2.9, 3.1]
    runs = [Run("dann", "amazon", "dslr", {"lr": 0.1 * (i + 1)}, [(50.0, 1.0, 1.0)] * 3) for i in range(6)]
    (folder / "toy").mkdir()
    path = folder / "toy" / "ledger.sqlite"
    write(path, runs)
    with Ledger(path, write=True) as ledger:
        for run, first in zip(runs, firsts):
            for epoch in (1, 2, 3):
                criteria = {"margin": first, "predicted_classes": 1.0}
                ledger.record_epoch(run.trial.id, EpochReport(epoch, 50 + first, criteria, {}, 1.0))
        ledger.set_meta("experiment", {"dataset": "office31", "criterion": "margin"})
        chosen = selection.choose(selection.candidates(ledger), "margin")["target_accuracy"].tolist()
    rungs = Rungs(experiment.early_stopping, {runs[0].trial.cell})
    scores = [selection.guarded_score({"margin": first}, experiment.stopping_criterion) for first in firsts]
    goes_on = [rungs.keep_going(run.trial, 1, score) for run, score in zip(runs, scores)]
    print(json.dumps({
        "listed": [list(selection.CRITERIA)[-1], selection.CRITERIA["margin"]],
        "stops by": experiment.stopping_criterion,
        "computed": scored.criteria["margin"],
        "goes on": goes_on,
        "chosen": chosen,
        "report": report.render([path], "md"),
    }))
    """
)


def test_one_file_makes_a_criterion_that_is_listed_computed_stops_chooses_and_is_reported(tmp_path: Path) -> None:
    (tmp_path / "margin.py").write_text(MARGIN)
    (tmp_path / "toy.yaml").write_text(EXPERIMENT)
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["listed"] == ["margin", "mean difference of the two largest probabilities"]
    assert found["stops by"] == "margin"
    # Logits of 1-NN are minus distances: 0 to the sample itself, √2 to each other class.
    assert found["computed"] == pytest.approx((1 - np.exp(-np.sqrt(2))) / (1 + 2 * np.exp(-np.sqrt(2))))
    # Li et al. 2020, Algorithm 2, η = 3, by hand: one goes on if it is not below the upper third of those before it.
    # The third, 2.0, is below 2⅓ (of 1, 3), the fourth, 0.5, below 2⅓ (of 1, 2, 3); 2.9 and 3.1 pass 2 and 2.6.
    assert found["goes on"] == [True, True, False, False, True, True]
    assert found["chosen"] == [pytest.approx(53.1)]
    assert "margin (used here)" in found["report"]
    assert "mean difference of the two largest probabilities" in found["report"]


def test_a_file_whose_class_bears_another_name_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "margins.py").write_text(MARGIN)
    lines = [
        "import sys, transfer_sweep.reports.criteria as package",
        "package.__path__.append(sys.argv[1])",
        "from transfer_sweep.reports.criteria import registry",
        "registry.find()",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines), str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "criteria.margins has to define one Criterion, with name = 'margins'" in done.stderr
