"""Fixtures of the tests of what runs trials."""

import gc
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from transfer_sweep.datasets.offline_digits import OfflineDigits, OfflineDigitsOptions
from transfer_sweep.plugins import Bundle
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.engine.object_store import ObjectStore
from transfer_sweep.sweep.engine.trainable import Shared, TransferTrial, TrialSpec
from transfer_sweep.sweep.planning import trials as plan
from transfer_sweep.sweep.resources.gpu_memory import Memory
from transfer_sweep.sweep.trial.model_files import Preparation

DEEP = """\
dataset: offline_digits
dataset_options: {channels: 1, train: 40, test: 20}
pairs: [rendered-photo]
protocol: {backbone: small_cnn, training: scratch}
epochs: 3
methods: {source_only: {batch_size: 20}}
"""


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransferTrial:
    """A trial as Tune makes it, in this process."""
    (tmp_path / "deep.yaml").write_text(DEEP)
    (row,) = plan.search(loader.load(str(tmp_path / "deep.yaml")))
    digits = OfflineDigits(options=OfflineDigitsOptions(channels=1, train=40, test=20))
    for name in ("put", "get"):
        monkeypatch.setattr(ray, name, lambda stored: stored)
    store = ObjectStore(digits, tmp_path, None, lambda *_: None)
    store.put([row])
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "here"))
    monkeypatch.setattr(gc, "freeze", lambda: None)
    storage = Storage.of(str(tmp_path), "deep")
    shared = Shared(
        plugins=Bundle.in_use(),
        specs={row.id: TrialSpec(row)},
        domains=store.domains,
        storage=storage,
        folder=str(tmp_path),
        node="here",
        epochs=3,
        num_classes=10,
        preparations={(name, "raw"): Preparation(digits.classes) for name in row.pair},
        criterion="entropy",
        checkpoint_seconds=20,
        pretrained={},
        proxy_a_distance=False,
        memory=Memory(),
    )
    made = TransferTrial.__new__(TransferTrial)
    made.setup({"trial": {"id": row.id}}, shared)
    return made
