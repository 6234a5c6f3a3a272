"""A method, a data set and an experiment, a file each, dropped into a checkout; and what becomes of a method's trials
when the method changes. (A criterion is dropped in :mod:`tests.reports.criteria.test_registry`.)"""

import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support import checkout
from transfer_sweep.reports.ledger.ledger import Ledger

pytestmark = pytest.mark.ray

METHOD = '''\
"""Class means: a sample gets the class of the nearest mean; the means creep towards the target."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from transfer_sweep.algorithms.base import Algorithm, DomainRole, Params, Prediction, StateDict
from transfer_sweep.datasets.base import added_later


class CreepingMeansParams(Params):
    """Hyperparameters."""

    sharpness: float = Field(1.0, gt=0, description="of the logits")


class CreepingMeans(Algorithm):
    """Each epoch moves every mean a tenth of the way to the mean of the target samples that are nearest to it."""

    name = "creeping_means"
    source = "Nobody 2026, A Toy"
    family = "shallow"
    params_type = CreepingMeansParams
    params: CreepingMeansParams

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inputs, labels = self.task.source.inputs, self.task.source.labels
        self._means = np.stack([inputs[labels == c].mean(axis=0) for c in range(self.task.num_classes)])

    @classmethod
    def budget(cls, params: Params, epochs: int) -> int:
        return epochs

    def fit_epoch(self) -> dict[str, float]:
        nearest = self.predict(self.task.target_inputs).logits.argmax(axis=1)
        for c in np.unique(nearest):
            self._means[c] += 0.1 * (self.task.target_inputs[nearest == c].mean(axis=0) - self._means[c])
        return {}

    def predict(self, inputs: NDArray[Any], domain: DomainRole = "target") -> Prediction:
        distances = np.linalg.norm(inputs[:, None] - self._means, axis=2)
        return Prediction((-self.params.sharpness * distances).astype(np.float32), inputs.astype(np.float32))

    def state_dict(self) -> StateDict:
        return {"means": self._means.tolist()}

    def load_state_dict(self, state: StateDict) -> None:
        self._means = np.array(state["means"])
'''

DATASET = '''\
"""Three clouds of points, and the same clouds moved."""

import numpy as np

from transfer_sweep.datasets.base import Dataset, Domain, FileCheck, Samples


class Clouds(Dataset):
    """Two domains of vectors (n, 2)."""

    name = "clouds"
    domains = ("still", "moved")
    classes = ("left", "right", "above")
    raw_backbone = "coordinates"
    needs_root = False
    source = "Nobody 2026, Another Toy"

    def load(self, domain: str) -> Domain:
        draw = np.random.default_rng(self.domains.index(domain))

        def samples(n: int) -> Samples:
            labels = np.arange(n) % 3
            centres = np.array([[-2, 0], [2, 0], [0, 3]]) + self.domains.index(domain)
            return Samples((centres[labels] + draw.normal(size=(n, 2))).astype(np.float32), labels.astype(np.int64))

        return Domain(domain, samples(90), samples(60))

    def verify(self) -> list[FileCheck]:
        return []
'''

EXPERIMENT = """\
description: what was dropped
dataset: clouds
pairs: [still-moved]
epochs: 6
early_stopping: {scheduler: asha, grace: 0.33, reduction: 3}
methods:
  creeping_means: {sharpness: [0.1, 0.2, 0.5, 1, 2, 5, 10, 20]}
  nearest_neighbor: {}
"""


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with three files more, in which their experiment has run."""
    root = checkout.copy(tmp_path_factory.mktemp("checkout"))
    (root / "algorithms" / "shallow" / "creeping_means.py").write_text(METHOD)
    (root / "datasets" / "clouds.py").write_text(DATASET)
    (root / "search_spaces" / "dropped.yaml").write_text(EXPERIMENT)
    run(root)
    return root


@pytest.fixture
def changed(dropped: Path, tmp_path: Path) -> Path:
    """The same checkout and results, for a test to change."""
    shutil.copytree(dropped, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(root: Path) -> None:
    """Run the experiment, one trial at a time: which is stopped does not depend on who arrives first."""
    checkout.sweep(root, "run", "dropped", "--results", str(root / "results"), "--max-concurrent", "1")


def report(root: Path, *arguments: str) -> str:
    """The experiment's report."""
    return checkout.sweep(root, "report", "dropped", "--results", str(root / "results"), *arguments)


def accuracies(root: Path, *arguments: str) -> dict[str, float]:
    """Method → accuracy of its one cell's chosen trial, as a report in CSV has it."""
    rows = pd.read_csv(StringIO(report(root, "--format", "csv", *arguments)))
    chosen = rows[rows["selection"] != "oracle"]
    assert len(chosen) == 2
    return dict(zip(chosen["method"], chosen["target_accuracy_mean"], strict=True))


def trials(root: Path) -> pd.DataFrame:
    """All trials that there ever were, those of the plan first."""
    with Ledger(root / "results" / "dropped" / "ledger.sqlite") as ledger:
        return ledger.trials(everything=True)


def edit(root: Path, old: str, new: str) -> None:
    """Change the method's file."""
    file = root / "algorithms" / "shallow" / "creeping_means.py"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("what", "name"), [("methods", "creeping_means"), ("datasets", "clouds"), ("experiments", "dropped")]
)
def test_what_is_dropped_is_listed(dropped: Path, what: str, name: str) -> None:
    assert name in checkout.sweep(dropped, "list", what)


def test_trials_of_a_dropped_method_run_and_are_stopped_early(dropped: Path) -> None:
    found = trials(dropped)
    states = found.groupby("method")["state"].value_counts()
    assert states["creeping_means", "stopped"] >= 2
    assert states["creeping_means", "done"] >= 1
    assert len(found) == 8 + 1
    assert set(found["state"]) == {"done", "stopped"}


def test_a_dropped_method_and_data_set_stand_in_the_report(dropped: Path) -> None:
    shown = report(dropped)
    for text in ("creeping_means", "Nobody 2026, A Toy", "clouds", "Nobody 2026, Another Toy", "still"):
        assert text in shown


def test_a_param_that_joins_later_makes_no_trial_run_again(changed: Path) -> None:
    before = trials(changed)
    edit(
        changed,
        'description="of the logits")\n',
        'description="of the logits")\n    offset: float = added_later(0.0, before=0.0, description="of the means")\n',
    )
    run(changed)
    pd.testing.assert_frame_equal(trials(changed), before)


def test_a_raised_version_makes_a_methods_trials_run_again_and_no_report_mixes_both(
    dropped: Path, changed: Path
) -> None:
    before = trials(changed)
    # By the second version nobody looks at distances: its accuracy on three classes is a third.
    edit(changed, "-self.params.sharpness * distances", "np.tile([[self.params.sharpness, 0, 0]], (len(inputs), 1))")
    edit(changed, '    family = "shallow"\n', '    family = "shallow"\n    version = 2\n')
    run(changed)
    after = trials(changed)
    new = after[~after["id"].isin(before["id"])]
    assert set(new["method"]) == {"creeping_means"}
    assert len(new) == 8
    kept = after.set_index("id").loc[before["id"], ["state", "attempts"]]
    assert np.array_equal(kept, before[["state", "attempts"]])
    assert accuracies(dropped)["creeping_means"] > 80
    for arguments in ((), ("--all",)):
        assert accuracies(changed, *arguments)["creeping_means"] == pytest.approx(100 / 3, abs=0.01)
