"""What TensorBoard is told, read back from its files."""

import struct
from pathlib import Path

import pytest
from ray.tune.experiment import Trial as TuneTrial
from tensorboardX.proto.event_pb2 import Event

from tests.support import plans
from transfer_sweep.reports.ledger.records import EpochReport, TrialState
from transfer_sweep.sweep.engine.trackers import TensorBoard
from transfer_sweep.sweep.engine.trainable import TrialSpec
from transfer_sweep.sweep.trial.report import TrialReport

TRIAL = plans.trial("id7", "dann", "mnist", "usps", {"lr": 0.01, "trade_off": 0.3}, seed=5, budget=4)


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
def trial(monkeypatch: pytest.MonkeyPatch) -> TuneTrial:
    monkeypatch.setattr(TuneTrial, "get_trainable_cls", lambda _: None)
    return TuneTrial("TransferTrial", config={"trial": {"id": TRIAL.id, "cpu": 1, "gpu": 0}}, stub=True)


def test_tensorboard_has_a_point_for_every_epoch_of_a_report(trial: TuneTrial, tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, {TRIAL.id: TrialSpec(TRIAL)})
    board.on_trial_start(1, [trial], trial)
    accuracies = {1: 50.0, 2: 60.0, 3: 55.5, 4: 70.0}
    for epochs in ((1,), (2, 3, 4)):
        rows = [
            EpochReport(
                epoch,
                accuracies[epoch],
                {"entropy": -epoch / 10, "dev": float("nan")},
                {"transfer": 1 / epoch},
                seconds=0.5,
            )
            for epoch in epochs
        ]
        report = TrialReport(rows, epochs[-1], 1.0, TrialState.RUNNING)
        board.on_trial_result(1, [trial], trial, {"report": report})
    board.on_trial_complete(1, [trial], trial)
    events = _events(tmp_path / "dann" / "mnist_to_usps" / "id7")
    points = {(v.tag, event.step): v.simple_value for event in events for v in event.summary.value if event.step}
    assert {step: value for (tag, step), value in points.items() if tag == "ray/tune/target_accuracy"} == accuracies
    assert points["ray/tune/criteria/entropy", 3] == pytest.approx(-0.3)
    assert points["ray/tune/losses/transfer", 4] == pytest.approx(0.25)
    assert not any(tag.endswith("dev") for tag, _ in points)
    told = b"".join(v.metadata.plugin_data.content for event in events for v in event.summary.value)
    assert all(text in told for text in (b"lr", b"trade_off", b"dann", b"mnist-usps"))
