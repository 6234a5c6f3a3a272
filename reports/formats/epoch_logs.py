"""Logs of single runs as CSV files, ``<method>/<source>_to_<target>/<method>.csv``, where earlier work had them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from transfer_sweep.reports import results
from transfer_sweep.reports.ledger.ledger import Ledger, LedgerError


def export(ledgers: Sequence[Path], folder: Path, criterion: str | None = None, everything: bool = False) -> list[Path]:
    """Write a file for each method and pair: every epoch of its chosen trials, one after another.

    Columns: ``epoch``, ``target_accuracy`` in percent (missing where labels that chose trials take part in it), the
    criteria, the losses as ``loss_<name>``, ``seconds``; and of the trial ``backbone``, ``few`` (its few-label setting,
    where there is one), ``seed``, ``params`` and its id, ``trial``. A method has more than one trial on a pair where it
    ran under several protocols.

    Args:
        ledgers: the experiments' ledgers; with more than one, each has a folder of its name.
        folder: where to write.
        criterion: what chooses trials; None: each experiment's own.
        everything: trials of former plans, too.

    Raises:
        LedgerError: there is no ledger, it cannot be read, or a file cannot be written.
    """
    written = []
    for path in ledgers:
        with Ledger(path) as ledger:
            experiment = results.read_open(ledger, criterion, everything)
            chosen = experiment.records[experiment.records["selection"] == experiment.criterion]
            epochs = _epochs(results.history(ledger, chosen["trial"]))
        described = experiment.candidates[["id", "backbone", "few", "seed", "params"]].rename(columns={"id": "trial"})
        described["few"] = described["few"].replace("", None)
        table = epochs.merge(described, on="trial")
        root = folder / experiment.name if len(ledgers) > 1 else folder
        for key, cells in chosen.groupby(["method", "source", "target"], sort=False):
            method, source, target = map(str, key)
            file = root / method / f"{source}_to_{target}" / f"{method}.csv"
            log = table[table["trial"].isin(cells["trial"])].dropna(axis="columns", how="all")
            few = ["few"] if "few" in log else []
            last = ["seconds", "backbone", *few, "seed", "params", "trial"]
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                log[[*log.columns.drop(last), *last]].to_csv(file, index=False)
            except OSError as error:
                raise LedgerError(f"cannot write the log {file}: {error.strerror or error}") from error
            written.append(file)
    return written


def _epochs(history: pd.DataFrame) -> pd.DataFrame:
    """A ledger's epochs with their JSON columns spread out."""
    criteria, losses = (
        pd.DataFrame([json.loads(text) for text in history[column]], index=history.index, dtype=float)
        for column in ("criteria", "losses")
    )
    known = history[["trial", "epoch", "target_accuracy", "seconds"]]
    return known.join(criteria).join(losses.add_prefix("loss_"))
