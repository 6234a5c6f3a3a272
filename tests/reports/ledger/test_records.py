"""The nouns of a run: what they are called, and that they leave and enter a ledger as they were."""

import pytest

from transfer_sweep.reports.ledger.records import Cell, FewLabels, Pair, Protocol, Trial, TrialState


def test_few_label_settings_in_words_and_in_names_of_cells() -> None:
    settings = [FewLabels(3), FewLabels(0, classes=15), FewLabels(1, source=False)]
    assert [each.text() for each in settings] == [
        "3 per class",
        "0 per class, of 15 classes",
        "1 per class, without source",
    ]
    assert [each.tag for each in settings] == ["+3", "+0of15", "+1only"]
    assert FewLabels(3, classes=15).text(count=False) == "of 15 classes"
    assert Protocol("pixels").few_text == Protocol("pixels").few_tag == ""


def test_a_protocol_is_what_its_text_says_and_keeps_it_to_the_letter() -> None:
    text = '{"backbone":"resnet50","few":{"classes":null,"per_class":3,"source":true},"training":"finetune"}'
    protocol = Protocol.decode(text)
    assert protocol.text == text
    assert Protocol.decode(text) is protocol
    assert (protocol.few, protocol.training, protocol.holdout) == (FewLabels(3), "finetune", 0.0)
    written = Protocol("resnet50", "finetune", few=FewLabels(3))
    assert written != protocol  # that text lacks what this version would write
    assert Protocol.decode(written.text) == written
    assert hash(Protocol.decode(written.text)) == hash(written)


@pytest.mark.parametrize("key", ["inputs", "version", "target_classes"])
def test_keys_that_came_later_are_left_out_at_what_was_before(key: str) -> None:
    assert key not in Protocol("pixels").encode()
    changed = Protocol("pixels", inputs={"features": "tfidf"}, version=2, target_classes=5)
    assert key in changed.encode()
    assert Protocol.decode(changed.text) == changed


def test_the_profile_is_no_part_of_an_identity() -> None:
    assert Protocol("pixels", profile="cpu").identity() == Protocol("pixels", profile="gpu").identity()


def test_both_directions_of_a_pair_share_the_representation_that_is_learned_of_both() -> None:
    msda = Protocol("bow", inputs={"msda": {"layers": 5}})
    assert msda.representation(Pair("a", "b")) == msda.representation(Pair("b", "a"))
    assert Protocol("bow").representation(Pair("a", "b")) == "raw"
    assert Protocol("lite0", "frozen").representation(Pair("a", "b")) == "lite0"


def test_a_trial_comes_back_as_it_left() -> None:
    cell = Cell("office31", "dann", Pair("amazon", "webcam"), Protocol("lite0", "frozen", few=FewLabels(3)))
    trial = Trial("abc", "search", cell, {"lr": 0.01, "layers": [1, 2]}, 3, 30)
    assert Trial.decode(trial.encode()) == trial
    assert cell.name == "dann+3:amazon-webcam"
    assert tuple(trial.encode()) == Trial.COLUMNS
    assert sorted([cell, Cell("digits", "mcd", Pair("a", "b"), Protocol("x"))])[0].dataset == "digits"


def test_states_say_what_stands_and_what_is_tried_again() -> None:
    assert {state for state in TrialState if state.finished} == {"done", "stopped"}
    assert {state for state in TrialState if state.lost} == {"failed", "oom"}
    assert {state for state in TrialState if not state.ended} == {"pending", "running"}
