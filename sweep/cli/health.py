"""``doctor``: what is fine on this machine."""

from __future__ import annotations

import typer
from rich.markup import escape

from transfer_sweep.sweep.cli.options import RESULTS, DataRoot, Results, new_table, out


def doctor(data_root: DataRoot = None, results: Results = RESULTS) -> None:
    """What is fine here, what is not, and what to do about it."""
    from transfer_sweep.sweep.doctor import examine

    table = new_table("", "what", "found", "what to do")
    findings = examine(data_root, results)
    for finding in findings:
        mark = "[green]ok[/]" if finding.fine else ("[red]no[/]" if finding.needed else "[yellow]–[/]")
        table.add_row(mark, finding.what, escape(finding.found), "" if finding.fine else escape(finding.advice))
    out.print(table)
    raise typer.Exit(1 if any(finding.needed and not finding.fine for finding in findings) else 0)
