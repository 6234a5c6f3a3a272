"""Our trial at the setting that a paper fixed, beside the paper's numbers."""

from dataclasses import replace
from pathlib import Path

from tests.support.shown_tables import only_group
from tests.support.small_ledger import PROTOCOL, RUNS, Run, experiment
from transfer_sweep.reports import results
from transfer_sweep.reports.document.elements import Table, text_of
from transfer_sweep.reports.sections import paper_settings
from transfer_sweep.reports.sections.context import References

SURF = {**PROTOCOL, "backbone": "surf_bow800", "training": "raw", "holdout": 0.0}
SETTING = {"n_components": 100, "kernel": "linear"}
PARAMS = {**SETTING, "mu": 1.0}

# Long et al. 2013, table 2, column JDA: 44.78 and 39.36.
RUNS_OF_JDA = [
    replace(run, dataset="office_caltech10")
    for pair, reached in ((("caltech", "amazon"), 44.57), (("amazon", "caltech"), 39.09))
    for run in (
        Run("jda", *pair, PARAMS, [(reached, 1.0, 1.0)], budget=1, protocol=SURF),
        Run("jda", *pair, {**PARAMS, "kernel": "primal"}, [(99.0, 9.0, 1.0)], budget=1, protocol=SURF),
    )
]


def shown(path: Path) -> Table | None:
    return paper_settings.table(only_group(results.read(path)), References())


def test_the_trial_at_the_papers_setting_stands_beside_its_number(tmp_path: Path) -> None:
    # The other trial is better by every way of choosing.
    path = experiment(tmp_path, RUNS_OF_JDA, paper_settings={"jda": {"office_caltech10": SETTING}, "tca": {}})
    table = shown(path)
    assert table is not None
    assert [[text_of(cell) for cell in row][1:] for row in table.rows] == [
        ["ours", "44.57", "39.09", "41.83"],
        ["paper [1]", "44.78", "39.36", "42.07"],
        ["− paper", "−0.21", "−0.27", "−0.24"],
    ]
    assert table.notes[0] == "jda: kernel linear, n_components 100."


def test_a_setting_that_no_trial_has_or_another_data_set_fixes_shows_nothing(tmp_path: Path) -> None:
    other = {"jda": {"office_caltech10": {**SETTING, "n_components": 20}}}
    assert shown(experiment(tmp_path, RUNS_OF_JDA, "missing", paper_settings=other)) is None
    assert shown(experiment(tmp_path, RUNS_OF_JDA, "elsewhere", paper_settings={"jda": {"digits": SETTING}})) is None
    assert shown(experiment(tmp_path, RUNS_OF_JDA, "from before")) is None


def test_numbers_with_another_backbone_are_not_at_the_papers_setting(tmp_path: Path) -> None:
    # DANN's published numbers are those of a fine-tuned ResNet-50.
    assert shown(experiment(tmp_path, RUNS, paper_settings={"dann": {"office31": {"lr": 0.01}}})) is None


def test_a_pair_that_did_not_run_leaves_no_average(tmp_path: Path) -> None:
    lost = [run for run in RUNS_OF_JDA if run.source == "caltech" or run.params["kernel"] == "primal"]
    table = shown(experiment(tmp_path, lost, paper_settings={"jda": {"office_caltech10": SETTING}}))
    assert table is not None
    assert [text_of(cell) for cell in table.rows[0]][1:] == ["ours", "44.57", "–", "–"]
