"""Which profile a run has where none is asked for."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.sweep.planning.profiles import choose_profile

EXPERIMENT = """\
dataset: offline_digits
pairs: [rendered-photo]
protocol: {backbone: resnet18, training: finetune, weights: here.safetensors}
profiles:
  cpu: {protocol: {backbone: small_cnn, training: scratch}}
  gpu: {epochs: 20}
methods: {source_only: {}, nearest_neighbor: {}}
"""


def test_the_gpu_profile_wants_a_gpu_and_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small.yaml").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)

    def chosen(asked: str | None = None, there: bool = True) -> tuple[str, str]:
        return choose_profile("small.yaml", asked, tmp_path, lambda: there)

    assert chosen() == ("cpu", "there is a GPU, but no weights at here.safetensors")
    safetensors.torch.save_file({"fc.bias": torch.zeros(3)}, "here.safetensors")
    assert chosen() == ("gpu", "there is a GPU")
    assert chosen(there=False) == ("cpu", "there is no GPU")
    assert chosen("gpu", there=False) == ("gpu", "asked for")
    with Ledger(tmp_path / "small" / FILE, write=True) as ledger:
        ledger.set_meta("profile", "cpu")
    assert chosen() == ("cpu", "as the first run had it")
