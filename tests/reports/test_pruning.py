"""Only the chosen trials' files stay."""

import dataclasses
import json
from pathlib import Path

from tests.support import small_ledger
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger import artefacts
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport, TrialState
from transfer_sweep.reports.pruning import ArtefactPruner


def test_only_the_chosen_trials_and_those_that_run_keep_their_files(tmp_path: Path) -> None:
    running = dataclasses.replace(small_ledger.RUNS[3], params={"lr": 0.5}, state=None)
    runs = [*small_ledger.RUNS, running]
    small_ledger.write(tmp_path / "ledger.sqlite", runs)
    files = {}
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        for run in runs:
            key = run.trial.id
            paths = {
                kind: artefacts.path_of(kind, key.replace("/", "_")) for kind in (artefacts.MODEL, artefacts.FEATURES)
            }
            files[key] = paths
        for run in runs:
            for path in files[run.trial.id].values():
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_bytes(b"")
            texts = {kind: str(path) for kind, path in files[run.trial.id].items()} | {"logits": "logits/x.npz"}
            epoch = len(run.epochs)
            accuracy, score, seen = run.epochs[-1]
            criteria = {"information_maximization": score, "predicted_classes": seen}
            ledger.record_epoch(run.trial.id, EpochReport(epoch, accuracy, criteria, {}, 0.5), texts)
        ArtefactPruner(ledger, tmp_path, selection.DEFAULT).prune()
        chosen = {str(key) for key in selection.choose(selection.candidates(ledger))["id"]}
        expected = chosen | {running.trial.id}
        trials = ledger.trials()
    assert len(chosen) == 6
    for key, text in zip(trials["id"], trials["artefacts"], strict=True):
        for kind, path in files[key].items():
            assert (tmp_path / path).exists() == (key in expected)
            assert (kind in json.loads(text)) == (key in expected)
        assert json.loads(text)["logits"]


def _with_model(folder: Path, runs: list[small_ledger.Run], of: small_ledger.Run) -> Path:
    small_ledger.write(folder / "ledger.sqlite", runs)
    path = folder / artefacts.path_of(artefacts.MODEL, of.trial.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_a_trial_that_leads_while_it_runs_takes_no_model_away(tmp_path: Path) -> None:
    best = small_ledger.RUNS[2]
    leads = dataclasses.replace(best, params={"lr": 0.5}, epochs=[(60.0, 9.0, 1.0)], state=None)
    path = _with_model(tmp_path, [*small_ledger.RUNS, leads], best)
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        ArtefactPruner(ledger, tmp_path, selection.DEFAULT).prune()
    assert path.exists()


def test_models_of_former_plans_stay(tmp_path: Path) -> None:
    best = small_ledger.RUNS[2]
    path = _with_model(tmp_path, small_ledger.RUNS, best)
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        ledger.set_plan(run.trial for run in small_ledger.RUNS if run.method == "source_only")
        ArtefactPruner(ledger, tmp_path, selection.DEFAULT).prune()
    assert path.exists()


def test_only_those_cells_wait_whose_trials_are_compared_with_others(tmp_path: Path) -> None:
    deep, classical = small_ledger.RUNS[1], dataclasses.replace(small_ledger.RUNS[1], method="coral")
    pending = dataclasses.replace(deep, params={"lr": 0.5}, epochs=[], state=TrialState.PENDING)
    more = dataclasses.replace(classical, params={"lr": 0.7}, epochs=[(70, 1.0, 1), (71, 1.8, 1), (72, 2.0, 1)])
    runs = [*small_ledger.RUNS, classical, more]
    paths = [_with_model(tmp_path, [*runs, pending], run) for run in (deep, classical)]
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        ledger.set_meta("experiment", {"family": {"coral": "shallow"}})
        ArtefactPruner(ledger, tmp_path, selection.AUTO).prune()
        assert [path.exists() for path in paths] == [False, True]
        ledger.set_plan(run.trial for run in runs)
        ArtefactPruner(ledger, tmp_path, selection.AUTO).prune()
        assert not paths[1].exists()


def test_a_criterion_that_compares_trials_waits_for_all_of_them(tmp_path: Path) -> None:
    waiting = dataclasses.replace(small_ledger.RUNS[1], params={"lr": 0.5}, epochs=[], state=TrialState.PENDING)
    path = _with_model(tmp_path, [*small_ledger.RUNS, waiting], small_ledger.RUNS[1])
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        ArtefactPruner(ledger, tmp_path, "im_and_source").prune()
        assert path.exists()
        ArtefactPruner(ledger, tmp_path, selection.DEFAULT, seconds=3600).maybe_prune()
        assert path.exists()
        ArtefactPruner(ledger, tmp_path, selection.DEFAULT, seconds=0).maybe_prune()
        assert not path.exists()
