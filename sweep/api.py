"""What a notebook or a script calls: ``transfer_sweep.run``, ``open`` and ``load_model``.

They do what the commands ``run``, ``report`` and ``predict`` do, and raise where those end in one line: a
:class:`transfer_sweep.UserError` with the same text. See ``docs/api.md``.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transfer_sweep
from transfer_sweep import plugins as plugin_files
from transfer_sweep.sweep.environment import cache_folder, existing_folder
from transfer_sweep.sweep.errors import SweepError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from rich.console import Console

    from transfer_sweep.reports.document.elements import Block, Cell, Table
    from transfer_sweep.reports.results import Results
    from transfer_sweep.sweep.trial.predictions import Answer
    from transfer_sweep.sweep.trial.saved_model import SavedModel

    Inputs = (
        str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | NDArray[np.generic] | Sequence[NDArray[np.uint8]]
    )

transfer_sweep.refuse_bare(__name__)


class FailedTrialsWarning(UserWarning):
    """Some trials of a run failed; the others stand, and another run tries these again."""


def run(
    experiment: str | os.PathLike[str] | Mapping[str, Any],
    *,
    results: str | os.PathLike[str] | None = None,
    data_root: str | os.PathLike[str] | None = None,
    only: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    profile: str | None = None,
    fresh: bool = False,
    max_concurrent: int | None = None,
    address: str | None = None,
    storage: str | None = None,
    minutes: float | None = None,
    skip_damaged: bool = False,
    plugins: Sequence[str | os.PathLike[str]] | None = None,
    quiet: bool = False,
) -> RecordedExperiment:
    """Plan, run, resume, as ``python -m sweep run`` does: what has run already does not run again.

    Call it from the main thread: an interruption (Ctrl-C, a kernel's stop button) lets running trials save themselves.

    Args:
        experiment: a name of ``search_spaces/``, a path to a YAML file, or what such a file holds with a ``name``; of a
            mapping the file ``<results>/<name>/<name>.yaml`` is written, which the command line takes, too.
        results: folder of results; None: SWEEP_RESULTS, or ``results``.
        data_root: folder of the data sets; None: SWEEP_DATA_ROOT, or none at all.
        only: which trials to run, ``"method=a,b"`` or ``"pair=source-target"`` each.
        overrides: values of the file to replace, by their paths: ``{"epochs": 5, "early_stopping.scheduler": "none"}``.
        profile: one of the experiment's; None: the first run's, or what fits this machine.
        fresh: forget earlier results of these trials.
        max_concurrent: trials at a time; None: as many as fit.
        address: of a running Ray cluster (``auto``, or host:port); None: a Ray of this call alone.
        storage: where trials save themselves, see ``--storage``.
        minutes: after which to stop, with the best answer so far; another call goes on. None: when all is done.
        skip_damaged: leave pictures of one's own out that cannot be read.
        plugins: Python files of methods, data sets, criteria or backbones; None: those of SWEEP_PLUGINS.
        quiet: show no progress.

    Returns:
        What is recorded by then. Where trials failed, a :class:`FailedTrialsWarning` says how many.

    Raises:
        transfer_sweep.UserError: bad input, or a situation that the user can mend; one line.
        KeyboardInterrupt: it was interrupted; what had run stays, and another call continues.

    Examples:
        >>> import transfer_sweep
        >>> done = transfer_sweep.run("quickstart", only=["method=tca"], quiet=True)  # doctest: +SKIP
        >>> done.choices[["method", "source", "target", "target_accuracy_mean"]]  # doctest: +SKIP
    """
    from transfer_sweep.sweep.config import loader
    from transfer_sweep.sweep.engine.cluster import Cluster
    from transfer_sweep.sweep.planning.filters import Filter
    from transfer_sweep.sweep.planning.profiles import choose_profile
    from transfer_sweep.sweep.runner import Run, RunOptions

    _use_plugins(plugins)
    folder = _results_folder(results)
    name = _written(experiment, folder) if isinstance(experiment, Mapping) else os.fspath(experiment)
    assignments = [f"{key}={json.dumps(value)}" for key, value in (overrides or {}).items()]
    root = os.environ.get("SWEEP_DATA_ROOT") if data_root is None else data_root
    console = _console(quiet)
    cluster = Cluster(console, address, max_concurrent)
    try:
        chosen, _ = choose_profile(name, profile, folder, lambda: cluster.gpus() > 0)
        loaded = loader.load(name, chosen, assignments)
        options = RunOptions(
            results=folder,
            data_root=existing_folder(Path(root) if root else None),
            cache=cache_folder(),
            only=Filter.parse(list(only), loaded),
            fresh=fresh,
            storage=storage,
            skip_damaged=skip_damaged,
            minutes=minutes,
            arguments=_arguments(
                name,
                {
                    "--only": only,
                    "--set": assignments,
                    "--profile": profile,
                    "--fresh": fresh,
                    "--max-concurrent": max_concurrent,
                    "--address": address,
                    "--storage": storage,
                    "--minutes": minutes,
                    "--skip-damaged": skip_damaged,
                    "--plugin": plugins,
                },
            ),
        )
        outcome = Run(loaded, options, console, cluster).execute()
    finally:
        cluster.close()
    if outcome.interrupted:
        raise KeyboardInterrupt
    lost = sum(count for state, count in outcome.states.items() if state.lost)
    if lost:
        warnings.warn(f"{lost} of {sum(outcome.states.values())} trials failed", FailedTrialsWarning, stacklevel=2)
    return RecordedExperiment(folder / loaded.name)


def open(
    folder: str | os.PathLike[str],
    *,
    criterion: str | None = None,
    everything: bool = False,
    plugins: Sequence[str | os.PathLike[str]] | None = None,
) -> RecordedExperiment:
    """What an experiment has recorded so far, while it runs or after.

    Args:
        folder: of the experiment, ``<results>/<name>``.
        criterion: what chooses trials; None: the experiment's own.
        everything: trials of former plans, too.
        plugins: as for :func:`run`; a criterion of a plug-in needs its file.

    Raises:
        transfer_sweep.UserError: there is no ledger, or no such criterion; one line.

    Examples:
        >>> import transfer_sweep
        >>> transfer_sweep.open("results/never_run")
        Traceback (most recent call last):
        transfer_sweep.reports.ledger.ledger.LedgerError: no results at results/never_run: `python -m sweep run never_run` first
    """  # noqa: E501 - the error is one line
    _use_plugins(plugins)
    return RecordedExperiment(Path(folder), criterion, everything)


def load_model(
    folder: str | os.PathLike[str],
    cell: str | None = None,
    *,
    pair: str | None = None,
    data_root: str | os.PathLike[str] | None = None,
    device: str | None = None,
    plugins: Sequence[str | os.PathLike[str]] | None = None,
) -> LoadedModel:
    """The model of a cell's chosen trial, to predict what it has not seen.

    Args:
        folder: of the experiment, ``<results>/<name>``; or a model's file, which lacks nothing.
        cell: ``method:source-target``, as for ``predict``; None: the recommended one.
        pair: ``source-target``, whose recommended cell is wanted where there are several pairs.
        data_root: folder of the data sets, which only models of earlier versions ask for; None: SWEEP_DATA_ROOT.
        device: ``cpu`` or ``cuda``; None: the GPU, if there is one.
        plugins: as for :func:`run`; a method, data set or backbone of a plug-in needs its file.

    Raises:
        transfer_sweep.UserError: there is no such cell, or no model is kept of it; one line.

    Examples:
        >>> import transfer_sweep
        >>> model = transfer_sweep.load_model("results/quickstart", "tca:rendered-uci")  # doctest: +SKIP
        >>> model.predict("pictures/")[["path", "label", "confidence"]]  # doctest: +SKIP
    """
    from transfer_sweep.sweep.progress.live_view import ProgressPrinter
    from transfer_sweep.sweep.trial.saved_model import SavedModel, choose, open_chosen

    _use_plugins(plugins)
    path = Path(folder)
    if path.is_file():
        if cell is not None or pair is not None:
            raise SweepError(f"{path} is the model of one cell: leave out which")
        return LoadedModel(SavedModel(path, device=device))
    root = os.environ.get("SWEEP_DATA_ROOT") if data_root is None else data_root
    chosen = choose(path, cell, pair)
    data = existing_folder(Path(root) if root else None)
    return LoadedModel(open_chosen(chosen, data, cache_folder(), ProgressPrinter(_console(False)), device))


class RecordedExperiment:
    """The results of an experiment as tables. It is read once: :func:`open` it again for what came since.

    Accuracies are percentages.

    Args:
        folder: of the experiment.
        criterion: what chooses trials; None: the experiment's own.
        everything: trials of former plans, too.

    Raises:
        transfer_sweep.UserError: see :func:`open`.
    """

    def __init__(self, folder: Path, criterion: str | None = None, everything: bool = False) -> None:
        from transfer_sweep.reports import results
        from transfer_sweep.reports.ledger.ledger import FILE

        self.folder = folder
        self._ledger, self._everything = folder / FILE, everything
        self._results: Results = results.read(self._ledger, criterion, everything)

    @property
    def name(self) -> str:
        """The experiment's."""
        return self._results.name

    @property
    def criterion(self) -> str:
        """What chose the trials of :attr:`choices`."""
        return self._results.criterion

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a trial, in the order of the plan.

        Columns: ``id``, ``method``, ``source``, ``target``, ``backbone``, ``training``, ``few`` (target labels in
        words), ``params`` (a dict), ``seed``, ``role`` (``search``, ``confirm`` or ``control``), ``state``,
        ``budget`` (epochs of a whole run), ``epoch`` (the last one reported), ``target_accuracy`` then and
        ``best_accuracy`` over all epochs, ``seconds``, one column for each criterion that some trial recorded, and
        ``error`` (a traceback). What was not reported is missing (NaN).
        """
        from transfer_sweep.reports.selection import PER_TRIAL

        results = self._results
        planned, reported = results.every_trial, results.and_controls(results.candidates).set_index("id")
        criteria = [name for name in PER_TRIAL if name in reported and reported[name].notna().any()]
        measured = reported[["epoch", "target_accuracy", "best_accuracy", "seconds", *criteria]]
        identity = [
            "id",
            "method",
            "source",
            "target",
            "backbone",
            "training",
            "few",
            "params",
            "seed",
            "role",
            "state",
        ]
        trials = planned[[*identity, "budget"]].join(measured, on="id").assign(error=planned["error"])
        return trials.assign(params=[json.loads(text) for text in trials["params"]]).reset_index(drop=True)

    @cached_property
    def choices(self) -> pd.DataFrame:
        """The chosen trial of each cell (method × pair under one protocol), as the CSV of a report has them.

        Each cell has two rows: ``selection`` is the criterion, or ``oracle`` (the best target accuracy, for reporting
        only). ``target_accuracy_mean`` and ``_std`` are over ``seeds`` runs; ``params`` is a dict, ``trial`` an id of
        :attr:`trials`, ``paper`` the published number where there is one.
        """
        from transfer_sweep.reports.formats.data import COLUMNS

        records = self._results.records
        rows = records[[name for name in COLUMNS if name in records and name != "experiment"]]
        return rows.assign(params=[json.loads(text) for text in rows["params"]]).reset_index(drop=True)

    @cached_property
    def recommendations(self) -> pd.DataFrame:
        """For each pair the one trial over all methods that saw no target label, chosen without any unless they choose.

        Columns: ``source``, ``target``, ``method``, ``backbone``, ``params`` (a dict), ``how`` it was chosen (a text),
        ``score``, ``agreement`` (percent of target samples on which the other methods' choices say the same),
        ``expected_regret`` and ``expected_regret_at_most`` (in points, known without labels; nine in ten pairs stay
        below it; NaN unless ``auto`` chose, or what is the same for the methods that ran),
        ``accuracy`` and ``regret`` to the best trial of any method (in points; NaN without labels, and where they
        chose), ``collapsed`` (whether it predicts at most half of the classes), ``cell`` (for :meth:`load_model`) and
        ``trial``.
        """
        import pandas as pd

        from transfer_sweep.reports.recommendation import recommend

        columns = (
            "source",
            "target",
            "method",
            "backbone",
            "params",
            "how",
            "score",
            "agreement",
            "expected_regret",
            "expected_regret_at_most",
            "accuracy",
            "regret",
        )
        rows = [
            (
                *pair,
                each.cell.method,
                each.cell.protocol.backbone,
                dict(each.trial.params),
                each.how,
                each.score,
                each.agreement,
                *each.expected,
                each.accuracy,
                each.regret,
                each.collapsed,
                f"{each.cell.name}@{each.cell.protocol.backbone}",
                each.trial.id,
            )
            for pair, each in recommend(self._results).items()
        ]
        return pd.DataFrame(rows, columns=[*columns, "collapsed", "cell", "trial"])

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of the report, by their captions; numbers where a cell stands for one, else its text."""
        from transfer_sweep.reports import report

        found: dict[str, pd.DataFrame] = {}
        for table in _tables_of(report.blocks(self._results)):
            caption, number = table.caption, 1
            while caption in found:
                number += 1
                caption = f"{table.caption} ({number})"
            found[caption] = _as_frame(table)
        return found

    def report(self, form: str = "md") -> str:
        """The report as one text.

        Args:
            form: ``md``, ``html``, ``tex``, ``csv`` or ``json``.

        Raises:
            ValueError: there is no such form.
        """
        from transfer_sweep.reports import report
        from transfer_sweep.reports.formats import Format

        return report.render([self._ledger], Format(form), self.criterion, self._everything)

    def load_model(self, cell: str | None = None, *, pair: str | None = None) -> LoadedModel:
        """A cell's model, see :func:`load_model`; its files need the plug-ins that this was opened with."""
        return load_model(self.folder, cell, pair=pair, plugins=())

    def __repr__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in sorted(self._results.states.items()))
        return f"<{self.name}: {len(self._results.trials)} trials ({states}), chosen by {self.criterion}>"


class LoadedModel:
    """A trained model, with all it takes to turn a picture or a vector into a class.

    Args:
        model: as its file has it.
    """

    def __init__(self, model: SavedModel) -> None:
        self._model = model

    @property
    def cell(self) -> str:
        """``method:source-target``."""
        return self._model.trial.cell.name

    @property
    def params(self) -> dict[str, Any]:
        """The method's hyperparameters."""
        return dict(self._model.trial.params)

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self._model.classes)

    @property
    def takes(self) -> str:
        """``pictures`` or ``vectors``."""
        return self._model.takes

    def predict(self, inputs: Inputs) -> pd.DataFrame:
        """Classify pictures, or rows of tables, of the target domain.

        Args:
            inputs: a path or several, of files or folders, as the command ``predict`` takes them: pictures, or tables
                of vectors (``.csv``, ``.parquet``, ``.npz``). Or arrays: pictures (n, h, w) grey or (n, h, w, 3) in
                colour, uint8, or several of different sizes; for a model of vectors, (n, m) numbers as the data set has
                them.

        Returns:
            One row an input: ``label``, ``confidence`` (softmax of the logits, 0 to 1), and the runners-up ``label_2``,
            ``confidence_2``, ``label_3``, ``confidence_3``. Of paths also ``path``, of tables ``row``, and ``error``:
            why a file has no label.

        Raises:
            transfer_sweep.UserError: there are no inputs, or arrays of another form; one line.
        """
        import pandas as pd

        from transfer_sweep.sweep.trial.predictions import Answer

        tabular = self._model.takes == "vectors"
        paths = _paths(inputs)
        if paths is not None:
            rows = [answer.values(tabular) for answer in self._of_files(paths)]
            return pd.DataFrame(rows, columns=Answer.columns(tabular))
        answers = self._of_arrays(inputs)
        frame = pd.DataFrame([answer.values(False) for answer in answers], columns=Answer.columns(False))
        return frame.drop(columns=["path", "error"])

    def _of_files(self, paths: Sequence[Path]) -> list[Answer]:
        from transfer_sweep.datasets.images import pictures
        from transfer_sweep.datasets.io import tables
        from transfer_sweep.sweep.progress.live_view import ProgressPrinter
        from transfer_sweep.sweep.trial import predictions

        tabular = self._model.takes == "vectors"
        listing = predictions.listed(paths, tables.SUFFIXES if tabular else pictures.SUFFIXES)
        if not listing.files and not listing.unreadable:
            raise SweepError(f"there are no {'tables' if tabular else 'pictures'} to predict")
        return list(predictions.answers(self._model, listing, ProgressPrinter(_console(False))))

    def _of_arrays(self, inputs: Any) -> list[Answer]:
        import numpy as np

        from transfer_sweep.sweep.trial import predictions

        if not len(inputs):
            raise SweepError(f"there are no {self._model.takes} to predict")
        if self._model.takes == "vectors":
            samples = self._vectors(np.asarray(inputs))
        else:
            samples = np.stack([self._picture(np.asarray(each), number) for number, each in enumerate(inputs)])
        names = list(map(str, range(len(samples))))
        return list(predictions.of_logits(names, self._model.logits(samples), self._model.classes))

    def _vectors(self, vectors: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        width = self._model.file.input_shape[0]
        if vectors.ndim != 2 or vectors.shape[1] != width or not np.issubdtype(vectors.dtype, np.number):
            raise SweepError(f"{self.cell} takes numbers (n, {width}), not {vectors.dtype} {vectors.shape}")
        whole = np.isfinite(vectors).all(axis=1)
        if not whole.all():
            raise SweepError(f"row {int(np.argmin(whole))} holds a number that is not finite")
        return self._model.standardised(vectors)

    def _picture(self, picture: NDArray[Any], number: int) -> NDArray[Any]:
        import numpy as np
        from PIL import Image

        from transfer_sweep.datasets.base import DataError
        from transfer_sweep.datasets.images import pictures

        is_picture = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (3, 4))
        if picture.dtype != np.uint8 or not is_picture or not picture.size:
            raise SweepError(
                f"{self.cell} takes pictures (n, h, w) or (n, h, w, 3) of uint8; number {number} is {picture.dtype} "
                f"{picture.shape}"
            )
        try:
            return self._model.sample(pictures.in_colour(Image.fromarray(picture)).image)
        except DataError as error:
            raise SweepError(f"picture {number}: {error}") from None

    def __repr__(self) -> str:
        return f"<model of {self.cell}: {self.takes} to {len(self.classes)} classes>"


