"""The one command line, command by command. What is heavy is imported by the commands that need it."""

from __future__ import annotations

import typer

from transfer_sweep.sweep.cli import data, health, listing, models, results, running, trying

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which transfer-learning method works on my domain pair, with which hyperparameters, "
    "and do I reproduce the paper?",
)
app.command("list")(listing.list_)
app.command()(listing.show)
app.command("try")(trying.try_)
app.command()(running.run)
app.command()(results.status)
app.command()(results.report)
app.command()(results.criteria)
app.command()(results.stopping)
app.command()(models.evaluate)
app.command()(models.predict)
app.command()(models.export)
app.command()(health.doctor)

data_app = typer.Typer(no_args_is_help=True, help="The data sets below the data root.")
data_app.command("list")(data.list_)
data_app.command()(data.verify)
data_app.command()(data.fetch)
app.add_typer(data_app, name="data")
