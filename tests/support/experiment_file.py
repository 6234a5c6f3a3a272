"""Small experiment files for tests to load as they are, or with a part replaced."""

from pathlib import Path

from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.config.schema import Experiment

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
KINDS_ON_A_GPU = """\
dataset: offline_digits
dataset_options: {channels: 1, train: 40, test: 20}
pairs: [rendered-photo]
protocol: {backbone: small_cnn, training: scratch}
epochs: 2
methods:
  mcc: {batch_size: 20}
  source_only: {batch_size: [10, 20], lr: [0.001, 0.01]}
  nearest_neighbor: {}
"""
"""Three kinds of trials that need a GPU's memory, and one that needs none."""

METHODS = {
    "nearest_neighbor": "{}",
    "tca": "{n_components: [5, 10], mu: [0.1, 1, 10]}",
    "jda": "{n_components: 5, iterations: [2, 4]}",
}
"""Methods of :func:`load_methods`, and what the file says of them."""


def write(folder: Path, text: str = EXPERIMENT) -> str:
    """Write an experiment file ``mine.yaml``; its path as :func:`transfer_sweep.sweep.config.loader.load` takes it."""
    file = folder / "mine.yaml"
    file.write_text(text)
    return str(file)


def load_methods(folder: Path, extra: str = "", methods: dict[str, str] = METHODS, name: str = "mine") -> Experiment:
    """The experiment of two pairs and some methods.

    Args:
        folder: for its file.
        extra: more lines of the file.
        methods: name → entry, as YAML.
        name: the experiment's.
    """
    lines = "".join(f"  {method}: {entry}\n" for method, entry in methods.items())
    file = folder / f"{name}.yaml"
    file.write_text(f"dataset: offline_digits\npairs: [rendered-photo, uci-photo]\n{extra}\nmethods:\n{lines}")
    return loader.load(str(file))
