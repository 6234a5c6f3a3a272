"""``try``: what it refuses, and the file that it writes."""

from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, assert_refused
from tests.support.pictures import COLOURS, paint
from transfer_sweep.sweep.cli.trying import experiment_file
from transfer_sweep.sweep.config import loader


def test_a_try_that_cannot_be_is_refused_in_one_line(
    shop: Path, sweep: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop)
    (shop / "empty").mkdir()
    (shop / "a.csv").write_text("x,y\n1,cat\n")
    (shop / "notes.txt").write_text("no table")
    paint(shop / "one/red/0.png", COLOURS["red"], 1)
    paint(shop / "odd/purple/0.png", (120, 40, 120), 2)
    paint(shop / "odd/red/0.png", COLOURS["red"], 3)
    for arguments, part in {
        ("catalog", "nowhere"): "nowhere does not exist",
        ("catalog", "catalog"): "source and target are the same",
        ("catalog", "a.csv"): "both have to be of one kind",
        ("catalog", "notes.txt"): "neither a folder nor a table",
        ("catalog", "empty"): "empty",
        ("phone", "empty"): "empty",
        ("one", "phone"): "one class",
        ("phone", "catalog"): "phone cannot be a source",
        ("catalog", "odd"): "odd has classes that catalog lacks, which nothing can learn from it: purple",
    }.items():
        assert_refused(sweep("try", *arguments, "--results", shop / "results"), part)
        assert not list(shop.glob("*.yaml"))


def test_a_file_about_other_data_is_left_alone(shop: Path, sweep: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)
    other = "dataset: offline_digits\nmethods: {nearest_neighbor: {}}\n"
    (shop / "catalog_to_phone.yaml").write_text(other)
    assert_refused(sweep("try", "catalog", "phone", "--results", shop / "results"), "give this try another --name")
    assert (shop / "catalog_to_phone.yaml").read_text() == other


def test_the_file_of_a_try_names_both_and_may_be_loaded_whatever_their_names(tmp_path: Path) -> None:
    shop, phone = tmp_path / "it's: a #shop", tmp_path / "phone-at-night"
    for place in (shop, phone):
        for name, colour in COLOURS.items():
            paint(place / name / "0.png", colour, 0)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path)
        file = experiment_file(shop, phone, name=None, label=None)
        loaded = loader.load(str(file))
        assert experiment_file(shop, phone, name=None, label=None) == file  # the same again
    assert [Path(path) for path in loaded.paths.values()] == [shop, phone]
    assert loaded.pairs == (("it_s_a_shop", "phone_at_night"),)
    assert len(loaded.methods) == 10


@pytest.mark.parametrize("name", ["sub/mine", "../mine", "/mine", ""])
def test_a_name_that_no_folder_can_have_is_refused_and_no_file_of_the_users_is_touched(
    shop: Path, sweep: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(shop)
    (shop / "sub").mkdir()
    mine = shop / "sub/mine.yaml"
    mine.write_text("dataset: offline_digits\n")
    assert_refused(sweep("try", "catalog", "phone", "--name", name, "--results", shop / "results"), "--name")
    assert mine.read_text() == "dataset: offline_digits\n"


def test_a_label_column_may_have_a_name_that_yaml_reads_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for table in ("A.CSV", "b.csv"):
        (tmp_path / table).write_text("x,123,true\n1,0,cat\n2,1,dog\n")
    for label in ("123", "true"):
        loaded = loader.load(str(experiment_file(Path("A.CSV"), Path("b.csv"), f"by_{label}", label)))
        assert loaded.dataset_options["label"] == label
        assert loaded.pairs == (("a", "b"),)
