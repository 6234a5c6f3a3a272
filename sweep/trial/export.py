"""A saved model as one file for use elsewhere: raw pixels or vectors in, logits and probabilities out.

What a picture goes through on its way (resizing as Pillow does it, the crop, the backbone) is part of the model: nobody
else has to repeat it. A file is kept only if it says what ``predict`` says.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax
from torch import Tensor, nn

from transfer_sweep.algorithms.networks.augmentation import CROP, centre_crop
from transfer_sweep.datasets.base import Standardisation
from transfer_sweep.datasets.images.decoding import PictureOptions
from transfer_sweep.reports.ledger.artefacts import write_whole
from transfer_sweep.reports.ledger.records import canonical
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial.forms import ExportFormat
from transfer_sweep.sweep.trial.model_files import write_with_backbone
from transfer_sweep.sweep.trial.resize import Resize
from transfer_sweep.sweep.trial.saved_model import SavedModel

TOLERANCE = 1e-4
"""Largest difference from ``predict``, of probabilities, and of logits as a part of the largest of them."""

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_OPSET = 18
_INPUTS = {"pictures": "pixels", "vectors": "vectors"}
_OUTPUTS = ["logits", "probabilities"]
_SIZES = ((240, 180), (300, 333), (701, 400))  # height and width of pictures that are compared
_COMPARED = 8  # vectors, or images of a fixed size


FILES = {
    ExportFormat.ONNX: "model.onnx",
    ExportFormat.TORCHSCRIPT: "model.pt",
    ExportFormat.SAFETENSORS: "model.safetensors",
}


class _Crop(nn.Module):
    """The middle that a backbone takes."""

    def forward(self, images: Tensor) -> Tensor:
        return centre_crop(images, CROP)


class _Standardise(nn.Module):
    """(x − mean) / scale, float32."""

    mean: Tensor
    scale: Tensor

    def __init__(self, given: Standardisation) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(given.mean))
        self.register_buffer("scale", torch.from_numpy(given.scale))

    def forward(self, vectors: Tensor) -> Tensor:
        return ((vectors.to(torch.float64) - self.mean) / self.scale).to(torch.float32)


class ExportedModel(nn.Module):
    """Inputs → (logits, probabilities), (n, K) float32 each.

    Args:
        steps: what an input goes through, one after another, up to the logits.
    """

    def __init__(self, steps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.Sequential(*steps)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.steps(inputs)
        return logits, logits.softmax(dim=1)


def side(model: SavedModel) -> int | None:
    """The pixels to which pictures are resized and with that prepared; None where there is more to it than that.

    A written digit, say, is cut out of its paper first: of such data sets, models take images as the data set has them.
    """
    options = model.dataset.options
    return options.size if model.takes == "pictures" and isinstance(options, PictureOptions) else None


def module_of(model: SavedModel) -> ExportedModel:
    """A saved model as one torch module, in evaluation mode.

    Raises:
        SweepError: the method does not say how it predicts as a module.
    """
    try:
        method = model.algorithm.module()
    except NotImplementedError as error:
        raise SweepError(
            f"{error}: it cannot be exported; all methods that ship can, as can those that override module()"
        ) from None
    steps: list[nn.Module] = []
    pixels = side(model)
    if pixels is not None:
        steps.append(Resize(pixels))
    if model.standardisation is not None:
        steps.append(_Standardise(model.standardisation))
    if model.frozen:
        steps += [_Crop(), model.backbone]
    return ExportedModel([*steps, method]).eval()


@dataclass(frozen=True)
class Check:
    """How far an exported model is from ``predict``.

    Attributes:
        inputs: how many were compared.
        probabilities: largest difference.
        logits: likewise, as a part of the largest logit.
    """

    inputs: int
    probabilities: float
    logits: float

    @property
    def passed(self) -> bool:
        """Whether it is near enough."""
        return max(self.probabilities, self.logits) <= TOLERANCE

    def __str__(self) -> str:
        return (
            f"{self.inputs} inputs compared with predict: probabilities differ by {self.probabilities:.1e} at most, "
            f"logits by {self.logits:.1e} of the largest (allowed: {TOLERANCE:.0e})"
        )


@dataclass(frozen=True)
class _Compared:
    """Inputs as an exported model takes them, and the logits that ``predict`` gives of them."""

    inputs: NDArray[Any]
    logits: NDArray[np.float32]


def _to_compare(model: SavedModel) -> list[_Compared]:
    """Some inputs, always the same: smooth pictures of several sizes, or vectors."""
    rng = np.random.default_rng(0)
    if side(model) is not None:
        pairs = []
        for height, width in _SIZES:
            small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
            picture = small.resize((width, height), Image.Resampling.BICUBIC)
            sample = model.sample(picture)
            pairs.append(_Compared(np.asarray(picture).transpose(2, 0, 1)[None], model.logits(sample[None])))
        return pairs
    shape = (_COMPARED, *model.file.input_shape)
    if model.takes == "pictures":
        images = rng.integers(0, 256, shape, dtype=np.uint8)
        return [_Compared(images, model.logits(images))]
    vectors = np.abs(rng.normal(size=shape)).astype(np.float32)  # as counts are, never negative
    return [_Compared(vectors, model.logits(model.standardised(vectors)))]


Run = Callable[[NDArray[Any]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Logits and probabilities that an exported file gives of inputs."""


