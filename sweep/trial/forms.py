"""The forms that a model can leave this program in; named without what writes them, which takes seconds to import."""

from __future__ import annotations

from enum import StrEnum


class ExportFormat(StrEnum):
    """Form of an exported model."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    SAFETENSORS = "safetensors"
