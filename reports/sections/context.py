"""What a section of a report is given: an experiment by each way of choosing, and what several sections need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from transfer_sweep.reports import comparison, gain
from transfer_sweep.reports.comparison import Comparison
from transfer_sweep.reports.document.elements import Table, Variants
from transfer_sweep.reports.document.text import counted, names_of
from transfer_sweep.reports.gain import MethodGain
from transfer_sweep.reports.results import METHOD, Results, by_method, pairs_of
from transfer_sweep.reports.selection import ORACLE


class Choices:
    """An experiment by each way of choosing its trials; each is made when it is first asked for.

    Args:
        results: the experiment, by its own criterion.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self._by = dict.fromkeys((results.criterion, ORACLE), results)
        self._groups: dict[str, list[pd.DataFrame]] = {}

    def by(self, name: str) -> Results:
        """The experiment by a criterion or ``oracle``."""
        if name not in self._by:
            self._by[name] = self.results.by(name)
        return self._by[name]

    def groups(self, name: str) -> list[pd.DataFrame]:
        """Its records by a criterion and the oracle, one frame for each protocol that may share a table."""
        if name not in self._groups:
            self._groups[name] = self.by(name).groups()
        return self._groups[name]


@dataclass(frozen=True)
class Group:
    """The numbers that may share a table: those of one data set under protocols that can be compared.

    Attributes:
        choices: the experiment that it is part of.
        number: its place among the experiment's groups, from 0.
        of: how many there are.
    """

    choices: Choices
    number: int
    of: int

    @cached_property
    def records(self) -> pd.DataFrame:
        """One row per cell and way of choosing: by the experiment's own criterion, and by the oracle.

        Of targets with labels alone.
        """
        return self.by(self.choices.results.criterion)

    def by(self, name: str) -> pd.DataFrame:
        """The records by a criterion (and the oracle), of targets with labels: those that have accuracies."""
        records = self.choices.groups(name)[self.number]
        return records[~records["target"].isin(self.choices.results.unlabelled)]

    def without_labels(self, name: str) -> pd.DataFrame:
        """The records by a criterion of targets without labels, which have none by the oracle."""
        records = self.choices.groups(name)[self.number]
        return records[records["target"].isin(self.choices.results.unlabelled)]

    @cached_property
    def all_records(self) -> pd.DataFrame:
        """As :attr:`records`, those of targets without labels, too."""
        return self.choices.groups(self.choices.results.criterion)[self.number]

    def averaged_over(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        """What a table that averages over these pairs says of those without target labels; nothing where it has all."""
        left_out = len(set(pairs_of(self.all_records)) - set(pairs))
        if not left_out:
            return []
        return [f"Averages are over the {counted(len(pairs), 'pair')} with target labels ({left_out} without)."]

    @property
    def title(self) -> str:
        """What tells it from the experiment's other groups."""
        first = self.all_records.iloc[0]
        options = f", {first['options']}" if first["options"] != "{}" else ""
        return f"{first['dataset']}, profile {first['profile']}{options}"

    def figure_name(self, name: str) -> str:
        """The name of a figure that each group has."""
        return f"{name}_{self.number + 1}" if self.of > 1 else name

    def chosen(self, by: str, access: str = "none") -> pd.DataFrame:
        """The records by one way of choosing, of methods that see these target labels.

        Args:
            by: a criterion, or ``oracle``.
            access: ``none``, ``few`` or ``target_train``.
        """
        records = self.by(by)
        return records[(records["selection"] == by) & (records["label_access"] == access)]

    @cached_property
    def comparison(self) -> Comparison | None:
        """The ranks of methods that see no target labels; None where there is too little to rank."""
        records = self.chosen(self.choices.results.criterion)
        names = names_of(records)
        named = records.assign(name=[names[key] for key in records[METHOD].itertuples(index=False, name=None)])
        keyed = named.set_index(["source", "target", "name"])["target_accuracy_mean"]
        return comparison.compare(keyed.unstack("name", sort=False))

    @cached_property
    def gains(self) -> dict[str, MethodGain]:
        """What each method that sees no target labels gains over ``source_only``, where that ran."""
        records = self.chosen(self.choices.results.criterion)
        names = names_of(records)
        found = {names[key]: gain.of_method(rows) for key, rows in by_method(records)}
        return {name: each for name, each in found.items() if each is not None}


@dataclass
class References:
    """Numbers the sources of published values, in the order in which they are first used."""

    texts: dict[str, int] = field(default_factory=dict)

    def number(self, reference: str, backbone: str, note: str) -> int:
        """The number of a source; sources that differ in backbone or note have their own."""
        text = f"{reference}; {backbone}" + (f"; {note}" if note else "")
        return self.texts.setdefault(text, len(self.texts) + 1)


@dataclass(frozen=True)
class Context:
    """What a section speaks of.

    Attributes:
        choices: the experiment by each way of choosing.
        groups: those that the section is to speak of: one where a part of the report is repeated for each, else all.
        references: sources of published values that the report has named so far.
    """

    choices: Choices
    groups: list[Group]
    references: References

    @classmethod
    def of(cls, results: Results) -> Context:
        """All of an experiment."""
        choices = Choices(results)
        number = len(choices.groups(results.criterion))
        return cls(choices, [Group(choices, i, number) for i in range(number)], References())

    @property
    def results(self) -> Results:
        """The experiment, by its own criterion."""
        return self.choices.results

    def only(self, group: Group) -> Context:
        """The same, to speak of one group."""
        return dataclasses.replace(self, groups=[group])

    def variants(
        self, make: Callable[[str], Table | None], offered: Sequence[str] = (), printed: Sequence[str] = ()
    ) -> Variants:
        """A table by each way of choosing.

        Args:
            make: gives the table by one; None where there is nothing to show.
            offered: ways that a page offers besides the criteria, such as ``oracle``.
            printed: ways that paper has besides the experiment's own criterion.
        """
        return Variants([*self.results.criteria, *offered], [self.results.criterion, *printed], make)

    @property
    def with_labels(self) -> list[Group]:
        """The groups that have accuracies."""
        return [group for group in self.groups if not group.records.empty]
