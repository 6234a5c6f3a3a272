"""Trial ids: those of every experiment stay what they were, so that nothing that has run is run again."""

from pathlib import Path

import pytest

from tests.support import trial_ids


@pytest.fixture(scope="module")
def golden() -> dict[str, str]:
    return trial_ids.read()


@pytest.mark.parametrize("file", trial_ids.files(), ids=lambda file: file.rpartition("/")[2])
def test_every_trial_of_an_experiment_keeps_its_id_and_its_turn(file: str, golden: dict[str, str]) -> None:
    """How to go on after adding an experiment, a method or a profile: see :mod:`tests.support.trial_ids`."""
    now = trial_ids.planned(file)
    experiment = next(iter(now)).split()[0]
    before = {key: line for key, line in golden.items() if key.split()[0].partition("/")[0] == experiment}
    assert not trial_ids.differences(before, now)


def test_a_changed_id_is_told_with_its_cell() -> None:
    before = {"office31 plan": "2 aa", "office31 tca amazon-dslr": "1 bb", "office31 tca dslr-amazon": "1 cc"}
    now = {"office31 plan": "2 dd", "office31 tca amazon-dslr": "1 ee", "office31 jda dslr-amazon": "1 cc"}
    assert trial_ids.differences(before, now) == [
        "office31 plan: 2 aa → 2 dd",
        "office31 tca amazon-dslr: 1 bb → 1 ee",
        "office31 tca dslr-amazon: 1 cc → no trials",
        "office31 jda dslr-amazon: new, 1 cc",
    ]


def test_the_golden_file_grows_and_never_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = tmp_path / "mine.yaml"
    monkeypatch.setattr(trial_ids, "GOLDEN", tmp_path / "golden.txt")
    monkeypatch.setattr(trial_ids, "files", lambda: [str(experiment)])
    text = "dataset: offline_digits\npairs: [rendered-photo]\nmethods:\n  tca: {mu: [1, 10]}\n"
    experiment.write_text(text)
    assert not trial_ids.extend()
    (plan, cell) = trial_ids.read().items()
    assert (plan[0], cell[0]) == ("mine plan", "mine tca rendered-photo")
    experiment.write_text(text + "  coral: {}\n")
    assert not trial_ids.extend()
    grown = trial_ids.read()
    assert grown.keys() == {"mine plan", "mine tca rendered-photo", "mine coral rendered-photo"}
    assert grown["mine tca rendered-photo"] == cell[1]
    experiment.write_text(text.replace("10", "100") + "  coral: {}\n  jda: {}\n")
    (changed,) = trial_ids.extend()
    assert changed.startswith(f"mine tca rendered-photo: {cell[1]} → 2 ")
    assert trial_ids.read() == grown
