"""A small experiment file for tests to load as it is, or with a part replaced."""

from pathlib import Path

EXPERIMENT = """\
dataset: offline_digits
pairs: [rendered-photo]
epochs: 9
methods:
  nearest_neighbor: {}
  tca:
    n_components: [5, 10]
    mu: 1
profiles:
  long: {epochs: 90}
"""


def write(folder: Path, text: str = EXPERIMENT) -> str:
    """Write an experiment file ``mine.yaml``; its path as :func:`transfer_sweep.sweep.config.loader.load` takes it."""
    file = folder / "mine.yaml"
    file.write_text(text)
    return str(file)