def _check(run: Run, compared: Sequence[_Compared]) -> Check:
    probabilities, logits = 0.0, 0.0
    for each in compared:
        found, found_probabilities = run(each.inputs)
        expected = softmax(each.logits.astype(np.float64), axis=1)
        probabilities = max(probabilities, float(np.abs(found_probabilities - expected).max()))
        largest = max(1.0, float(np.abs(each.logits).max()))
        logits = max(logits, float(np.abs(found - each.logits).max()) / largest)
    return Check(sum(len(each.inputs) for each in compared), probabilities, logits)


def check_packages(form: ExportFormat) -> None:
    """Refuse a form whose packages are not installed.

    Raises:
        SweepError: which, and how they are installed.
    """
    if form is ExportFormat.ONNX and (absent := [n for n in _PACKAGES if importlib.util.find_spec(n) is None]):
        raise SweepError(
            f"--format onnx needs {', '.join(absent)}: `pip install {' '.join(absent)}` (or transfer-sweep[export]); "
            "torchscript and safetensors need nothing more"
        )


def check_folder(folder: Path, form: ExportFormat, overwrite: bool) -> None:
    """Refuse a folder in which files would be replaced, before any work.

    Raises:
        SweepError: it holds a model of that form or a README already, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise SweepError(f"--out {folder} is a file: name a folder")
    there = [name for name in (FILES[form], "README.md") if (folder / name).exists()]
    if there and not overwrite:
        raise SweepError(f"{folder} holds {there[0]} already: add --overwrite, or name another folder")


def export(
    model: SavedModel, form: ExportFormat, folder: Path, card: Callable[[Check, str], str]
) -> tuple[Path, Check]:
    """Write a model for use elsewhere, and its card beside it.

    Args:
        model: opened on the CPU.
        form: of the file.
        folder: that is made for both.
        card: the text of the card, for how the check ended and what was used to write the file.

    Returns:
        The file, and how the check ended.

    Raises:
        SweepError: it does not say what ``predict`` says, or the method is none that can be exported, or packages are
            not installed.
    """
    check_packages(form)
    compared = _to_compare(model)
    with tempfile.TemporaryDirectory(prefix="sweep-export-") as made:
        path = Path(made) / FILES[form]
        run, used = _WRITERS[form](model, path)
        check = _check(run, compared)
        if not check.passed:
            raise SweepError(f"the exported model is not kept, it does not say what predict says: {check}")
        (Path(made) / "README.md").write_text(card(check, used), encoding="utf-8")
        (Path(made) / "classes.json").write_text(json.dumps(list(model.classes), ensure_ascii=False) + "\n", "utf-8")
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(Path(made).iterdir()):
            write_whole(folder / file.name, partial(shutil.copyfile, file))
    return folder / FILES[form], check


def about(model: SavedModel) -> dict[str, str]:
    """What a file says of itself besides its numbers."""
    return {
        "classes": json.dumps(list(model.classes)),
        "trial": canonical(model.trial.encode()),
        "made_by": "transfer-sweep",
    }


def _example(model: SavedModel) -> Tensor:
    if side(model) is not None:
        return torch.zeros((2, 3, *_SIZES[0]), dtype=torch.uint8)
    kind = torch.uint8 if model.takes == "pictures" else torch.float32
    return torch.zeros((2, *model.file.input_shape), dtype=kind)


def _write_onnx(model: SavedModel, path: Path) -> tuple[Run, str]:
    import onnx  # noqa: PLC0415 - optional
    import onnxruntime  # noqa: PLC0415 - optional

    name = _INPUTS[model.takes]
    sizes: dict[int, Any] = {0: torch.export.Dim("batch")}
    if side(model) is not None:
        sizes |= {2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=2)}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module_of(model),
                (_example(model),),
                dynamo=True,
                verbose=False,
                opset_version=_OPSET,
                input_names=[name],
                output_names=_OUTPUTS,
                dynamic_shapes=({**sizes},),
            )
    finally:
        logger.setLevel(level)
    assert program is not None
    program.save(str(path), external_data=False)
    written = onnx.load(path)
    for key, value in about(model).items():
        written.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(written)
    onnx.save(written, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(inputs: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        logits, probabilities = session.run(_OUTPUTS, {name: inputs})
        return logits, probabilities

    return run, f"torch.onnx (PyTorch {torch.__version__}), opset {_OPSET}; checked by onnxruntime"


def _write_torchscript(model: SavedModel, path: Path) -> tuple[Run, str]:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that it is deprecated, and that Python's numbers become constants
        traced = torch.jit.trace(module_of(model), _example(model))
        torch.jit.save(traced, str(path), _extra_files={"about.json": json.dumps(about(model))})
        loaded = torch.jit.load(str(path))

    @torch.no_grad()
    def run(inputs: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        logits, probabilities = loaded(torch.from_numpy(np.ascontiguousarray(inputs)))
        return logits.numpy(), probabilities.numpy()

    used = f"torch.jit.trace (PyTorch {torch.__version__}, which has deprecated it)"
    return run, f"{used}; torch.jit.load reads it, without this program"


def _write_safetensors(model: SavedModel, path: Path) -> tuple[Run, str]:
    write_with_backbone(model.path, model.pretrained if model.frozen else {}, path)
    module = module_of(SavedModel(path, device="cpu"))

    @torch.no_grad()
    def run(inputs: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        logits, probabilities = module(torch.from_numpy(np.ascontiguousarray(inputs)))
        return logits.numpy(), probabilities.numpy()

    return run, "safetensors: the numbers by name, no graph; transfer_sweep.sweep.trial.export.load reads it"


def load(path: Path) -> ExportedModel:
    """A ``model.safetensors`` that :func:`export` wrote, as a torch module; neither results nor data root are needed.

    Raises:
        SweepError: the file is missing or damaged, or of a newer version; one line.
    """
    return module_of(SavedModel(path, device="cpu"))


_WRITERS: dict[ExportFormat, Callable[[SavedModel, Path], tuple[Run, str]]] = {
    ExportFormat.ONNX: _write_onnx,
    ExportFormat.TORCHSCRIPT: _write_torchscript,
    ExportFormat.SAFETENSORS: _write_safetensors,
}
