"""Experiments by name: profiles and overrides applied, YAML that is none refused."""

from pathlib import Path

import pytest

from tests.support.experiment_file import EXPERIMENT, write
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.errors import SweepError


def test_every_shipped_experiment_is_valid_in_every_profile() -> None:
    assert "quickstart" in loader.names()
    for name in loader.names():
        for profile in [None, *loader.profiles(name)]:
            assert loader.load(name, profile).methods


def test_profile_and_set_override_the_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert loader.load(path).epochs == 9
    assert loader.load(path, "long").epochs == 90
    changed = loader.load(path, "long", ["epochs=3", "methods.tca.mu=[0.1, 10]"])
    assert changed.epochs == 3
    assert changed.model_dump()["methods"]["tca"] == {"n_components": [5, 10], "mu": [0.1, 10]}


def test_unknown_experiment_names_the_nearest() -> None:
    with pytest.raises(SweepError, match="did you mean 'quickstart'"):
        loader.load("quikstart")


def test_yaml_cannot_construct_objects(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    text = EXPERIMENT.replace("epochs: 9", f"description: !!python/object/apply:pathlib.Path.touch [{marker}]")
    try:
        loader.load(write(tmp_path, text))
    except SweepError as error:
        assert "\n" not in str(error)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("name=other", ("--set name", "file")),
        ("profile=long", ("--set profile", "--profile")),
        ("profile.x=long", ("--set profile", "--profile")),
        ("epochs=[9", ("--set epochs", "not valid YAML")),
        ("description=a\x01b", ("--set description", "not valid YAML")),
        ("epochs=!!int many", ("--set epochs", "not valid YAML")),
        (f"epochs={'[' * 3000}", ("--set epochs", "nested too deeply")),
        ("description=&again [*again]", ("--set description", "nested too deeply")),
        ("epochs", ("path.to.value",)),
        ("pairs=[]", ("line 2", "pairs")),
    ],
)
def test_what_is_wrong_in_set_is_said_in_one_line(tmp_path: Path, override: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(SweepError) as caught:
        loader.load(write(tmp_path), None, [override])
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("profiles", ["profiles: 3", "profiles: [long]", "profiles: {long: 3}"])
def test_profiles_that_are_none_are_refused_where_they_are_listed(tmp_path: Path, profiles: str) -> None:
    path = write(tmp_path, EXPERIMENT[: EXPERIMENT.index("profiles:")] + profiles)
    with pytest.raises(SweepError, match=r"line 9: profiles"):
        loader.profiles(path)


def test_entries_may_share_params_by_a_merge_key_and_their_errors_still_have_a_line(tmp_path: Path) -> None:
    text = "dataset: offline_digits\nmethods:\n  dann:\n    - &same {lr: 0.1, samples: 2}\n    - {<<: *same, lr: LR}\n"
    loaded = loader.load(write(tmp_path, text.replace("LR", "0.2")))
    assert loaded.model_dump()["methods"]["dann"] == [{"lr": 0.1, "samples": 2}, {"lr": 0.2, "samples": 2}]
    with pytest.raises(SweepError, match=r"line 4: methods\.dann\.0\.hiden: dann has no param 'hiden'"):
        loader.load(write(tmp_path, text.replace("LR", "0.2").replace("lr: 0.1", "lr: 0.1, hiden: 3")))
    with pytest.raises(SweepError, match="line 5"):
        loader.load(write(tmp_path, text.replace("LR", "-1")))
