"""The trial to use on each pair, and the methods of a pair in the order in which they would be chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from transfer_sweep.reports import ensembles, recommendation, selection
from transfer_sweep.reports.document.elements import Block, Cell, Heading, Table
from transfer_sweep.reports.document.text import (
    MISSING,
    beside_labels,
    counted,
    criterion_name,
    names_of,
    params_text,
    percent,
)
from transfer_sweep.reports.drawn_labels import ByLabels
from transfer_sweep.reports.expected_regret import Expected
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.reports.recommendation import ANY, DEEP, TOO_FAR, Choice, Recommendation
from transfer_sweep.reports.results import METHOD, Results
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.hyperparameters import param_summaries
from transfer_sweep.reports.sections.registry import Part, Place
from transfer_sweep.reports.selection import AUTO, TARGET_LABELS

PLACE = Place(Part.OPENING, 30)

_COLLAPSED = " (collapsed)"
_ACCURACY = "accuracy on the labels that chose, %"


def blocks(context: Context) -> Iterator[Block]:
    """The table, how it came about, and warnings; nothing where no method ran without target labels."""
    found = recommendation.recommend(context.results)
    if not found:
        return
    yield Heading(2, "Recommended")
    yield _prose(context.results, found)
    yield from expectations(found)
    yield table(context.results, found)
    yield from warnings(found)


def _prose(results: Results, found: dict[Pair, Recommendation]) -> str:
    ways = list(dict.fromkeys(each.how for each in found.values()))
    chosen = "; or ".join(ways)
    cost = [each.regret for each in found.values() if not math.isnan(each.regret)]
    text = f"One trial a pair, over all methods that see no target label, and chosen without one: {chosen}."
    if any(each.by_labels for each in found.values()):
        text = (
            "One trial a pair, over all methods that are trained without target labels, chosen by target labels: "
            f"{chosen}. {beside_labels(results.criterion)}"
        )
    if not cost:
        return text
    return (
        f"{text} Where labels allow to say so, it is {percent(sum(cost) / len(cost))} points below the best trial of "
        f"these methods on average, {percent(max(cost))} at worst."
    )


def table(results: Results, found: dict[Pair, Recommendation]) -> Table:
    """The recommended trial of each pair.

    Args:
        results: the experiment.
        found: see :func:`transfer_sweep.reports.recommendation.recommend`.
    """
    params = param_summaries(results)
    names = names_of(recommendation.competitors(results))
    parts = results.candidates.set_index("id")[METHOD]
    several = len({each.compared_by for each in found.values()}) > 1
    by_labels = selection.by_labels(results.criterion)
    # Where labels chose that accuracy is measured on, the score is the accuracy.
    accuracies = results.criterion != TARGET_LABELS and any(not math.isnan(each.accuracy) for each in found.values())
    expecting = any(not math.isnan(each.expected.mean) for each in found.values())
    ensembles_of = ensembles.of_pairs(results, found)
    rows: list[list[Cell | str]] = []
    for pair, each in found.items():
        key = tuple(parts.loc[each.trial.id])
        score = _by_labels_text(each.score) if by_labels else percent(each.score, digits=3)
        score += _COLLAPSED * each.collapsed
        row: list[Cell | str] = [
            f"{pair.source} → {pair.target}",
            names[key],
            params_text(each.trial.params, params[key].varied) or "defaults",
            f"{criterion_name(each.compared_by)} {score}" if several else score,
            percent(each.agreement),
            *([expected_text(each.expected)] if expecting else []),
        ]
        rows.append([*row, percent(each.accuracy), percent(each.regret)] if accuracies else row)
        own, together = results.predictions(each.trial.id), ensembles_of.get(pair)
        if own is not None and together is not None:
            row = ["", f"ensemble of {counted(len(together.members), 'trial')}", MISSING, MISSING]
            row += [percent(together.agreement(own.classes)), *([MISSING] if expecting else [])]
            right = ensembles.accuracy(results, pair, together)
            rows.append([*row, percent(right), MISSING] if accuracies else row)
    compared_by = next(iter(found.values())).compared_by
    headers = [
        "pair",
        "method",
        "params",
        "score" if several else _by_labels_name(compared_by) if by_labels else criterion_name(compared_by),
        "agreement, %",
        *(["expected regret, points"] if expecting else []),
        *(["target accuracy, %", "regret, points"] if accuracies else []),
    ]
    notes = [
        "Agreement: on how many target samples the method predicts what another method's chosen trial does, the mean "
        "over the others."
    ]
    if ensembles_of:
        chosen_by = dict.fromkeys(criterion_name(each.chosen_by) for each in ensembles_of.values())
        notes.append(
            f"Ensemble: the mean softmax of the best quarter, by {' or '.join(chosen_by)}, of the trials whose "
            "predictions are stored, which is no recommendation; its agreement is with the recommended trial. Its "
            "accuracy is measured when a run ends, where the samples that trials adapt to are the scored ones."
        )
    if by_labels:
        notes.append(beside_labels(results.criterion))
    if accuracies:
        others = "other target labels than chose" if by_labels else "target labels, and no choice is made by them"
        notes.append(
            "Accuracy is of this one trial; regret is to the best trial of any method that sees no target label. Both "
            f"use {others}."
        )
    return Table("The trial to use on each pair", headers, rows, "lllrr" + "r" * expecting + "rr" * accuracies, notes)


def expectations(found: dict[Pair, Recommendation]) -> Iterator[str]:
    """What the recommendations may cost, without a label; nothing where labels chose, or nothing else was chosen."""
    known = [each.expected for each in found.values() if not math.isnan(each.expected.mean)]
    if not known:
        if any(not each.by_labels and not math.isnan(each.agreement) for each in found.values()):
            yield f"Nothing is known of the regret to expect: that was calibrated for what `{AUTO}` chooses."
        return
    mean = percent(sum(each.mean for each in known) / len(known))
    if len(known) == 1:
        text = f"{mean} points below the best trial, and in nine of ten such cases at most {percent(known[0].most)}"
    else:
        text = f"{mean} points below a pair's best trial on average; nine in ten stay below what is in brackets"
    yield (
        f"**Expected regret, known without labels: {text}.** The more methods disagree, the more there is to lose; "
        "`docs/selection.md` says how this was calibrated, and on what it was tested."
    )


def expected_text(expected: Expected) -> str:
    """``1.9 (≤ 4.8)``: on average, and what nine in ten stay below; or a dash."""
    if math.isnan(expected.mean):
        return MISSING
    return f"{percent(expected.mean)} (≤ {percent(expected.most)})"


def warnings(found: dict[Pair, Recommendation]) -> Iterator[str]:
    """A sentence for each pair whose predictions have classes in other shares than the source."""
    for pair, each in found.items():
        if each.shift_of_classes > TOO_FAR:
            yield (
                f"**The classes of {pair.source} and those predicted of {pair.target} differ much in their shares:** "
                f"{percent(100 * each.shift_of_classes, digits=0)} % of the samples would have to change class for "
                "them to be alike. Either the target has other shares, or lacks classes, which most methods here are "
                "not made for (see `target_classes`), or predictions are wrong: look at some before they are used."
            )


def ranking(results: Results, pair: Pair) -> Table:
    """The methods on a pair in the order in which they would be chosen, without target labels unless these choose.

    Args:
        results: the experiment.
        pair: one on which a method ran that sees no target labels.

    Raises:
        KeyError: there is no such pair.
    """
    found = recommendation.rankings(results)[pair]
    params = param_summaries(results)
    names = names_of(recommendation.competitors(results))
    criteria = [name for name in (DEEP, ANY) if any(not math.isnan(_value(each, name)) for each in found.choices)]
    accuracies = any(not math.isnan(float(each.row["target_accuracy"])) for each in found.choices)
    drawn = ByLabels.parse(found.compared_by) is not None
    rows: list[list[Cell | str]] = []
    for place, each in enumerate(found.choices, start=1):
        key = tuple(each.row[name] for name in METHOD)
        row: list[Cell | str] = [
            str(place) if each.competes else MISSING,
            names[key] + _COLLAPSED * each.collapsed,
            params_text(json.loads(each.row["params"]), params[key].varied) or "defaults",
            *([_by_labels_text(each.score)] if drawn else []),
            *(percent(_value(each, name), digits=3) for name in criteria),
            percent(each.agreement),
            predicted_text(each),
            f"{each.row['seconds']:.1f}",
        ]
        rows.append([*row, percent(each.row["target_accuracy"])] if accuracies else row)
    notes = []
    if apart := sum(not each.competes for each in found.choices):
        notes.append(
            f"{counted(apart, 'classical method')} without a place: their {criterion_name(DEEP)} cannot be compared "
            "with that of deep methods."
        )
    how = f"{criterion_name(found.compared_by)}, without target labels"
    by_labels = selection.by_labels(found.compared_by)
    if by_labels:
        given = f"the labels given of {pair.target}"
        how = f"accuracy on {given}" if found.compared_by == TARGET_LABELS else selection.describe(found.compared_by)
        notes.append(beside_labels(results.criterion))
    accuracy = _ACCURACY if found.compared_by == TARGET_LABELS else "target accuracy, %"
    return Table(
        f"Methods on {pair.source} → {pair.target}, by {how}",
        [
            "place",
            "method",
            "params",
            *([_by_labels_name(found.compared_by)] if drawn else []),
            *map(criterion_name, criteria),
            "agreement, %",
            "predicted classes",
            "seconds",
            *([accuracy] if accuracies else []),
        ],
        rows,
        "rll" + "r" * (drawn + len(criteria) + 3 + accuracies),
        notes,
    )


def _by_labels_name(criterion: str) -> str:
    """The heading of a column of what labels say of a trial."""
    drawn = ByLabels.parse(criterion)
    if drawn is None:
        return _ACCURACY
    return "expected accuracy, %" if drawn.prior else "accuracy on the drawn labels, %"


def _by_labels_text(score: float) -> str:
    """What labels say of a trial, in percent: an expected accuracy is a mean under a model, and may pass 0 and 100."""
    return percent(score if math.isnan(score) else min(max(score, 0.0), 100.0))


def _value(choice: Choice, criterion: str) -> float:
    return float(choice.row.get(criterion, math.nan))


def predicted_text(choice: Choice) -> str:
    """How many of the classes are predicted: ``9 of 10``, or as a share where predictions are not stored."""
    if choice.predicted is None:
        return percent(100 * float(choice.row["predicted_classes"]), digits=0) + " %"
    return f"{(choice.predicted > 0).sum()} of {len(choice.predicted)}"
