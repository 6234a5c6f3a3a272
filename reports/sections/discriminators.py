"""Adversarial methods whose discriminator has won: the gradient that it sends back to the features is gone.

The loss named ``domain`` is a discriminator's mean cross-entropy over both domains: log 2 where it cannot tell them
apart, near 0 where it always can. Then σ(1 − σ) of its answers is near 0, and with it the reversed gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from transfer_sweep.reports.document.elements import Block, Table
from transfer_sweep.reports.document.text import MISSING, backbone_text, legend, method_text, short_pairs
from transfer_sweep.reports.results import Results, by_method, in_pairs, pairs_of
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place

PLACE = Place(Part.BACKGROUND, 45)

LOSS = "domain"
WON = 0.1
"""The loss at and below which a discriminator has won: it is right with a probability of 0.9."""


def blocks(context: Context) -> Iterator[Block]:
    """A line and a table of the losses; nothing where no discriminator of a chosen trial has won."""
    found = won(context.results, context.results.records)
    if found.empty:
        return
    yield (
        f"**A discriminator has won** where the loss `{LOSS}` ends at {WON:g} or below (log 2 = 0.69 where it cannot "
        "tell the domains apart): it tells them apart almost always, and the reversed gradient is gone. A smaller "
        "learning rate of the discriminator, a larger weight of the term or another schedule of it may help."
    )
    yield table(found)


def won(results: Results, records: pd.DataFrame) -> pd.DataFrame:
    """Those records whose trial ended with a discriminator that has won, with its loss as the column ``domain``.

    Args:
        results: the experiment.
        records: some of its, by any way of choosing; of those not by its own criterion nothing is known.
    """
    if LOSS not in results.losses:
        return records.head(0).assign(domain=0.0)
    losses = results.losses.set_index("trial")[LOSS]
    own = records[records["selection"] == results.criterion].join(losses, on="trial")
    return own[own[LOSS] <= WON]


def table(found: pd.DataFrame) -> Table:
    """Methods × pairs: the loss where the discriminator has won."""
    pairs = pairs_of(found)
    rows = []
    for (method, backbone, training, few), of_one in by_method(found):
        losses = [MISSING if cell is None else f"{cell[LOSS]:.3f}" for cell in in_pairs(of_one, pairs)]
        rows.append([method_text(method, few), backbone_text(backbone, training), *losses])
    return Table(
        "Losses of discriminators that have won, at the last epoch of the chosen trials",
        ["method", "backbone", *short_pairs(pairs)],
        rows,
        "ll" + "r" * len(pairs),
        [*legend(pairs), "A dash: the discriminator has not won there, or there is none."],
    )