def _paths(inputs: Inputs) -> list[Path] | None:
    """What is to be read; None of arrays."""
    if isinstance(inputs, str | os.PathLike):
        return [Path(inputs)]
    if not isinstance(inputs, Sequence):
        return None
    paths = [Path(each) for each in inputs if isinstance(each, str | os.PathLike)]
    return paths if len(paths) == len(inputs) else None


def _use_plugins(files: Sequence[str | os.PathLike[str]] | None) -> None:
    if files is None:
        files = [file for file in os.environ.get("SWEEP_PLUGINS", "").split(os.pathsep) if file]
    plugin_files.use(map(Path, files))


def _results_folder(results: str | os.PathLike[str] | None) -> Path:
    return Path(os.environ.get("SWEEP_RESULTS") or "results") if results is None else Path(results)


def _written(experiment: Mapping[str, Any], results: Path) -> str:
    """The file of an experiment that is given as a mapping.

    Raises:
        SweepError: it has no name that a folder can have, or values that no file can hold.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from transfer_sweep.reports.ledger.artefacts import write_whole
    from transfer_sweep.sweep.config.loader import with_absolute_paths

    name = experiment.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        raise SweepError(f"an experiment that is no file needs a 'name' of letters, digits and _.- (it is {name!r})")
    file = results / name / f"{name}.yaml"
    plain = {key: _plain(value) for key, value in experiment.items() if key != "name"}
    content = with_absolute_paths(plain, Path())  # those of a file are relative to it
    yaml = YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    try:
        write_whole(file, lambda part: yaml.dump(content, part))
    except YAMLError as error:
        raise SweepError(f"{name}: a file cannot hold this: {' '.join(str(error).split())}") from None
    return str(file)


def _plain(value: Any) -> Any:
    """A value as YAML has it: paths as absolute ones, since a file may be read from another folder."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value.absolute()) if isinstance(value, Path) else value


def _arguments(name: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """The same run as the command line would have it, for the record; options that are None or false are left out."""
    words = ["run", name]
    for option, given in options.items():
        if isinstance(given, bool):
            words += [option] if given else []
        elif given is not None:
            several = given if isinstance(given, list | tuple) else [given]
            words += [word for each in several for word in (option, str(each))]
    return tuple(words)


def _console(quiet: bool) -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, quiet=quiet, force_jupyter=False)


def _tables_of(blocks: Iterable[Block]) -> Iterator[Table]:
    from transfer_sweep.reports.document.elements import Fold, Table, Variants

    for block in blocks:
        if isinstance(block, Fold):
            yield from _tables_of(block.blocks)
        elif isinstance(block, Variants):
            yield from block.on_paper()
        elif isinstance(block, Table):
            yield block


def _as_frame(table: Table) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([[_value(cell) for cell in row] for row in table.rows], columns=list(table.headers))


def _value(cell: Cell | str) -> float | str:
    if isinstance(cell, str):
        return cell
    return cell.text if cell.value != cell.value else cell.value
