"""Tune's Tuner over the trials of a pass."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune

from transfer_sweep.sweep.engine.checkpoint_storage import CHECKPOINTS
from transfer_sweep.sweep.engine.cluster import Cluster
from transfer_sweep.sweep.engine.scheduler import CellASHA, trial_id
from transfer_sweep.sweep.engine.search import PlannedSearch
from transfer_sweep.sweep.engine.trainable import Shared, TransferTrial, TrialSpec

MAX_FAILURES = 3  # losses of a trial's process or node, each continued from its checkpoint


def tuner(
    specs: Mapping[str, TrialSpec],
    shared: Shared,
    scheduler: CellASHA,
    callbacks: Sequence[tune.Callback],
    cluster: Cluster,
) -> tune.Tuner:
    """A Tuner that runs these trials in this order, as far as their resources allow.

    Args:
        specs: trial id → what it needs to know of itself.
        shared: what all of them share.
        scheduler: starts and stops them.
        callbacks: are told of them.
        cluster: where they run.
    """

    # Tune unpickles this function with the Trainable for every trial: what it needs stands in the config.
    def request(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        cpu, gpu = config["trial"]["cpu"], config["trial"]["gpu"]
        return tune.PlacementGroupFactory([{"CPU": cpu, "GPU": gpu} if gpu else {"CPU": cpu}])

    planned = [{"id": key, "cpu": spec.cpu, "gpu": spec.gpu} for key, spec in specs.items()]
    storage = shared.storage
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(TransferTrial, shared=shared), request),
        tune_config=tune.TuneConfig(
            search_alg=PlannedSearch(planned, cluster.places),
            num_samples=len(planned),
            scheduler=scheduler,
            reuse_actors=True,
            max_concurrent_trials=cluster.limit(),
            trial_name_creator=trial_id,
            trial_dirname_creator=trial_id,
        ),
        run_config=tune.RunConfig(
            name=f"pass-{len(storage.folders(CHECKPOINTS)):06}-{os.getpid()}",
            storage_path=posixpath.join(storage.root, CHECKPOINTS),
            storage_filesystem=storage.filesystem,
            callbacks=list(callbacks),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_at_end=False),
        ),
    )
