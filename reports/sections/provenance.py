"""What ran, where, when and from which commit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from transfer_sweep.reports.document.elements import Block, Fold, Table
from transfer_sweep.reports.document.text import MISSING, backbone_text, by_reason, counted, share, value_text
from transfer_sweep.reports.results import Results, dicts
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place

PLACE = Place(Part.OPENING, 20)


def blocks(context: Context) -> Iterator[Block]:
    """What was left out, what ran, and whether anything came of it yet."""
    for why, pairs in by_reason(context.results.experiment.get("skipped", {})).items():
        yield f"Skipped for want of data: {', '.join(pairs)} ({why})."
    yield Fold("What ran: data and its checksums, protocol, machine, command", [table(context.results)])
    if context.results.outdated:
        yield f"{counted(context.results.outdated, 'trial')} by earlier versions of their methods left out."
    if context.results.records.empty:
        yield "No trial has reported yet."


def table(results: Results) -> Table:
    """A line for each fact."""
    experiment, trials = results.experiment, results.trials
    facts: dict[str, str] = {"experiment": results.name}
    if experiment.get("description"):
        facts["about"] = str(experiment["description"]).strip()
    source = f" ({experiment['dataset_source']})" if experiment.get("dataset_source") else ""
    facts["dataset"] = ", ".join(trials["dataset"].unique()) + source
    facts["checksums"] = ", ".join(f"{domain} {digest}" for domain, digest in results.data.items())
    facts["protocol"] = "; ".join(_protocol_text(p) for p in _protocols(trials))
    if few_labels := [few for few in trials["few"].unique() if few]:
        facts["target labels"] = f"{'; '.join(few_labels)} (where no more is said, methods have the source too)"
    facts["profile"] = ", ".join(trials["profile"].unique())
    everything = experiment.get("confirm", {}).get("settings") == "all"
    seeds = {role: sorted(int(s) for s in rows["seed"].unique()) for role, rows in trials.groupby("role")}
    facts["seeds"] = f"search {_listed(seeds.get('search', []))}" + (
        f"; {'all' if everything else 'the chosen'} params again with {_listed(seeds['confirm'])}"
        if "confirm" in seeds
        else ""
    )
    stopping = experiment.get("early_stopping", {})
    if stopping.get("scheduler") == "asha":
        facts["early stopping"] = (
            f"ASHA in each cell, grace {share(stopping['grace'])} of the epochs, one in {stopping['reduction']:g} "
            "survives a rung"
        )
    if results.environments:
        last = results.environments[-1]
        facts["hardware"] = _hardware(last.get("hardware", {}))
        first_day, last_day = (_day(e["started_at"]) for e in (results.environments[0], last))
        facts["date"] = first_day if first_day == last_day else f"{first_day} to {last_day}"
        facts["commit"] = ", ".join(dict.fromkeys(str(e["commit"]) for e in results.environments if e.get("commit")))
        facts["command"] = "; ".join(
            dict.fromkeys(f"`{e['command']}`" for e in results.environments if e.get("command"))
        )
        facts["versions"] = ", ".join(f"{k} {v}" for k, v in last.get("versions", {}).items())
    return Table("What ran", ["", ""], [[name, text] for name, text in facts.items() if text], "ll")


def _protocol_text(protocol: Mapping[str, Any]) -> str:
    """A protocol in words."""
    parts = [backbone_text(protocol["backbone"], protocol["training"])]
    parts += [f"{name} {value_text(value)}" for name, value in json.loads(protocol["options"]).items()]
    holdout = protocol["holdout"]
    parts.append(f"{share(holdout)} of the source held out" if holdout else "nothing of the source held out")
    parts.append(
        "adapts to the unlabelled samples it is scored on" if protocol["transductive"] else "separate test set"
    )
    return ", ".join(parts)


def _protocols(trials: pd.DataFrame) -> list[dict[str, Any]]:
    columns = ["backbone", "training", "options", "holdout", "transductive"]
    return dicts(trials[columns].drop_duplicates())


def _hardware(hardware: Mapping[str, Any]) -> str:
    parts = []
    if hardware.get("cores"):
        parts.append(f"{hardware['cores']} CPU cores ({hardware.get('machine', '')})".replace(" ()", ""))
    if hardware.get("memory_gib"):
        parts.append(f"{hardware['memory_gib']:.0f} GiB of memory")
    gpus = hardware.get("gpus") or []
    parts += [f"{gpus.count(name)} × {name}" for name in dict.fromkeys(gpus)] or (["no GPU"] if parts else [])
    return ", ".join(parts)


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds)) or MISSING


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
