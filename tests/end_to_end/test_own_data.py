"""The user's own pictures and tables, from two folders to predictions, as a new user would have them."""

from __future__ import annotations

import csv
import math
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.pictures import COLOURS, paint
from tests.support.whole_run import RAY_STARTS, ROOT

FEW_METHODS = """\
epochs: 40
early_stopping: {scheduler: none}
methods:
  nearest_neighbor: {}
  source_only: {lr: 0.03}
  mcc: {lr: 0.03}
"""


def sweep(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, in this folder; again where Ray did not start on a busy machine."""
    command = [sys.executable, "-m", "sweep", *map(str, arguments), "--results", "results"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SWEEP_CACHE": str(folder / "cache"), "COLUMNS": "250"}
    for _ in range(RAY_STARTS):
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=900, check=False, env=environment
        )
        if "cannot connect to Ray" not in done.stderr:
            break
    return done


def own_file(folder: Path, dataset: str, pairs: str, protocol: str = "{}") -> None:
    """The experiment file of a ``try``, as a user may have cut it down to three methods."""
    text = f"dataset: {dataset}\npairs: {pairs}\nprotocol: {protocol}\n{FEW_METHODS}"
    (folder / "catalog_to_phone.yaml").write_text(text)


def accuracies(folder: Path, name: str) -> list[float | None]:
    with sqlite3.connect(folder / "results" / name / "ledger.sqlite") as db:
        return [row[0] for row in db.execute("SELECT target_accuracy FROM epochs")]


@pytest.mark.ray
def test_two_folders_become_predictions_without_a_label_of_the_target(shop: Path) -> None:
    catalog, phone = shop / "catalog", shop / "phone"
    frozen = "{backbone: efficientnet_lite0, training: frozen}"
    own_file(shop, f"{{folders: {{catalog: {catalog}, phone: {phone}}}}}", "[[catalog, phone]]", frozen)
    done = sweep(shop, "try", "catalog", "phone")
    assert done.returncode == 0, done.stderr
    assert "catalog: 42 pictures of 3 classes" in done.stderr
    assert "phone: 24 pictures without labels" in done.stderr
    assert "recommended: " in done.stdout
    assert "accuracy" not in done.stdout
    assert set(accuracies(shop, "catalog_to_phone")) == {None}
    with (shop / "results/catalog_to_phone/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    right = np.mean([Path(row["path"]).name.startswith(row["label"]) for row in rows])
    assert right > 0.8  # chance is 1/3
    assert all(0 <= float(row["confidence"]) <= 1 for row in rows)
    page = (shop / "results/catalog_to_phone/report.html").read_text()
    assert "No labels are known of the target domain phone" in page
    assert "oracle" not in page.lower().replace("oracle)", "")

    paint(shop / "new/purple.png", (120, 40, 120), 1)
    (shop / "new/broken.png").write_bytes(b"no picture")
    again = sweep(shop, "predict", "catalog_to_phone", "new", "--out", "new.csv")
    assert again.returncode == 1, again.stderr  # one of the two cannot be read, and the other is answered
    assert "broken.png" in again.stderr
    with (shop / "new.csv").open() as file:
        answers = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert answers["purple.png"]["label"] in COLOURS
    assert answers["broken.png"]["error"]


@pytest.mark.ray
def test_tables_with_some_classes_missing_in_the_target_and_minutes_that_end(tmp_path: Path) -> None:
    """Partial adaptation from a CSV file to a Parquet file; the second run has nothing left to do."""
    import pandas as pd  # noqa: PLC0415

    rng = np.random.default_rng(0)
    centres = rng.normal(scale=4, size=(4, 6))

    def table(classes: list[int], shift: float) -> Any:
        rows = [(k, centres[k] + shift + rng.normal(size=6)) for k in classes for _ in range(25)]
        frame = pd.DataFrame([row for _, row in rows], columns=[f"f{i}" for i in range(6)])
        return frame.assign(kind=[f"class {k}" for k, _ in rows])

    table([0, 1, 2, 3], 0.0).to_csv(tmp_path / "catalog.csv", index=False)
    table([1, 3], 0.5).to_parquet(tmp_path / "phone.parquet")
    dataset = f"{{tables: {{catalog: {tmp_path}/catalog.csv, phone: {tmp_path}/phone.parquet}}, label: kind}}"
    own_file(tmp_path, dataset, "[[catalog, phone]]", "{target_classes: 2}")
    done = sweep(tmp_path, "run", "catalog_to_phone.yaml", "--minutes", "20")
    assert done.returncode == 0, done.stderr
    found = accuracies(tmp_path, "catalog_to_phone")
    assert all(value is not None and math.isfinite(value) for value in found)
    assert max(value for value in found if value is not None) > 60
    with sqlite3.connect(tmp_path / "results/catalog_to_phone/ledger.sqlite") as db:
        before = db.execute("SELECT sum(attempts) FROM trials").fetchone()
    again = sweep(tmp_path, "run", "catalog_to_phone.yaml")
    assert again.returncode == 0, again.stderr
    with sqlite3.connect(tmp_path / "results/catalog_to_phone/ledger.sqlite") as db:
        assert db.execute("SELECT sum(attempts) FROM trials").fetchone() == before
    frame = table([1, 3], 0.5)
    frame.loc[0, "f0"] = 99.0
    frame.to_parquet(tmp_path / "phone.parquet")
    changed = sweep(tmp_path, "run", "catalog_to_phone.yaml")
    assert changed.returncode == 2
    assert "phone is not what it was" in changed.stderr


def _features(classes: list[int], names: list[str], shift: float, seed: int) -> Any:
    """25 samples of each class around its centre in six features, and the name of its class."""
    import pandas as pd  # noqa: PLC0415

    centres = np.random.default_rng(0).normal(scale=4, size=(4, 6))
    rng = np.random.default_rng(seed)
    rows = [centres[k] + shift + rng.normal(size=6) for k in classes for _ in range(25)]
    return pd.DataFrame(rows, columns=[f"f{i}" for i in range(6)]).assign(kind=[names[k] for k in classes * 25])


@pytest.mark.ray
def test_labels_given_of_a_part_of_a_table_choose_and_the_rest_is_predicted(tmp_path: Path) -> None:
    import pandas as pd  # noqa: PLC0415

    names = ["ape", "bee", "cat", "dog"]
    catalog = pd.concat([_features([k], names, 0.0, 1 + k) for k in range(4)])
    phone = pd.concat([_features([k], names, 0.5, 11 + k) for k in range(4)], ignore_index=True)
    truth = phone["kind"].tolist()
    phone.loc[phone.index % 25 >= 3, "kind"] = None
    catalog.to_csv(tmp_path / "catalog.csv", index=False)
    phone.to_csv(tmp_path / "phone.csv", index=False)
    dataset = f"{{tables: {{catalog: {tmp_path}/catalog.csv, phone: {tmp_path}/phone.csv}}, label: kind}}"
    own_file(tmp_path, dataset, "[[catalog, phone]]")
    done = sweep(tmp_path, "try", "catalog.csv", "phone.csv", "--label", "kind")
    assert done.returncode == 0, done.stderr
    assert "the labels given of phone choose, and train nothing" in done.stderr
    assert "by accuracy on the 12 labels given of phone" in done.stdout
    with (tmp_path / "results/catalog_to_phone/predictions.csv").open() as file:
        predicted = [row["label"] for row in csv.DictReader(file)]
    unlabelled = [i for i in range(100) if i % 25 >= 3]
    assert np.mean([predicted[i] == truth[i] for i in unlabelled]) > 0.8


@pytest.mark.ray
def test_a_few_labels_of_a_table_teach_what_the_source_cannot(tmp_path: Path) -> None:
    """The target calls every class by another's name: from the source all is wrong, three labels a class suffice."""
    import pandas as pd  # noqa: PLC0415

    names = ["ape", "bee", "cat", "dog"]
    pd.concat([_features([k], names, 0.0, 1 + k) for k in range(4)]).to_csv(tmp_path / "catalog.csv", index=False)
    other = pd.concat([_features([k], [*names[1:], names[0]], 0.0, 11 + k) for k in range(4)])
    other.to_csv(tmp_path / "phone.csv", index=False)
    text = (
        f"dataset: {{tables: {{catalog: {tmp_path}/catalog.csv, phone: {tmp_path}/phone.csv}}, label: kind}}\n"
        "pairs: [[catalog, phone]]\n"
        "protocol: {target_labels_per_class: [0, 3]}\n"
        "methods:\n  linear_svm:\n    - {C: 1}\n    - {C: 1, protocol: {source: false}}\n"
    )
    (tmp_path / "few.yaml").write_text(text)
    done = sweep(tmp_path, "run", "few.yaml")
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "results/few/ledger.sqlite") as db:
        rows = db.execute(
            "SELECT t.source, t.protocol, e.target_accuracy FROM trials t JOIN epochs e ON e.trial = t.id"
        ).fetchall()
    without = [accuracy for _, protocol, accuracy in rows if '"few":null' in protocol]
    alone = [accuracy for source, _, accuracy in rows if source == "phone"]
    assert max(without) < 20
    assert min(alone) > 80
