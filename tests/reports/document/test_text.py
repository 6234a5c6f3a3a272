"""Words and numbers as a report has them."""

from transfer_sweep.reports.document.text import initials


def test_domains_that_share_an_initial_keep_their_names() -> None:
    assert initials(["mnist", "usps", "mnist_m"]) == {"mnist": "mnist", "usps": "usps", "mnist_m": "mnist_m"}
