"""Which profile of an experiment runs here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from transfer_sweep.algorithms.networks.backbones import BackboneError, load_pretrained
from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.sweep.config.loader import load, profiles


def choose_profile(name: str, asked: str | None, results: Path, available: Callable[[], bool]) -> tuple[str, str]:
    """The profile to run, and why, for the user.

    Args:
        name: the experiment's.
        asked: by flag; None: what the first run recorded, else by what the cluster has; ``gpu`` only where the
            backbone's weights are to be had.
        results: folder of results.
        available: whether there is a GPU.
    """
    known = profiles(name)
    if asked is not None:
        return asked, "asked for"
    path = results / Path(name).stem / FILE
    if path.exists():
        with Ledger(path) as ledger:
            recorded = ledger.meta("profile")
        if recorded is not None:
            return str(recorded), "as the first run had it"
    without = "cpu" if "cpu" in known else "default"
    if "gpu" in known and available():
        lacking = _lacking_weights(name)
        return ("gpu", "there is a GPU") if lacking is None else (without, f"there is a GPU, but {lacking}")
    return without, "there is no GPU" if without == "cpu" else "the experiment as it stands"


def _lacking_weights(name: str) -> str | None:
    """Why an experiment's ``gpu`` profile has no weights for a backbone; None where it has all it needs."""
    loaded = load(name, "gpu")
    weights = loaded.protocol.weights_file
    protocols = [loaded.under(entry).protocol for _, entry, _ in loaded.entries()]
    for backbone in dict.fromkeys(p.backbone for p in protocols if p.training in ("frozen", "finetune")):
        try:
            load_pretrained(str(backbone), weights)
        except BackboneError as error:
            return str(error)
    return None
