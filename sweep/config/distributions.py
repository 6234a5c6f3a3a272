"""What an experiment file says of one hyperparameter: a value, a list of values, or a range to draw from.

Trials are identified by what is drawn, so the draws of a range never change. They are those of Ray Tune 2.60's samplers
of the same names (``ray/tune/search/sample.py``), made with NumPy alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import transfer_sweep
from transfer_sweep.sweep.config.source import nearest

transfer_sweep.refuse_bare(__name__)

KINDS = {"uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3, "randint": 2, "lograndint": 2}
"""The kinds of range, and how many numbers each takes: lower, upper and, for those with a ``q``, a step."""
DIGITS = 4  # significant ones of a number that is drawn: more would only make tables and ids harder to read


@dataclass(frozen=True)
class Fixed:
    """One value."""

    value: Any

    @property
    def values(self) -> tuple[Any, ...]:
        """The value alone."""
        return (self.value,)

    def draw(self, rng: np.random.Generator) -> Any:
        """The value; ``rng`` stays as it is."""
        return self.value

    def written(self) -> Any:
        """As the file has it."""
        return self.value


@dataclass(frozen=True)
class Choices:
    """A list of values: a grid, or what is drawn from with equal chances."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """One of the values."""
        return self.values[rng.integers(len(self.values))]

    def written(self) -> list[Any]:
        """As the file has them."""
        return list(self.values)


@dataclass(frozen=True)
class Range:
    """A range of numbers, such as ``{loguniform: [0.001, 0.1]}``.

    Attributes:
        kind: one of :data:`KINDS`.
        bounds: lower, upper and, where the kind has one, the step, as the file has them.
    """

    kind: str
    bounds: tuple[float, ...]

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Range:
        """A range as the file has it: one kind, and its numbers.

        Raises:
            ValueError: there is no such kind, or its numbers are none; one line that says what is allowed.
        """
        kind = str(next(iter(written), ""))
        if len(written) != 1 or kind not in KINDS:
            raise ValueError(f"a range is one of {', '.join(KINDS)}{nearest(kind, KINDS)}")
        bounds = written[kind]
        if not isinstance(bounds, list) or len(bounds) != KINDS[kind] or not all(_is_number(b) for b in bounds):
            raise ValueError(f"{kind} takes {KINDS[kind]} numbers (it is {bounds!r})")
        if bounds[0] >= bounds[1] or ("log" in kind and bounds[0] <= 0):
            raise ValueError(f"{kind} needs lower < upper{', both positive' * ('log' in kind)} (it is {bounds!r})")
        if "randint" in kind and not all(float(b).is_integer() for b in bounds):
            raise ValueError(f"{kind} takes whole numbers (it is {bounds!r})")
        if kind.startswith("q") and not _divides(bounds[2], bounds[:2]):
            raise ValueError(
                f"{kind} takes lower, upper, step: step above 0, both bounds multiples of it (it is {bounds!r})"
            )
        return cls(kind, tuple(bounds))

    @property
    def values(self) -> tuple[float, float]:
        """The lowest and the highest number that can be drawn."""
        lower, upper = self.bounds[:2]
        return lower, upper - 1 if "randint" in self.kind else upper

    def draw(self, rng: np.random.Generator) -> float:
        """A number of the range, an ``int`` for the kinds of whole numbers, else of four significant digits."""
        drawn = sample(self.kind, self.bounds, rng)
        return drawn if isinstance(drawn, int) else float(f"{drawn:.{DIGITS}g}")

    def written(self) -> dict[str, list[float]]:
        """As the file has it."""
        return {self.kind: list(self.bounds)}


Space = Fixed | Choices | Range
"""What a file says of one hyperparameter."""


def read_space(written: Any) -> Space:
    """A value, a list or a range, as the file has it.

    Raises:
        ValueError: a list is empty, or a range is none; one line that says what is allowed.
    """
    if isinstance(written, Mapping):
        return Range.read(written)
    if not isinstance(written, list):
        return Fixed(written)
    if not written:
        raise ValueError("an empty list")
    return Choices(tuple(written))


def sample(kind: str, bounds: Sequence[float], rng: np.random.Generator) -> float:
    """A number drawn from a range, all its digits kept.

    ``uniform``: lower ≤ x < upper, all alike; ``loguniform``: the same of log x. With a ``q``, such an x is rounded to
    the next multiple of the step. ``randint``: the whole numbers lower ≤ n < upper, all alike; ``lograndint``: such an
    x of ``loguniform``, rounded down.

    Args:
        kind: one of :data:`KINDS`.
        bounds: lower, upper and, for a ``q``, the step, as :meth:`Range.read` allows them.
        rng: it is asked for one number.

    Returns:
        An ``int`` for ``randint`` and ``lograndint``, else a ``float``.
    """
    if kind == "randint":
        return int(rng.integers(int(bounds[0]), int(bounds[1])))
    lower, upper, step = float(bounds[0]), float(bounds[1]), float(bounds[2]) if len(bounds) == 3 else None
    if step is not None:  # the bounds anew: 0.3 is not 3 × 0.1
        lower, upper = round(lower / step) * step, round(upper / step) * step
    drawn = float(np.exp(rng.uniform(np.log(lower), np.log(upper)))) if "log" in kind else rng.uniform(lower, upper)
    if step is not None:
        drawn = round(drawn / step) * step
    return math.floor(drawn) if kind == "lograndint" else drawn


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def _divides(step: float, bounds: Sequence[float]) -> bool:
    """Whether the bounds are multiples of the step but for rounding."""
    try:
        return step > 0 and all(math.isclose(b / step, round(b / step)) for b in bounds)
    except OverflowError:
        return False
