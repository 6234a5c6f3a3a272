"""What the commands share: their options, and where and how they write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from transfer_sweep import plugins


def _use(files: list[Path] | None) -> list[Path] | None:
    """Before anything is looked up by its name."""
    plugins.use(files or [])
    return files


Name = Annotated[str, typer.Argument(help="An experiment of search_spaces/, or a path to a YAML file.")]
Results = Annotated[Path, typer.Option("--results", envvar="SWEEP_RESULTS", help="Folder of results.")]
DataRoot = Annotated[
    Path | None, typer.Option("--data-root", envvar="SWEEP_DATA_ROOT", help="Folder that holds the data sets.")
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a value of the file: path.to.value=…")]
ChoosingCriterion = Annotated[
    str | None, typer.Option("--criterion", help="Chooses trials; the experiment's own if absent.")
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        envvar="SWEEP_PLUGINS",
        callback=_use,
        is_eager=True,
        help="A Python file of methods, data sets, criteria or backbones; may be repeated.",
    ),
]

RESULTS = Path("results")
"""The folder of results where none is named."""

_UNLIMITED = 100_000  # columns


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNLIMITED  # a pipe or file has no width: nothing is folded or cut for one
    return console


out = _console(stderr=False)
err = _console(stderr=True)


def say(line: str, console: Console = err) -> None:
    """Write a line as it is: a terminal may fold it, but a command or path that is copied from it stays whole."""
    console.print(line, markup=False, soft_wrap=True)


def new_table(*columns: str, title: str | None = None) -> Table:
    """An empty table, without lines between its columns."""
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table
