"""Records of experiments as CSV and JSON, for other programs, and the archive of an experiment's trials."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from transfer_sweep.reports.criteria import registry
from transfer_sweep.reports.ledger.artefacts import FEATURES
from transfer_sweep.reports.ledger.records import FINISHED, LOST, Protocol
from transfer_sweep.reports.results import Results, dicts
from transfer_sweep.reports.selection import CELL

COLUMNS = [
    "experiment",
    "dataset",
    "protocol",
    "backbone",
    "method",
    "source",
    "target",
    "selection",
    "target_accuracy_mean",
    "target_accuracy_std",
    "seeds",
    "trials",
    "params",
    "paper",
    "replication",
    "profile",
    "training",
    "few",
    "labels_per_class",
    "family",
    "label_access",
    "best_over_epochs",
    "epoch",
    "budget",
    "epochs_spent",
    "unfinished",
    "gain_over_source_only",
    "gap_closed_percent",
    "paper_backbone",
    "paper_reference",
    "paper_note",
    "replication_backbone",
    "replication_reference",
    "replication_note",
    "trial",
    "control_accuracy_mean",
    "control_accuracy_std",
    "control_seeds",
    "gain_by_batch_norm",
    "gain_by_method",
    "gap_closed_by_method_percent",
    "paper_setting",
    "replication_setting",
    "setting",
    "paper_params",
    "replication_params",
    "single_run",
    "control",
]
"""The columns of the CSV. Accuracies are percentages.

``gain_over_source_only`` is the sum of ``gain_by_batch_norm`` and ``gain_by_method``, which are empty where the driver
planned no controls or they have not ended. ``setting`` says which training samples a run had where that differs among
published runs, as ``paper_setting`` and ``replication_setting`` say it of theirs. ``paper_params`` and
``replication_params`` are those of a published variant's params that the run has otherwise, as JSON. ``control`` is
the method whose trials with the same batch-norm statistics its accuracy is compared with. ``single_run``:
the oracle's choice ran with fewer seeds than the criterion's, so that its accuracy is not to be ranked among means.
"""


def as_csv(experiments: Sequence[Results]) -> str:
    """One row per experiment, cell and way of choosing: :data:`COLUMNS`."""
    return pd.concat([_rounded(results.records) for results in experiments]).to_csv(index=False)


def as_json(experiments: Sequence[Results]) -> str:
    """The same records, each experiment's beside what the driver recorded of it."""
    return json.dumps({"experiments": [_described(each) for each in experiments]}, indent=1, ensure_ascii=False) + "\n"


def _described(results: Results) -> dict[str, Any]:
    records = dicts(_rounded(results.records).drop(columns="experiment"))
    for record in records:
        record |= {"protocol": Protocol.decode(record["protocol"]).stored, "params": json.loads(record["params"])}
    return {
        "name": results.name,
        "criterion": results.criterion,
        "experiment": results.experiment,
        "environments": results.environments,
        "trials": results.states,
        "records": [{k: None if _is_nan(v) else v for k, v in record.items()} for record in records],
    }


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _rounded(records: pd.DataFrame) -> pd.DataFrame:
    """The documented columns, accuracies to four decimals."""
    floats = dict.fromkeys(records.select_dtypes("float").columns, 4)
    return records.reindex(columns=COLUMNS).round(floats)


def trials_csv(results: Results) -> bytes:
    """Every trial that ran, as gzipped CSV, the same bytes for the same ledger: the record of a claimed run.

    Columns: the cell, params, seed, role, state, epochs reported and planned, every criterion and the target
    accuracy (percent, the oracle's view) at the last reported epoch, the best over epochs, and seconds.
    """
    other = {*results.trials, "epoch", "epochs_spent", "declared_access", FEATURES}
    known = [str(name) for name in results.derived if name not in other]
    rows = results.every_trial.merge(
        results.and_controls(results.derived)[["id", "epochs_spent", *known]], on="id", how="left"
    )
    rows = rows[rows["epochs_spent"].notna() | rows["state"].isin([*LOST, *FINISHED])]
    rows = rows.assign(epochs=rows["epochs_spent"].fillna(0).astype(int))
    criteria = [name for name in known if name not in ("target_accuracy", "best_accuracy", "seconds")]
    columns = [*CELL, "params", "seed", "role", "state", "epochs", "budget", *sorted(criteria)]
    rows = rows[[*columns, "target_accuracy", "best_accuracy", "seconds"]]
    keys = {name: each.key for name, each in registry.find().items()}
    text = rows.rename(columns=keys).to_csv(index=False, float_format="%.6g")
    return gzip.compress(text.encode(), mtime=0)
