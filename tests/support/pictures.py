"""Pictures that tests paint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (50, 60, 200)}


def paint(path: Path, colour: tuple[int, int, int], seed: int, dim: float = 1.0) -> None:
    """A noisy picture that is mostly of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(scale=25, size=(40, 40, 3))
    pixels = np.clip(dim * np.array(colour) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
