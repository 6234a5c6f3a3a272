"""Ranges: what is drawn from them, beside the samplers of Ray Tune, and what is refused."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import tune

from transfer_sweep.sweep.config.distributions import KINDS, Choices, Fixed, Range, read_space, sample

SEEDS = st.integers(0, 2**64 - 1)
BOUNDS = st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)
POSITIVE = st.floats(1e-8, 1e6) | st.integers(1, 10**6)


@st.composite
def _ranges(draw: st.DrawFn) -> tuple[str, list[float]]:
    """Any range that a file may have."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    if "randint" in kind:
        lower, upper = sorted(draw(st.lists(st.integers(1 if "log" in kind else -999, 9999), min_size=2, max_size=2)))
        return kind, [lower, upper + 1]
    if not kind.startswith("q"):
        bounds = POSITIVE if "log" in kind else BOUNDS
        return kind, sorted(draw(st.lists(bounds, min_size=2, max_size=2, unique_by=float)))
    step = draw(st.sampled_from([1, 5, 0.1, 0.05, 1e-4, 0.3]))
    lowest = draw(st.integers(1 if "log" in kind else -50, 50))
    return kind, [lowest * step, (lowest + draw(st.integers(1, 100))) * step, step]


@given(_ranges(), SEEDS)
def test_draws_are_those_of_ray_tune(ranged: tuple[str, list[float]], seed: int) -> None:
    kind, bounds = ranged
    ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
    domain = getattr(tune, kind)(*bounds)
    for _ in range(5):
        assert sample(kind, bounds, ours) == domain.sample(random_state=theirs)
    assert ours.bit_generator.state == theirs.bit_generator.state


@given(_ranges(), SEEDS)
def test_draws_stay_between_the_ends_which_a_method_is_asked_about(ranged: tuple[str, list[float]], seed: int) -> None:
    kind, bounds = ranged
    read = Range.read({kind: bounds})
    lowest, highest = read.values
    drawn = sample(kind, bounds, np.random.default_rng(seed))
    assert lowest <= drawn * (1 + 1e-12 * math.copysign(1, drawn))
    assert drawn * (1 - 1e-12 * math.copysign(1, drawn)) <= highest
    assert isinstance(read.draw(np.random.default_rng(seed)), int if "randint" in kind else float)


@pytest.mark.parametrize("bounds", [[0.001, 0.1], [1, 3], [2, 1e9]])
def test_numbers_are_drawn_to_four_digits(bounds: list[float]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        drawn = Range("uniform", tuple(bounds)).draw(rng)
        assert drawn == float(f"{drawn:.3e}")


def test_a_log_range_has_as_much_in_each_decade() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([Range("loguniform", (0.001, 1)).draw(rng) for _ in range(3000)])
    decades = np.bincount(np.floor(np.log10(drawn)).astype(int) + 3, minlength=3)
    assert decades / len(drawn) == pytest.approx([1 / 3] * 3, abs=0.03)


def test_a_list_is_drawn_from_and_a_value_takes_no_randomness() -> None:
    rng = np.random.default_rng(0)
    assert {Choices(("a", "b")).draw(rng) for _ in range(50)} == {"a", "b"}
    before = rng.bit_generator.state
    assert Fixed("a").draw(rng) == "a"
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("written", [3, "text", None, True, [1, 2], [[1], [2]], {"qloguniform": [0.1, 1, 0.1]}])
def test_what_was_read_is_written_as_it_was(written: Any) -> None:
    assert read_space(written).written() == written


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ([], "an empty list"),
        ({}, "a range is one of uniform"),
        ({"unifrom": [1, 2]}, "did you mean 'uniform'"),
        ({"uniform": [1, 2], "randint": [1, 2]}, "a range is one of"),
        ({"uniform": 3}, "uniform takes 2 numbers"),
        ({"uniform": [1, 2, 3]}, "uniform takes 2 numbers"),
        ({"uniform": [False, True]}, "uniform takes 2 numbers"),
        ({"uniform": [0, math.inf]}, "uniform takes 2 numbers"),
        ({"uniform": [1, 1]}, "uniform needs lower < upper"),
        ({"loguniform": [0, 1]}, "both positive"),
        ({"lograndint": [1, 2.5]}, "lograndint takes whole numbers"),
        ({"quniform": [0, 1, 0.3]}, "both bounds multiples of it"),
    ],
)
def test_what_is_no_range_is_refused(written: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_space(written)
