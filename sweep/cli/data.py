"""``data``: the data sets below the data root."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from transfer_sweep.sweep.cli import listing
from transfer_sweep.sweep.cli.options import DataRoot, Plugins, err, new_table, out, say
from transfer_sweep.sweep.environment import existing_folder
from transfer_sweep.sweep.errors import SweepError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from transfer_sweep.datasets import base

_STYLES = {"ok": "green", "missing": "yellow", "damaged": "red"}


def list_(_plugins: Plugins = None) -> None:
    """The data sets and where they come from."""
    listing.list_(listing.Kind.DATASETS)


def verify(
    name: Annotated[str | None, typer.Argument(help="A data set; none: all.")] = None,
    data_root: DataRoot = None,
    _plugins: Plugins = None,
) -> None:
    """What is there, what is damaged and what is missing."""
    table = new_table("dataset", "file", "state", "detail")
    failed = False
    for dataset in _datasets(name, existing_folder(data_root)):
        for check in dataset.verify():
            failed |= check.state == "damaged" or (check.state == "missing" and name is not None)
            state = f"[{_STYLES[check.state]}]{check.state}[/]"
            table.add_row(dataset.name, escape(check.path), state, escape(check.detail))
    out.print(table)
    raise typer.Exit(1 if failed else 0)


def fetch(
    name: Annotated[str, typer.Argument(help="A data set.")], data_root: DataRoot = None, _plugins: Plugins = None
) -> None:
    """Bring a data set to the data root: mirrors, resumed downloads, checksums."""
    if data_root is None:
        raise SweepError("name a data root with --data-root or SWEEP_DATA_ROOT")
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from transfer_sweep.datasets.io import fetch as downloads

    (dataset,) = _datasets(name, data_root)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err) as bars:
        checks = downloads.fetch(dataset, _advance(bars))
    for check in checks:
        say(f"{check.path}: {check.state} {check.detail}", out)


def _datasets(name: str | None, root: Path | None) -> list[base.Dataset]:
    """The data set of a name, or all; without a data root, all that need none."""
    from transfer_sweep.datasets import registry

    names = registry.names()
    if name is not None and name not in names:
        raise SweepError(f"unknown dataset {name!r} (there are: {', '.join(names)})")
    kinds = [registry.get(known) for known in names if name in (None, known)]
    if root is None:
        kinds = [kind for kind in kinds if not kind.needs_root or name is not None]
    return [kind(root if kind.needs_root else None) for kind in kinds]


def _advance(bars: Progress) -> base.Progress:
    """What moves a bar for each file."""
    tasks: dict[str, TaskID] = {}

    def advance(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done, total=total)

    return advance
