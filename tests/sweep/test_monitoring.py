"""What TensorBoard is told, read back from its files."""

import struct
from pathlib import Path

import pytest
from ray.tune.experiment import Trial
from tensorboardX.proto.event_pb2 import Event

from transfer_sweep.reports.ledger.records import Trial
from transfer_sweep.sweep.engine.metrics import TensorBoard, hyperparameters
from transfer_sweep.sweep.engine.trainable import TrialSpec

ROW = Trial("id7", "search", "digits", "{}", "dann", "mnist", "usps", '{"lr":0.01,"trade_off":0.3}', 5, 4)


def _events(folder: Path) -> list[Event]:
    """The events of a folder's one file: records of (length, checksum, content, checksum)."""
    (file,) = folder.iterdir()
    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setattr(Trial, "get_trainable_cls", lambda _: None)
    config = {"trial": {"id": ROW.id, "cpu": 1, "gpu": 0, **hyperparameters(ROW)}}
    return Trial("TransferTrial", config=config, evaluated_params=config, stub=True)


def test_tensorboard_has_a_point_for_every_epoch_of_a_report(trial: Trial, tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, {ROW.id: TrialSpec(ROW, 4)})
    board.on_trial_start(1, [trial], trial)
    accuracies = {1: 50.0, 2: 60.0, 3: 55.5, 4: 70.0}
    for epochs in ((1,), (2, 3, 4)):
        rows = [
            {
                "epoch": epoch,
                "target_accuracy": accuracies[epoch],
                "criteria": {"entropy": -epoch / 10, "dev": float("nan")},
                "losses": {"transfer": 1 / epoch},
                "seconds": 0.5,
            }
            for epoch in epochs
        ]
        board.on_trial_result(1, [trial], trial, {"epochs": rows, "score": 1.0, "artefacts": {}, "state": "running"})
    board.on_trial_complete(1, [trial], trial)
    events = _events(tmp_path / "dann" / "mnist_to_usps" / "id7")
    points = {(v.tag, event.step): v.simple_value for event in events for v in event.summary.value if event.step}
    assert {step: value for (tag, step), value in points.items() if tag == "ray/tune/target_accuracy"} == accuracies
    assert points["ray/tune/criteria/entropy", 3] == pytest.approx(-0.3)
    assert points["ray/tune/losses/transfer", 4] == pytest.approx(0.25)
    assert not any(tag.endswith("dev") for tag, _ in points)
    told = b"".join(v.metadata.plugin_data.content for event in events for v in event.summary.value)
    assert all(text in told for text in (b"trial/lr", b"trial/trade_off", b"dann", b"mnist-usps"))
