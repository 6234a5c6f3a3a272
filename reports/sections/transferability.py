"""How transferable layers are: the curves of Yosinski et al. 2014, from the trials of ``transferability``.

Its params are not chosen among but compared: every trial counts, with all its seeds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from transfer_sweep.reports.document.elements import Block, Cell, Drawing, Heading, Table
from transfer_sweep.reports.document.plotting import blank
from transfer_sweep.reports.document.text import MISSING, percent, signed
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.reports.results import Results
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACE = Place(Part.BACKGROUND, 10)

_METHOD = "transferability"
_NETWORKS = {
    ("target", False): "BnB",
    ("target", True): "BnB+",
    ("source", False): "AnB",
    ("source", True): "AnB+",
}
_BASE = "B"  # the network that copies nothing
_STYLE = {"BnB": ("C0", "o"), "BnB+": ("C0", "^"), "AnB": ("C3", "o"), "AnB+": ("C3", "^")}


def blocks(context: Context) -> Iterator[Block]:
    """The curves as a table and a figure; nothing where no such trial ran."""
    found = curves(context.results)
    if found.empty:
        return
    yield Heading(2, "How transferable layers are")
    yield _introduction(found)
    yield table(found)
    yield Drawing(
        "transferability",
        "Target accuracy over layers copied, and the difference to a network that copies none",
        "A line per kind of network; plus signs are those whose copied layers learn on.",
        partial(draw, found),
    )


def _introduction(found: pd.DataFrame) -> str:
    """What the curves are of."""
    pairs, seeds = len(found[["source", "target"]].drop_duplicates()), found["seed"].nunique()
    return (
        "Networks on B (the target) whose first n layers come from a base network that learned A (AnB, the source) or "
        "B itself (BnB); copied layers stay as they are or, with a plus, learn on with the new ones above. B copies "
        f"nothing. Means over {pairs} pairs and {seeds} seed{'s' * (seeds > 1)}; differences to B are of the same pair "
        "and seed, ± their standard error. Labels of B are those of its training samples; its test samples are scored."
    )


def curves(results: Results) -> pd.DataFrame:
    """Every whole run; empty where none ran.

    Returns:
        ``network`` (B, AnB, …), ``layers``, ``source``, ``target``, ``backbone``, ``seed``, ``target_accuracy``, and
        ``difference`` to B of the same pair and seed (NaN without one).
    """
    runs = results.candidates
    runs = runs[(runs["method"] == _METHOD) & (runs["state"] == TrialState.DONE)]
    params = [json.loads(text) for text in runs["params"]]
    runs = runs.assign(
        layers=[p["layers"] for p in params],
        network=[_NETWORKS[p["base"], p["fine_tune"]] if p["layers"] else _BASE for p in params],
        setting=[_setting(p) for p in params],
    )
    same = ["protocol", "source", "target", "seed", "setting"]
    base = runs[runs["network"] == _BASE].drop_duplicates(same).set_index(same)["target_accuracy"].rename("base")
    runs = runs.join(base, on=same)
    columns = ["network", "layers", "source", "target", "backbone", "seed", "target_accuracy"]
    return runs.assign(difference=runs["target_accuracy"] - runs["base"])[[*columns, "difference"]]


def _setting(params: dict[str, object]) -> str:
    """The params that are not compared."""
    return json.dumps({k: v for k, v in params.items() if k not in ("layers", "base", "fine_tune")}, sort_keys=True)


def table(found: pd.DataFrame) -> Table:
    """Networks × layers copied: mean accuracy, and the difference to B."""
    layers = sorted(n for n in found["layers"].unique() if n)
    rows: list[list[Cell | str]] = []
    for network in (_BASE, *_STYLE):
        runs = found[found["network"] == network]
        if runs.empty:
            continue
        if network == _BASE:
            text = percent(runs["target_accuracy"].mean(), runs["target_accuracy"].std())
            rows.append([network, *[text if n == layers[0] else "" for n in layers]])
            continue
        parts = [runs[runs["layers"] == n] for n in layers]
        rows.append([network, *(MISSING if part.empty else _cell(part) for part in parts)])
    return Table(
        "Target accuracy in percent by layers copied, and the difference to B",
        ["network", *(f"n = {n}" for n in layers)],
        rows,
        "l" + "r" * len(layers),
        [f"{_BASE} copies nothing: one number ± its standard deviation over pairs and seeds."],
    )


def _cell(part: pd.DataFrame) -> str:
    above = signed(part["difference"].mean())
    error = percent(part["difference"].std() / len(part) ** 0.5)
    return f"{percent(part['target_accuracy'].mean())} ({above} ± {error})"


def draw(found: pd.DataFrame) -> Figure:
    """Left: mean accuracy over layers copied, a line per kind of network. Right: difference to B, each run a dot."""
    figure = blank(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    base = found.loc[found["network"] == _BASE, "target_accuracy"]
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.set_xlabel("layers copied, n")
    left.axhline(base.mean(), color="black", linewidth=0.8, linestyle=":", label=_BASE)
    right.axhline(0, color="black", linewidth=0.8, linestyle=":")
    for shift, (network, (color, marker)) in zip((-0.12, -0.04, 0.04, 0.12), _STYLE.items(), strict=True):
        runs = found[found["network"] == network]
        if runs.empty:
            continue
        by_layer = runs.groupby("layers")
        line = {"color": color, "marker": marker, "linestyle": "--" if network.endswith("+") else "-", "markersize": 5}
        left.plot([0, *by_layer.groups], [base.mean(), *by_layer["target_accuracy"].mean()], label=network, **line)
        means, errors = by_layer["difference"].mean(), by_layer["difference"].sem()
        right.errorbar(means.index + shift, means, yerr=np.nan_to_num(errors), elinewidth=1, **line)
        right.scatter(runs["layers"] + shift, runs["difference"], color=color, s=4, alpha=0.35)
    left.set_ylabel("target accuracy, %")
    right.set_ylabel("points above B")
    layers = sorted(found["layers"].unique())
    left.set_xticks(layers)
    right.set_xticks([n for n in layers if n])
    left.legend(fontsize=8, frameon=False)
    return figure
