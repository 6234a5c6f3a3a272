"""Experiment files: what is accepted, and how what is wrong is said."""

from pathlib import Path

import pytest

from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning import trials as plan

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
    assert "quickstart" in loader.names()
    for name in loader.names():
        for profile in [None, *loader.profiles(name)]:
            assert loader.load(name, profile).methods


def test_profile_and_set_override_the_file(tmp_path: Path) -> None:
    path = _write(tmp_path, GOOD)
    assert loader.load(path).epochs == 9
    assert loader.load(path, "long").epochs == 90
    changed = loader.load(path, "long", ["epochs=3", "methods.tca.mu=[0.1, 10]"])
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
        ("epochs: 9", "description: a\x01b", ("not valid YAML", "mine.yaml")),
        ("epochs: 9", "epochs: !!int many", ("not valid YAML", "many")),
        ("epochs: 9", "epochs: !!timestamp many", ("not valid YAML",)),
        ("epochs: 9", f"epochs: {'[' * 3000}", ("nested too deeply",)),
        ("{epochs: 90}", "3", ("line 10", "profiles.long", "3")),
        ("\n  long: {epochs: 90}", " 3", ("line 9", "profiles", "3")),
        ("{epochs: 90}", "{name: other}", ("line 10", "'name'", "file")),
        ("epochs: 9\n", "name: other\n", ("line 3", "'name'", "file")),
        ("epochs: 9\n", "profile: long\n", ("line 3", "'profile'", "--profile")),
        ("mu: 1", "mu: .inf", ("line 8", "finite")),
        ("mu: 1", "mu: .nan", ("line 8", "finite")),
        ("mu: 1", "samples: 2\n    mu: {quniform: [1, 10, 0]}", ("line 9", "step above 0")),
        ("mu: 1", "samples: 2\n    mu: {quniform: [1, 10, -1]}", ("line 9", "step above 0")),
        ("mu: 1", "samples: 2\n    mu: {quniform: [1, 10, 1.0e-320]}", ("line 9", "step above 0")),
        ("mu: 1", "samples: 2\n    mu: {qloguniform: [1, 10, 3]}", ("line 9", "multiples")),
        ("mu: 1", "samples: 2\n    mu: {randint: [1.5, 3]}", ("line 9", "whole numbers")),
        ("mu: 1", f"samples: 2\n    mu: {{uniform: [1, 1{'0' * 400}]}}", ("line 9", "takes 2 numbers")),
        ("mu: 1", "dataset_options: {size: 32}", ("line 8", "may not change 'size'", "another experiment")),
        ("mu: 1", "pairs: []", ("line 8", "pairs", "all", "[]")),
        ("mu: 1", "pairs: some", ("line 8", "pairs", "all", "'some'")),
        ("[rendered-photo]", "[]", ("line 2", "pairs", "all", "[]")),
        (
            "epochs: 9\n",
            "protocol: {backbone: smal_cnn, training: scratch}\n",
            ("line 3", "'smal_cnn'", "did you mean 'small_cnn'?"),
        ),
        ("epochs: 9\n", "protocol: {backbone: resnet5}\n", ("line 3", "'resnet5'", "did you mean 'resnet50'?")),
        ("epochs: 9\n", "protocol: {training: scratch}\n", ("line 3", "needs a backbone")),
        ("epochs: 9\n", "protocol: {backbone: small_cnn, training: frozen}\n", ("line 3", "pretrained", "resnet50")),
        ("epochs: 9\n", "protocol: {backbone: small_cnn, training: finetune}\n", ("line 3", "pretrained", "resnet50")),
        (
            "offline_digits\npairs: [rendered-photo]\n",
            "office_caltech10\nprotocol: {backbone: resnet50, training: frozen}\n",
            ("line 2", "images", "surf_bow800"),
        ),
        ("epochs: 9\n", "resources: {gpu: -0.1}\n", ("line 3", "resources.gpu", "from 0 to 1", "-0.1")),
        ("epochs: 9\n", "resources: {gpu: 1.5}\n", ("line 3", "resources.gpu", "whole number", "1.5")),
        ("epochs: 9\n", "resources: {gpu: .inf}\n", ("line 3", "resources.gpu", "finite")),
        ("epochs: 9\n", "resources: {gpu: most}\n", ("line 3", "resources.gpu", "most")),
        ("epochs: 9", "criterion: information_maximisation", ("line 3", "did you mean 'information_maximization'?")),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_place(
    tmp_path: Path, old: str, new: str, parts: tuple[str, ...]
) -> None:
    assert old in GOOD
    with pytest.raises(SweepError) as caught:
        loader.load(_write(tmp_path, GOOD.replace(old, new)))
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_published_network_takes_no_params_of_a_bottleneck(tmp_path: Path) -> None:
    text = (
        "dataset: offline_digits\nprotocol: {backbone: digit_network, training: scratch}\n"
        "methods:\n  dann:\n    dropout: 0.2\n    bottleneck: 64\n"
    )
    expected = "line 6: methods.dann.bottleneck: digit_network has dense layers of its own"
    with pytest.raises(SweepError, match=expected):
        loader.load(_write(tmp_path, text))
    assert loader.load(_write(tmp_path, text.replace("digit_network", "small_cnn"))).methods


