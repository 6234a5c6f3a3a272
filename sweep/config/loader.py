"""Experiments by name: found in ``search_spaces/`` or at a path, read, overridden and validated.

Everything wrong in a file is said with its line and, for a misspelt name, the nearest valid one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transfer_sweep
from transfer_sweep.sweep.config.source import SourceFile, merge, nearest, parse_value
from transfer_sweep.sweep.errors import SweepError

if TYPE_CHECKING:
    from transfer_sweep.sweep.config.schema import Experiment

transfer_sweep.refuse_bare(__name__)

SEARCH_SPACES = Path(__file__).resolve().parents[2] / "search_spaces"
NOT_SET = {"name": "an experiment's name is that of its file", "profile": "a profile is chosen with --profile"}
"""Keys of an experiment that neither a file nor ``--set`` may have, and why."""


def names() -> list[str]:
    """The experiments that there are files for, in order of the alphabet."""
    return sorted(path.stem for path in SEARCH_SPACES.glob("*.yaml"))


def find(name: str) -> Path:
    """The file of an experiment.

    Args:
        name: of a file in ``search_spaces/``, or a path to a YAML file.

    Raises:
        SweepError: there is none.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise SweepError(f"no experiment file {name}")
        return path
    path = SEARCH_SPACES / f"{name}.yaml"
    if "/" in name or not path.is_file():
        raise SweepError(f"no experiment {name!r}{nearest(name, names())}")
    return path


def describe(name: str) -> str:
    """The ``description`` of an experiment, empty where it has none.

    Raises:
        SweepError: there is no such file, or it cannot be read.
    """
    return str(SourceFile.read(find(name)).data.get("description", ""))


def profiles(name: str) -> list[str]:
    """The profiles that an experiment file names.

    Raises:
        SweepError: there is no such file, or it cannot be read, or its profiles are none.
    """
    return list(_profiles(SourceFile.read(find(name))))


def load(name: str, profile: str | None = None, overrides: Sequence[str] = ()) -> Experiment:
    """Read and validate an experiment.

    Args:
        name: of a file in ``search_spaces/``, or a path to a YAML file.
        profile: of its ``profiles``; None: the file without any.
        overrides: ``path.to.value=YAML`` each, applied last.

    Raises:
        SweepError: one line that names the file, the line and what is allowed there.
    """
    # These know every method, and load torch: what lists experiments has no need of them.
    from pydantic import ValidationError  # noqa: PLC0415

    from transfer_sweep.sweep.config import validation  # noqa: PLC0415
    from transfer_sweep.sweep.config.schema import Experiment  # noqa: PLC0415

    source = SourceFile.read(find(name))
    known = _profiles(source)
    data = {key: value for key, value in source.data.items() if key != "profiles"}
    for place, layer in (((), data), *((("profiles", key), value) for key, value in known.items())):
        for key, why in NOT_SET.items():
            if key in layer:
                raise SweepError(f"{source.at((*place, key))}: {key!r} cannot be set: {why}")
    if profile is not None and profile != "default":
        if profile not in known:
            raise SweepError(f"{source.path.name} has no profile {profile!r}{nearest(profile, known)}")
        data = merge(data, known[profile])
    data = with_absolute_paths(data, source.path.parent)
    for override in overrides:
        data = merge(data, with_absolute_paths(_parse_override(override), Path()))
    data |= {"name": source.path.stem, "profile": profile or "default"}
    validation.check_names(data, source)
    try:
        experiment = Experiment.model_validate(data)
    except ValidationError as error:
        raise SweepError(validation.explain(error, source, Experiment)) from None
    validation.check(experiment, source)
    return experiment


def with_absolute_paths(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The paths of the user's own data, which a file gives relative to itself."""
    dataset = data.get("dataset")
    if not isinstance(dataset, Mapping):
        return dict(data)
    return {**data, "dataset": {key: _absolute(value, folder) for key, value in dataset.items()}}


def _absolute(value: Any, folder: Path) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        name: str((folder / Path(path).expanduser()).absolute()) if isinstance(path, str) else path
        for name, path in value.items()
    }


def _profiles(source: SourceFile) -> dict[str, dict[str, Any]]:
    found = source.data.get("profiles")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise SweepError(f"{source.at(('profiles',))}: is a mapping of names to overrides (it is {found!r})")
    for name, overrides in found.items():
        if overrides is not None and not isinstance(overrides, dict):
            raise SweepError(
                f"{source.at(('profiles', name))}: a profile is a mapping like {{epochs: 20}} (it is {overrides!r})"
            )
    return {name: overrides or {} for name, overrides in found.items()}


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SweepError(f"--set takes path.to.value=…, not {text!r}")
    if key.partition(".")[0] in NOT_SET:
        raise SweepError(f"--set {key}: {NOT_SET[key.partition('.')[0]]}")
    parsed = parse_value(value, f"--set {key}")
    for part in reversed(key.split(".")):
        parsed = {part: parsed}
    overrides: dict[str, Any] = parsed
    return overrides
