"""Made-up ledgers as large as one asks for, shaped like that of `office31_all`: for tests and timings of reports."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Cell, EpochReport, Pair, Protocol, Trial, TrialState

DOMAINS = ("amazon", "dslr", "webcam")
PAIRS = tuple(itertools.permutations(DOMAINS, 2))
SHALLOW = ("nearest_neighbor", "linear_svm", "logistic_regression", "subspace_alignment", "coral", "tca", "jda")
DEEP = (
    *("source_only", "dann", "cdan", "dan", "mcc", "ddc", "dann_mmd", "jan", "deep_coral", "adabn", "autodial"),
    *("mada", "wasserstein", "associative", "mcd"),
)
EPOCHS = 30
CLASSES, SAMPLES = 31, 500
_CRITERIA = ("source_validation", "entropy", "bnm", "snd", "class_cluster", "dev", "iwcv")
_LEVEL = dict(zip(PAIRS, (75, 71, 59, 96, 61, 98), strict=True))
_PROTOCOL = Protocol("efficientnet_lite0", "frozen", holdout=0.1, transductive=True, profile="cpu")


def make(path: Path, trials: int = 1000, logits: bool = False) -> None:
    """Write a ledger.

    Args:
        path: the file; its folder is the experiment's.
        trials: how many, about: every method runs on every pair with equally many settings. Deep methods report
            30 epochs, two in three of their trials are stopped after ten; shallow ones report one epoch.
        logits: write the predictions of each trial, too.
    """
    draw = np.random.default_rng(0)
    methods = (*SHALLOW, *DEEP)
    settings = max(1, round(trials / (len(PAIRS) * len(methods))))
    planned: list[Trial] = []
    for (source, target), method, i in itertools.product(PAIRS, methods, range(settings)):
        rate, weight = 10.0 ** (-3 + i % 3 / 2), round(10.0 ** (i // 3 / 4 - 1), 4)
        params = {"lr": rate, "trade_off": weight} if method in DEEP else {"C": round(10.0 ** (i / 4 - 2), 4)}
        cell = Cell("office31", method, Pair(source, target), _PROTOCOL)
        planned.append(Trial(f"{len(planned):016x}", "search", cell, params, 0, EPOCHS if method in DEEP else 1))
    with Ledger(path, write=True) as ledger:
        ledger.set_meta("experiment", _EXPERIMENT)
        ledger.set_meta("data", {"checksums": dict.fromkeys(DOMAINS, "0123456789abcdef")})
        ledger.add_environment(_ENVIRONMENT)
        ledger.set_plan(planned)
        for i, trial in enumerate(planned):
            _run(ledger, trial, i % 3 != 0, draw, logits)


def _run(ledger: Ledger, trial: Trial, stopped: bool, draw: np.random.Generator, logits: bool) -> None:
    epochs = EPOCHS // 3 if stopped and trial.budget > 1 else trial.budget
    method = (*SHALLOW, *DEEP).index(trial.method)
    level = _LEVEL[trial.pair] + 0.3 * method - 2 * draw.random()
    rise = 1 - np.exp(-np.arange(1, epochs + 1) / (trial.budget / 6))
    accuracies = np.clip(level * rise + draw.normal(scale=0.5, size=epochs), 0, 100)
    noise = draw.normal(scale=0.05, size=(epochs, len(_CRITERIA) + 1))
    artefacts = _predictions(ledger.path.parent, trial.id, draw) if logits else {}
    for epoch, (accuracy, *others) in enumerate(zip(accuracies, *noise.T, strict=True), start=1):
        score = float(accuracy) / 30
        criteria = {name: score + float(other) for name, other in zip(_CRITERIA, others[1:], strict=True)}
        report = EpochReport(
            epoch,
            float(accuracy),
            {"information_maximization": score + float(others[0]), "predicted_classes": 1.0, **criteria},
            {"classification": 1 / epoch, "transfer": 0.1},
            0.5,
        )
        end = TrialState.STOPPED if epochs < trial.budget else TrialState.DONE
        ledger.record_epoch(trial.id, report, artefacts, end if epoch == epochs else None)


def _predictions(folder: Path, trial: str, draw: np.random.Generator) -> dict[str, str]:
    name = Path("logits") / trial[-2:] / f"{trial}.npz"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    np.savez(folder / name, target=draw.normal(size=(SAMPLES, CLASSES)).astype(np.float16))
    return {"logits": name.as_posix()}


_EXPERIMENT = {
    "dataset": "office31",
    "description": "made up",
    "early_stopping": {"scheduler": "asha", "grace": 0.33, "reduction": 3},
    "citations": {"mcc": "Jin et al. 2020, Minimum Class Confusion for Versatile Domain Adaptation (ECCV)"},
}
_ENVIRONMENT = {
    "command": "python -m sweep run made_up",
    "commit": "0123456789ab",
    "versions": {"python": "3.11"},
    "hardware": {"cores": 2, "memory_gib": 8.0, "machine": "x86_64", "gpus": []},
}
