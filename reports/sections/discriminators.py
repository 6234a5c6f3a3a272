"""Adversarial methods whose discriminator has won: the gradient that it sends back to the features is gone.

Methods declare which loss is that of their domain discriminators: a mean cross-entropy over both domains, log 2 where
one cannot tell them apart, near 0 where it always can. Then σ(1 − σ) of its answers is near 0, and with it the reversed
gradient. Where a method has a discriminator for each class, the loss is the sum of theirs, and is shown as their mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from transfer_sweep.reports.document.elements import Block, Table
from transfer_sweep.reports.document.text import MISSING, backbone_text, legend, method_text, short_pairs
from transfer_sweep.reports.results import Results, by_method, in_pairs, pairs_of
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place

PLACE = Place(Part.BACKGROUND, 45)

WON = 0.1
"""The loss at and below which a discriminator has won: it is right with a probability of 0.9."""

LOSS = "discriminator_loss"
"""The column of a record's loss, the mean over its discriminators."""


def blocks(context: Context) -> Iterator[Block]:
    """A line and tables of the losses; nothing where no discriminator of a chosen trial has won."""
    found = [(group, won(context.results, group.all_records)) for group in context.groups]
    found = [(group, records) for group, records in found if not records.empty]
    if not found:
        return
    yield (
        f"**A discriminator has won** where its loss ends at {WON:g} or below (log 2 = 0.69 where it cannot tell the "
        "domains apart; of a discriminator for each class, the mean): it tells them apart almost always, and the "
        "reversed gradient is gone. A smaller learning rate of the discriminator, a larger weight of the term or "
        "another schedule of it may help."
    )
    for group, records in found:
        yield table(records, group.title if group.of > 1 else "")


def won(results: Results, records: pd.DataFrame) -> pd.DataFrame:
    """Those records whose trial ended with a discriminator that has won, its loss as the column ``discriminator_loss``.

    Args:
        results: the experiment. Of methods that the driver recorded no discriminator of, nothing is known.
        records: some of its, by any way of choosing; of those not by its own criterion nothing is known.
    """
    ended = results.losses.set_index("trial")
    own = records[records["selection"] == results.criterion].assign(**{LOSS: math.nan})
    for method, each in results.experiment.get("discriminators", {}).items():
        if each["loss"] in ended:
            rows = own["method"] == method
            own.loc[rows, LOSS] = own.loc[rows, "trial"].map(ended[each["loss"]]).astype(float) / each["number"]
    return own[own[LOSS] <= WON]


def table(found: pd.DataFrame, of: str = "") -> Table:
    """Methods × pairs: the loss where the discriminator has won.

    Args:
        found: what :func:`won` found.
        of: which group of records they are of, where there are several.
    """
    pairs = pairs_of(found)
    rows = []
    for (method, backbone, training, few), of_one in by_method(found):
        losses = [MISSING if cell is None else f"{cell[LOSS]:.3f}" for cell in in_pairs(of_one, pairs)]
        rows.append([method_text(method, few), backbone_text(backbone, training), *losses])
    return Table(
        "Losses of discriminators that have won, at the last epoch of the chosen trials" + (f": {of}" if of else ""),
        ["method", "backbone", *short_pairs(pairs)],
        rows,
        "ll" + "r" * len(pairs),
        [*legend(pairs), "A dash: the discriminator has not won there, or there is none."],
    )
