"""What holds of differences, and the diagram of average ranks."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from tests.support.shown_tables import row
from tests.support.small_ledger import PAIRS, Run, experiment
from transfer_sweep.reports import gain as gains
from transfer_sweep.reports import results
from transfer_sweep.reports.comparison import compare
from transfer_sweep.reports.document import plotting
from transfer_sweep.reports.document.elements import Block, Drawing, Table
from transfer_sweep.reports.sections import differences
from transfer_sweep.reports.sections.context import Context, Group

ACCURACIES = pd.DataFrame(
    [[71.0, 80.0, 83.0, 90.0], [60.0, 59.0, 65.0, 70.0], [88.0, 90.0, 93.0, 92.0]],
    columns=["source_only", "dan", "dann", "mcc"],
)


def test_the_diagram_names_every_method_with_its_rank(tmp_path: Path) -> None:
    found = compare(ACCURACIES)
    assert found is not None
    figure = differences.draw(found)
    texts = {text.get_text().strip() for text in figure.axes[0].texts}
    # By hand: 4, 3, 4; 3, 4, 3; 2, 2, 1; 1, 1, 2.
    assert texts == {"mcc  1.3", "dann  1.7", "3.3  dan", "3.7  source_only"}
    bars = [
        np.asarray(line.get_xdata(), dtype=float).tolist() for line in figure.axes[0].lines if line.get_linewidth() == 3
    ]
    assert all(bar == sorted(bar) for bar in bars)  # in order: the same picture in every process
    plotting.write(Drawing("cd", "", "", lambda: figure), tmp_path / "a" / "cd.png")
    assert (tmp_path / "a" / "cd.png").read_bytes().startswith(b"\x89PNG")


def holds(folder: Path, pairs: list[tuple[str, str]], seeds: int = 1, methods: int = 1) -> tuple[Group, list[Block]]:
    """What is said of methods that gain 5, 6 and 7 points on these pairs, with runs that differ by a point."""
    runs = [
        Run(name, *pair, {}, [(base + i + seed, 1.0, 1.0)], role="confirm" if seed else "search", seed=seed)
        for i, pair in enumerate(pairs)
        for seed in range(seeds)
        for name, base in [("source_only", 70.0 - i), *((f"method{n}", 75.0 + n - i) for n in range(methods))]
    ]
    for run in runs:
        if run.method != "source_only":
            run.epochs = [(run.epochs[0][0] + pairs.index((run.source, run.target)), 1.0, 1.0)]
    context = Context.of(results.read(experiment(folder, runs)))
    return context.groups[0], list(differences.blocks(context))


def test_a_gain_over_three_pairs_is_told_from_none(tmp_path: Path) -> None:
    group, blocks = holds(tmp_path, PAIRS)
    table = differences.table(group, "information_maximization")
    assert table is not None
    low, high = stats.t.interval(0.95, 2, loc=6.0, scale=1 / 3**0.5)  # of 5, 6 and 7 points
    assert row(table, "method0")[2:] == ["+6.0", f"+{low:.1f} to +{high:.1f}", "single runs"]
    assert row(table, "source_only")[2:] == ["–", "–", "–"]
    assert "on other pairs like these method0 gains over source_only." in str(blocks[1])
    assert "single runs behind all gains" in str(blocks[1])


def test_two_pairs_are_said_to_be_too_few_and_seeds_speak_of_these_alone(tmp_path: Path) -> None:
    group, blocks = holds(tmp_path, PAIRS[:2], seeds=3)
    table = differences.table(group, "information_maximization")
    assert table is not None
    # Variances of 1 over three seeds on four sides: an error of √(4 · ⅓)/2, and eight degrees of freedom.
    low, high = stats.t.interval(0.95, 8, loc=5.5, scale=(1 / 3) ** 0.5)
    assert row(table, "method0")[2:] == ["+5.5", "too few pairs", f"+{low:.1f} to +{high:.1f}"]
    assert "on these very pairs, run again with other seeds, method0 gains over source_only." in str(blocks[1])
    assert "Of fewer than 3 pairs nothing can be said of others" in str(blocks[1])


def gain(*, pairs: gains.Interval | None = None, seeds: gains.Interval | None = None) -> gains.MethodGain:
    return gains.MethodGain(gains.MeanGain(1.0, pairs, seeds), 0.0, None, 3)


def test_methods_that_gain_and_that_lose_are_named() -> None:
    up, down, open_ = gains.Interval(1, 2), gains.Interval(-2, -1), gains.Interval(-1, 1)
    text = differences.holds({"dan": gain(pairs=up), "dann": gain(pairs=open_), "mcc": gain(pairs=down)})
    assert "dan gains over source_only; mcc loses against source_only; dann cannot be told from source_only." in text
    assert text.endswith("One such interval in twenty misses by chance.")
    both = differences.holds({"dan": gain(pairs=up), "dann": gain(pairs=up), "mcc": gain(pairs=up)})
    assert "on other pairs like these dan, dann and mcc gain over source_only." in both
    none = differences.holds({"dan": gain(seeds=open_), "dann": gain(seeds=open_)})
    assert "with other seeds, dan and dann cannot be told from source_only." in none


def test_a_gain_over_some_of_the_pairs_says_over_how_many(tmp_path: Path) -> None:
    def runs(method: str, accuracy: float, pairs: list[tuple[str, str]]) -> list[Run]:
        return [Run(method, *pair, {}, [(accuracy, 1.0, 1.0)]) for pair in pairs]

    ran = [*runs("source_only", 70.0, PAIRS[:2]), *runs("dann", 80.0, PAIRS), *runs("dan", 75.0, PAIRS[:2])]
    table = differences.table(Context.of(results.read(experiment(tmp_path, ran))).groups[0], "information_maximization")
    assert table is not None
    shown = list(table.headers).index("gain over source_only")
    assert row(table, "dann")[shown] == "+10.0 (2 of 3)"  # of which source_only ran on two
    assert "(" not in row(table, "dann")[shown - 1]


def test_probabilities_are_shown_against_the_best_alone(tmp_path: Path) -> None:
    group, _ = holds(tmp_path, PAIRS, methods=3)
    table = differences.table(group, "information_maximization")
    assert table is not None
    assert table.headers[-1] == "method2 better by more than ½ point"
    assert row(table, "method2")[-1] == "–"
    assert all(0 <= float(row(table, name)[-1]) <= 1 for name in ("source_only", "method0", "method1"))


def test_the_diagram_is_left_out_where_it_would_join_all_methods(tmp_path: Path) -> None:
    # Four methods in one order: on three pairs Nemenyi's critical difference is 2.7 ranks, on two it is 3.3.
    for pairs, drawn in ((PAIRS, True), (PAIRS[:2], False)):
        _, blocks = holds(tmp_path / str(len(pairs)), pairs, methods=3)
        assert any(isinstance(block, Table) for block in blocks)
        assert any(isinstance(block, Drawing) for block in blocks) == drawn
