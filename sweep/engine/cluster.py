"""Ray: one on this machine that ends with the run, or a cluster that we join."""

from __future__ import annotations

import logging
import math
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as NodeAffinity
from rich.console import Console

from transfer_sweep.sweep import environment
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.errors import SweepError

# Measured on Ray 2.60: its own loggers double the cost of a report, and it snapshots all trials every few
# seconds for a restore that we do not use. The ledger is our record.
_RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


class Cluster:
    """Where trials run.

    Args:
        console: is told the dashboard's address.
        address: of a running Ray cluster (``auto``, or host:port); None starts Ray here.
        max_concurrent: trials at a time; None: as many as fit.
        dashboard: start Ray's dashboard.

    Raises:
        SweepError: the address is one of Ray Client.
    """

    def __init__(
        self, console: Console, address: str | None = None, max_concurrent: int | None = None, dashboard: bool = False
    ) -> None:
        if address is not None and address.startswith("ray://"):
            raise SweepError(
                "--address ray://… (Ray Client) would move the whole driver into the cluster: run on a cluster node "
                "with --address auto, or submit with `ray job submit`"
            )
        self._console, self._address, self._dashboard = console, address, dashboard
        self.max_concurrent = max_concurrent
        self._connected = False

    def connect(self, cpu: float = 1) -> None:
        """Start or join Ray, once.

        Args:
            cpu: cores of a trial, to keep to ``max_concurrent`` on this machine.

        Raises:
            SweepError: there is no such cluster.
        """
        if self._connected:
            return
        if ray.is_initialized():
            raise SweepError("this process uses Ray already: call ray.shutdown() first")
        for key, value in _RAY_SETTINGS.items():
            os.environ.setdefault(key, value)
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._address is None:
            cores, most = environment.cores(), self.max_concurrent
            options |= {
                "num_cpus": cores if most is None or cpu > cores else min(cores, math.ceil(most * cpu)),
                "include_dashboard": self._dashboard,
                "dashboard_host": "127.0.0.1",
            }
        try:
            _protect_token(create=self._address is None)
        except OSError as error:
            raise SweepError(
                f"Ray's token cannot be kept to this user: {error.strerror or error} ({error.filename})"
            ) from error
        try:
            # "local": RAY_ADDRESS, where it is set, is a cluster that nobody asked for here.
            context = ray.init(address=self._address or "local", **options)
        except Exception as error:  # a node that does not start in 30 seconds (a busy machine) raises a bare one
            first = (str(error).strip() or repr(error)).splitlines()[0]
            token = "" if self._address is None else " (one with a token wants RAY_AUTH_MODE=token here, too)"
            raise SweepError(f"cannot connect to Ray at {self._address or 'this machine'}: {first}{token}") from error
        for name in ("ray", "ray.tune", "ray.train"):
            logging.getLogger(name).setLevel(logging.ERROR)
        # Tracebacks of lost processes; the view says it in one line, and the ledger keeps what ended a trial.
        logging.getLogger("ray.tune.execution.tune_controller").setLevel(logging.CRITICAL)
        self._connected = True
        # Few enough to keep the order given, enough that no slot is idle and no actor is thrown away.
        os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(max(4, 2 * int(self.cores()))))
        self._tell(context.dashboard_url)

    def close(self) -> None:
        """End what :meth:`connect` began: a process may run several experiments, one after another."""
        if self._connected:
            ray.shutdown()
            self._connected = False

    def _tell(self, dashboard: str | None) -> None:
        """Where this run is to be watched."""
        if dashboard:
            self._console.print(f"Ray dashboard: http://{dashboard}", markup=False, highlight=False, soft_wrap=True)
        if dashboard or self._address is not None:
            (node,) = [n for n in ray.nodes() if n["NodeID"] == ray.get_runtime_context().get_node_id()]
            where = f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}"
            self._console.print(f"metrics: http://{where}/metrics", markup=False, highlight=False, soft_wrap=True)

    def cores(self) -> float:
        """CPU cores in all."""
        return float(self._total().get("CPU", 0))

    def gpus(self) -> float:
        """GPUs in all."""
        return float(self._total().get("GPU", 0))

    def _total(self) -> dict[str, float]:
        """What the cluster has; a Ray that we have yet to start here, what this machine has."""
        if self._address is not None:
            self.connect()
        if self._connected:
            return dict(ray.cluster_resources())
        return {"CPU": environment.cores(), "GPU": torch.cuda.device_count()}

    def check_storage(self, storage: Storage) -> None:
        """Refuse a folder of the driver's node that another node does not see.

        Raises:
            SweepError: names the nodes.
        """
        here = ray.get_runtime_context().get_node_id()
        others = {n["NodeID"]: n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"] and n["NodeID"] != here}
        if not storage.is_folder or not others:
            return
        look: Any = ray.remote(num_cpus=0)(lambda path: Path(path).exists())
        with storage.marked() as marker:
            looks = [look.options(scheduling_strategy=NodeAffinity(node, soft=False)).remote(marker) for node in others]
            blind = [where for where, sees in zip(others.values(), ray.get(looks), strict=True) if not sees]
        if blind:
            raise SweepError(
                f"the folder {storage.root} is not there on {', '.join(blind)}: trials save themselves where any node "
                "can continue them; name a folder that all nodes share, or an address such as s3://bucket/path, with "
                "--storage"
            )

    def limit(self) -> int | None:
        """The limit to leave to Tune. Tune reuses an actor only for a trial that waits already, and its own limit
        lets none wait; so here Ray's cores are the limit, but for one at a time, where the order is to be kept."""
        most = self.max_concurrent
        return most if most == 1 or self._address is not None else None

    def places(self, request: tuple[float, float]) -> float:
        """How many trials of a request (cores, GPUs) fit at a time, if there are no others."""
        cpu, gpu = request
        fits = self.cores() // cpu
        return min(fits, self.gpus() // gpu) if gpu else fits

    def slots(self, requests: Iterable[tuple[float, float]]) -> int:
        """How many trials run at a time: of the request (cores, GPUs) that has the fewest places."""
        fits = max(1, int(min(map(self.places, requests), default=1)))
        return min(fits, self.max_concurrent or fits)


def _protect_token(create: bool) -> None:
    """Keep Ray's authentication token to this user: Ray would write one that every user may read.

    Args:
        create: make one where there is none, before Ray does.
    """
    token = Path.home() / ".ray" / "auth_token"
    if create and not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        token.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=token.parent) as file:  # for this user alone
            file.write(secrets.token_hex(32))  # as Ray makes them
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, token)
    if token.is_file():
        token.chmod(stat.S_IRUSR | stat.S_IWUSR)
