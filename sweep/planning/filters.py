"""``--only``: which trials of a plan to run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.config.validation import domains_of, parse_pair
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning.trials import pairs_of


@dataclass(frozen=True)
class Filter:
    """Methods and pairs to keep; None keeps all."""

    methods: frozenset[str] | None = None
    pairs: frozenset[Pair] | None = None

    @classmethod
    def parse(cls, texts: Sequence[str], experiment: Experiment) -> Filter:
        """From ``method=a,b`` and ``pair=x-y``.

        Raises:
            SweepError: an unknown key, one without a value, or a method or pair that the experiment does not have.
        """
        chosen: dict[str, set[str]] = defaultdict(set)
        for text in texts:
            key, equals, values = text.partition("=")
            if not equals or key not in ("method", "pair"):
                raise SweepError(f"--only takes method=a,b or pair=source-target, not {text!r}")
            wanted = [v.strip() for v in values.split(",") if v.strip()]
            if not wanted:
                raise SweepError(f"--only {key}= names none: it takes method=a,b or pair=source-target")
            chosen[key].update(wanted)
        for method in chosen["method"]:
            if method not in experiment.methods:
                raise SweepError(
                    f"--only: {experiment.name} has no method {method!r} ({', '.join(experiment.methods)})"
                )
        domains = domains_of(experiment)
        pairs = {parse_pair(text, domains) for text in chosen["pair"]}
        known = {pair for _, entry, _ in experiment.entries() for pair in pairs_of(experiment.under(entry))}
        for pair in pairs - known:
            names = ", ".join(str(p) for p in sorted(known))
            raise SweepError(f"--only: {experiment.name} has no pair {pair} ({names})")
        return cls(frozenset(chosen["method"]) or None, frozenset(pairs) or None)

    def keeps(self, method: str, pair: Pair) -> bool:
        """Whether a trial is wanted; a method scored once per target is, if any pair of its target is."""
        if self.methods is not None and method not in self.methods:
            return False
        if self.pairs is None:
            return True
        return pair in self.pairs or (pair.source == pair.target and pair.target in {t for _, t in self.pairs})
