"""Experiment files: what is accepted, and how what is wrong is said."""

from pathlib import Path

import pytest

from tests.support.experiment_file import EXPERIMENT, load_methods, write
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning import trials as plan


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
        ("mu: 1", "protocl: {backbone: small_cnn}", ("line 8", "tca has no param 'protocl'")),
        ("mu: 1", "mu: []", ("line 8", "methods.tca.mu", "an empty list")),
        ("mu: 1", "pairs: null", ("line 8", "pairs", "all", "None")),
        ("mu: 1", "samples: 0", ("line 8", "samples is a whole number from 1", "0")),
        ("mu: 1", "samples: true", ("line 8", "samples is a whole number from 1", "True")),
        ("mu: 1", "protocol: 3", ("line 8", "methods.tca.protocol: is a mapping", "3")),
        ("mu: 1", "dataset_options: [size]", ("line 8", "dataset_options: is a mapping", "['size']")),
        ("nearest_neighbor: {}", "nearest_neighbor: 3", ("line 5", "nearest_neighbor", "valid dictionary", "3")),
        (
            "nearest_neighbor: {}",
            "nearest_neighbor: []",
            (
                "line 5",
                "nearest_neighbor: an empty list",
            ),
        ),
        (
            "nearest_neighbor: {}",
            "nearest_neighbor: [{}, 3]",
            ("line 5", "nearest_neighbor.1", "valid dictionary", "3"),
        ),
        ("nearest_neighbor: {}", "linear_svm: [{}, {C: [1, -1]}]", ("line 5", "linear_svm.1.C", "greater than", "-1")),
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
    assert old in EXPERIMENT
    with pytest.raises(SweepError) as caught:
        loader.load(write(tmp_path, EXPERIMENT.replace(old, new)))
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_labels_given_of_the_target_may_choose_but_not_stop(tmp_path: Path) -> None:
    chosen = loader.load(write(tmp_path, EXPERIMENT.replace("epochs: 9\n", "criterion: target_labels\n")))
    assert chosen.criterion == "target_labels"
    stopped = EXPERIMENT.replace("epochs: 9\n", "early_stopping: {criterion: target_labels}\n")
    with pytest.raises(SweepError, match="no criterion 'target_labels' that can stop"):
        loader.load(write(tmp_path, stopped))


def test_a_published_network_takes_no_params_of_a_bottleneck(tmp_path: Path) -> None:
    text = (
        "dataset: offline_digits\nprotocol: {backbone: digit_network, training: scratch}\n"
        "methods:\n  dann:\n    dropout: 0.2\n    bottleneck: 64\n"
    )
    expected = "line 6: methods.dann.bottleneck: digit_network has dense layers of its own"
    with pytest.raises(SweepError, match=expected):
        loader.load(write(tmp_path, text))
    assert loader.load(write(tmp_path, text.replace("digit_network", "small_cnn"))).methods


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
    assert plan.search(loader.load(write(tmp_path), None, [override]))


def test_what_is_wrong_in_a_protocol_of_a_method_is_said_in_one_line(tmp_path: Path) -> None:
    for entry, parts in {
        "{protocol: {msda: {layer: 3}}}": ("line 6", "'layer'", "did you mean 'layers'?"),
        "{protocol: {msda: {noise: 1}}}": ("line 6", "noise", "less than 1"),
        "{protocol: 3}": ("line 6", "mapping"),
        "{protocol: {weights: mine.pth}}": ("line 6", "weights of its own"),
        "{dataset_options: {features: bits}}": ("line 6", "features", "tfidf"),
        "{c: 1}": ("line 6", "no param 'c'", "there are: C"),
    }.items():
        file = tmp_path / "mine.yaml"
        file.write_text(
            f"dataset: amazon_reviews\npairs: all\nmethods:\n  logistic_regression:\n    - {{C: 1}}\n    - {entry}\n"
        )
        with pytest.raises(SweepError) as wrong:
            loader.load(str(file))
        assert all(part in str(wrong.value) for part in parts), str(wrong.value)
    with pytest.raises(SweepError, match="mSDA is for vectors"):
        load_methods(tmp_path, "protocol: {msda: {}}")


@pytest.mark.parametrize(
    ("protocol", "method", "parts"),
    [
        ("{target_labels_per_class: 3}", "tca", ("tca learns from no target labels", "line 5")),
        ("{target_labels_per_class: -1}", "dann", ("target_labels_per_class", "greater than or equal to 0", "-1")),
        ("{target_labels_per_class: []}", "dann", ("target_labels_per_class", "empty list")),
        ("{target_labels_per_class: 1, target_labelled_classes: 10}", "dann", ("leaves no class to score", "10")),
        ("{source: false}", "linear_svm", ("linear_svm without a source needs target labels",)),
    ],
)
def test_a_few_label_setting_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, protocol: str, method: str, parts: tuple[str, ...]
) -> None:
    with pytest.raises(SweepError) as wrong:
        load_methods(tmp_path, f"protocol: {protocol}", {method: "{}"})
    assert all(part in str(wrong.value) for part in parts), str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_drawn_labels_may_choose_but_not_stop_and_are_read_in_one_form(tmp_path: Path) -> None:
    for written, meant in (("labels(50)", "labels(50)"), ("labels( 25,prior )", "labels(25, prior)")):
        chosen = loader.load(write(tmp_path, EXPERIMENT.replace("epochs: 9\n", f"criterion: {written}\n")))
        assert chosen.criterion == meant
        assert chosen.stopping_criterion == "information_maximization"
        assert loader.load(write(tmp_path, EXPERIMENT), None, [f"criterion={written}"]).criterion == meant
    stopped = EXPERIMENT.replace("epochs: 9\n", "early_stopping: {criterion: labels(50)}\n")
    with pytest.raises(SweepError, match=r"no criterion 'labels\(50\)' that can stop"):
        loader.load(write(tmp_path, stopped))


@pytest.mark.parametrize("written", ["labels", "labels(0)", "labels(5, posterior)"])
def test_another_spelling_is_told_the_right_one(tmp_path: Path, written: str) -> None:
    with pytest.raises(SweepError, match=r"line \d.*unknown criterion .*labels\(N, prior\)") as caught:
        loader.load(write(tmp_path, EXPERIMENT.replace("epochs: 9\n", f"criterion: {written}\n")))
    assert "\n" not in str(caught.value)


def test_labels_that_choose_are_none_that_train(tmp_path: Path) -> None:
    both = "criterion: labels(50)\nprotocol: {target_labels_per_class: [0, 3]}\n"
    with pytest.raises(
        SweepError, match=r"target_labels_per_class: criterion: labels\(50\) draws labels that no trial"
    ):
        loader.load(write(tmp_path, EXPERIMENT.replace("epochs: 9\n", both)))
