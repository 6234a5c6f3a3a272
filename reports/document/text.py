"""Words and numbers as a report has them: percentages, names of criteria, methods, pairs and params."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from transfer_sweep.reports import selection
from transfer_sweep.reports.drawn_labels import ByLabels
from transfer_sweep.reports.gain import Interval
from transfer_sweep.reports.results import METHOD, MethodKey

MISSING = "–"
"""Stands where there is no number."""
OTHER_BACKBONE = "†"
UNFINISHED = "‡"
STOPPED = "§"
OTHER_SETTING = "¶"
SINGLE = "‖"
OTHER_PARAMS = "#"
"""Marks behind a number, which a table's notes explain."""


def percent(value: float, std: float = math.nan, digits: int = 1) -> str:
    """``81.3``, ``81.3 ± 0.4`` or, where there is no number, a dash."""
    if pd.isna(value):
        return MISSING
    return f"{value:.{digits}f}" + ("" if pd.isna(std) else f" ± {std:.{digits}f}")


def signed(value: float, digits: int = 1) -> str:
    """``+1.2``, ``−1.2``, ``0.0`` (of what rounds to it) or, where there is no number, a dash."""
    if pd.isna(value):
        return MISSING
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text if any(digit in text for digit in "123456789") else text[1:]


def interval(found: Interval) -> str:
    """``−0.3 to +4.1``."""
    return f"{signed(found.low)} to {signed(found.high)}"


def share(value: float) -> str:
    """A share of one in whole percent: ``12 %``."""
    return f"{round(100 * value)} %".replace("-", "−")


def average(values: Sequence[float]) -> str:
    """The mean of the numbers there are; where some are missing, over how many."""
    known = [v for v in values if not pd.isna(v)]
    if not known:
        return MISSING
    mean = f"{sum(known) / len(known):.1f}"
    return mean if len(known) == len(values) else f"{mean} ({len(known)} of {len(values)})"


def counted(number: int, what: str) -> str:
    """``1 trial``, ``1,200 trials``."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


SINGLE_RUN = (
    "A single run, the best of the search on the labels that it is scored on: beside means over seeds it flatters, and "
    "is not ranked among them."
)
"""What is said of the oracle's choice where it was not run with the seeds that the criterion's was."""

FLATTERS = "Accuracy on labels that chose flatters: on the rest of the target it is likely to be lower."
"""What is said beside accuracies on the labels by which trials were chosen."""
NOT_SCORED = "No accuracy here is on a drawn sample."
"""What is said where labels were drawn to choose trials by."""


def beside_labels(criterion: str) -> str:
    """What is said beside accuracies of trials that labels of the target chose: whether they are on these labels."""
    drawn = ByLabels.parse(criterion)
    if drawn is None:
        return FLATTERS
    return f"{counted(drawn.number, 'label')} of each target chose, drawn at random. {NOT_SCORED}"


def criterion_name(name: str) -> str:
    """A criterion as prose has it."""
    return selection.in_words(name)


def seeds(number: int) -> str:
    """Over how many seeds an accuracy is."""
    return "single run" if number == 1 else str(number)


def initials(domains: Iterable[str]) -> dict[str, str]:
    """Domain → its initial, as the papers write A→W; the full names where two domains share an initial."""
    names = list(dict.fromkeys(domains))
    short = {name: name[0].upper() for name in names}
    return short if len(set(short.values())) == len(names) else {name: name for name in names}


def short_pairs(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Pairs by their domains' initials: ``A→W``."""
    short = initials(name for pair in pairs for name in pair)
    return [f"{short[source]}→{short[target]}" for source, target in pairs]


def legend(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """What the initials of :func:`short_pairs` stand for, as notes of a table; none where they are full names."""
    short = initials(name for pair in pairs for name in pair)
    if all(name == letter for name, letter in short.items()):
        return []
    return [", ".join(f"{letter} = {name}" for name, letter in short.items()) + "."]


def backbone_text(backbone: str, training: str) -> str:
    """What a method works on: a backbone and how it is trained, or the raw inputs' name."""
    return backbone if training == "raw" else f"{backbone}, {training}"


def method_text(method: str, few: str) -> str:
    """A method with its few-label setting, where there is one."""
    return f"{method} ({few})" if few else method


def method_title(key: MethodKey) -> str:
    """A method in words, with what it works on."""
    method, backbone, training, few = key
    return f"{method_text(method, few)} ({backbone_text(backbone, training)})"


def names_of(rows: pd.DataFrame) -> dict[MethodKey, str]:
    """A short name for each method of some rows, see :func:`short_names`."""
    return short_names(rows[METHOD].drop_duplicates().itertuples(index=False, name=None))


def short_names(methods: Iterable[MethodKey]) -> dict[MethodKey, str]:
    """A short name for each: the method's, with what tells it from its namesakes."""
    keys = list(methods)

    def name(key: MethodKey) -> str:
        namesakes = [other for other in keys if other[0] == key[0]]
        differs = [part for i, part in enumerate(key) if part and len({other[i] for other in namesakes}) > 1]
        return f"{key[0]} ({', '.join(differs)})" if differs else key[0]

    return {key: name(key) for key in keys}


def value_text(value: Any) -> str:
    """A param's value as prose has it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def params_text(params: Mapping[str, Any], names: Iterable[str]) -> str:
    """Some of a trial's params: ``lr 0.01, trade_off 1``."""
    return ", ".join(f"{name} {value_text(params[name])}" for name in names if name in params)


def by_reason(skipped: Mapping[str, str]) -> dict[str, list[str]]:
    """Pair → why it was skipped, turned around."""
    reasons: dict[str, list[str]] = {}
    for pair, why in skipped.items():
        reasons.setdefault(why, []).append(pair)
    return reasons