def test_unknown_experiment_names_the_nearest() -> None:
    with pytest.raises(SweepError, match="did you mean 'quickstart'"):
        loader.load("quikstart")


def test_yaml_cannot_construct_objects(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    text = GOOD.replace("epochs: 9", f"description: !!python/object/apply:pathlib.Path.touch [{marker}]")
    try:
        loader.load(_write(tmp_path, text))
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
        loader.load(_write(tmp_path, GOOD), None, [override])
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("profiles", ["profiles: 3", "profiles: [long]", "profiles: {long: 3}"])
def test_profiles_that_are_none_are_refused_where_they_are_listed(tmp_path: Path, profiles: str) -> None:
    path = _write(tmp_path, GOOD[: GOOD.index("profiles:")] + profiles)
    with pytest.raises(SweepError, match=r"line 9: profiles"):
        loader.profiles(path)


@pytest.mark.parametrize(
    "override",
    [
        *(f"resources.gpu={gpu}" for gpu in ("0", "0.25", "1", "2", "auto")),
        "protocol={backbone: small_cnn, training: scratch}",
        "protocol={backbone: resnet50, training: scratch}",
        "protocol={backbone: resnet50, training: finetune}",
        "methods.tca={mu: {quniform: [0.1, 0.5, 0.1]}, n_components: {qloguniform: [5, 50, 5]}, samples: 3}",
        "methods.tca.pairs=all",
    ],
)
def test_what_is_right_is_accepted(tmp_path: Path, override: str) -> None:
    assert plan.search(loader.load(_write(tmp_path, GOOD), None, [override]))


def test_entries_may_share_params_by_a_merge_key_and_their_errors_still_have_a_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = "dataset: offline_digits\nmethods:\n  dann:\n    - &same {lr: 0.1, samples: 2}\n    - {<<: *same, lr: LR}\n"
    file.write_text(text.replace("LR", "0.2"))
    loaded = loader.load(str(file))
    assert loaded.entries("dann") == [{"lr": 0.1, "samples": 2}, {"lr": 0.2, "samples": 2}]
    file.write_text(text.replace("LR", "0.2").replace("lr: 0.1", "lr: 0.1, hiden: 3"))
    with pytest.raises(SweepError, match=r"line 4: methods\.dann\.0\.hiden: dann has no param 'hiden'"):
        loader.load(str(file))
    file.write_text(text.replace("LR", "-1"))
    with pytest.raises(SweepError, match="line 5"):
        loader.load(str(file))
