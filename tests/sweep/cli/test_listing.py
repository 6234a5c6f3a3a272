"""What there is to run."""

from tests.support.command_line import CommandLine


def test_every_kind_is_listed(sweep: CommandLine) -> None:
    assert "quickstart" in sweep("list", "experiments").out
    methods = sweep("list", "methods").out
    assert all(name in methods for name in ("nearest_neighbor", "tca", "jda", "dann", "mcc"))
    assert "rendered" in sweep("data", "list").out
    assert sweep("data", "list").out == sweep("list", "datasets").out


def test_a_methods_params_are_shown_with_their_defaults(sweep: CommandLine) -> None:
    assert "2.5" in sweep("show", "mcc").out  # the temperature of Jin 2020


def test_run_without_a_name_lists_the_experiments(sweep: CommandLine) -> None:
    assert sweep("run").out == sweep("list").out


def test_a_list_that_is_read_by_a_program_has_one_line_each(sweep: CommandLine) -> None:
    lines = sweep("list", "methods").out.splitlines()
    assert lines[0].split()[0] == "method"
    assert len({line.split()[0] for line in lines}) == len(lines)  # nothing is folded
    assert max(map(len, lines)) > 80
