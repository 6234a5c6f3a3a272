"""What ran, where and when."""

from pathlib import Path

from transfer_sweep.reports import report, selection


def test_a_report_says_what_ran_where_and_how_the_numbers_were_chosen(small: Path) -> None:
    text = report.render([small])
    assert text.startswith("# office31_small\n\nAll 21 trials have ended.")
    for fact in (
        "python -m sweep run office31_small",
        "0123456789ab",
        "2 CPU cores (x86_64), 16 GiB of memory, no GPU",
        "10 % of the source held out",
        "adapts to the unlabelled samples it is scored on",
        "search 0; the chosen params again with 1, 2",
        selection.CRITERIA["information_maximization"],
    ):
        assert fact in text
