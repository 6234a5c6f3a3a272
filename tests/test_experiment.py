"""Experiment files: what is accepted, and how what is wrong is said."""

from pathlib import Path

import pytest

from sweep import SweepError, experiment

GOOD = """\
dataset: offline_digits
pairs: [rendered-photo]
epochs: 9
methods:
  nearest_neighbor: {}
  tca:
    n_components: [5, 10]
    mu: 1
profiles:
  long: {epochs: 90}
"""


def _write(folder: Path, text: str) -> str:
    file = folder / "mine.yaml"
    file.write_text(text)
    return str(file)


def test_every_shipped_experiment_is_valid_in_every_profile() -> None:
    assert "quickstart" in experiment.names()
    for name in experiment.names():
        for profile in [None, *experiment.profiles(name)]:
            assert experiment.load(name, profile).methods


def test_profile_and_set_override_the_file(tmp_path: Path) -> None:
    path = _write(tmp_path, GOOD)
    assert experiment.load(path).epochs == 9
    assert experiment.load(path, "long").epochs == 90
    changed = experiment.load(path, "long", ["epochs=3", "methods.tca.mu=[0.1, 10]"])
    assert changed.epochs == 3
    assert changed.methods["tca"] == {"n_components": [5, 10], "mu": [0.1, 10]}


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("epochs: 9", "epoch: 9", ("line 3", "'epoch'", "did you mean 'epochs'?")),
        ("  tca:", "  tcaa:", ("line 6", "'tcaa'", "did you mean 'tca'?")),
        ("n_components", "n_component", ("line 7", "tca", "did you mean 'n_components'?")),
        ("mu: 1", "mu: -1", ("line 8", "mu", "greater than", "-1")),
        ("mu: 1", "mu: {loguniform: [0.1, 10]}", ("line 8", "samples")),
        ("mu: 1", "mu: {logunifrom: [0.1, 10]}", ("line 8", "did you mean 'loguniform'?")),
        ("mu: 1", "mu: {loguniform: [10, 0.1]}", ("line 8", "lower < upper")),
        ("rendered-photo", "rendered-foto", ("line 2", "'foto'", "did you mean 'photo'?")),
        ("rendered-photo", "photo-photo", ("line 2", "same domain")),
        ("offline_digits", "ofline_digits", ("line 1", "did you mean 'offline_digits'?")),
        ("epochs: 9", "epochs: many", ("line 3", "epochs", "many")),
        ("epochs: 9", "epochs: [9", ("not valid YAML", "line")),
        ("epochs: 9", "criterion: information_maximisation", ("line 3", "did you mean 'information_maximization'?")),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_place(
    tmp_path: Path, old: str, new: str, parts: tuple[str, ...]
) -> None:
    assert old in GOOD
    with pytest.raises(SweepError) as caught:
        experiment.load(_write(tmp_path, GOOD.replace(old, new)))
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_unknown_experiment_names_the_nearest() -> None:
    with pytest.raises(SweepError, match="did you mean 'quickstart'"):
        experiment.load("quikstart")


def test_yaml_cannot_construct_objects(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    text = GOOD.replace("epochs: 9", f"description: !!python/object/apply:pathlib.Path.touch [{marker}]")
    try:
        experiment.load(_write(tmp_path, text))
    except SweepError as error:
        assert "\n" not in str(error)
    assert not marker.exists()
