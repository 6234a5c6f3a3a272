"""Methods, data sets, criteria and backbones from elsewhere: from installed packages, and from single files.

A package offers them by entry points, a file is named by whoever runs (``--plugin``). The registries of the four kinds
ask here for what there is besides their own. This module imports nothing of ours, so that each of them can.

A file is imported under one name, made of its own and a digest of its text, wherever it is: processes on other nodes
get the text (:class:`Bundle`), and what is pickled by that name is found there.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import transfer_sweep
from transfer_sweep import UserError

transfer_sweep.refuse_bare(__name__)

GROUP = "transfer_sweep"
"""Entry points are of the groups ``transfer_sweep.methods``, ``.datasets``, ``.criteria`` and ``.backbones``."""

PACKAGE = "transfer_sweep_plugins"
"""Where the modules of files are, under names such as ``transfer_sweep_plugins.toy_0123456789ab``."""


class Kind(Enum):
    """What a plug-in may define: its word, the class that it is of, and what it cannot do without."""

    METHODS = ("method", "transfer_sweep.algorithms.base.Algorithm", ("source", "family"))
    DATASETS = ("data set", "transfer_sweep.datasets.base.Dataset", ("source", "raw_backbone"))
    CRITERIA = ("criterion", "transfer_sweep.reports.criteria.base.Criterion", ("text", "needs", "cost"))
    BACKBONES = ("backbone", "transfer_sweep.algorithms.networks.backbones.Backbone", ("dim", "trunk"))

    def __init__(self, word: str, base: str, wanted: tuple[str, ...]) -> None:
        self.word, self.base, self.wanted = word, base, wanted

    @property
    def group(self) -> str:
        """Of entry points."""
        return f"{GROUP}.{self.name.lower()}"


class PluginError(UserError, RuntimeError):
    """A plug-in that cannot be used. Its text is one line for the user."""


class PluginWarning(UserWarning):
    """A plug-in that was left out. Its text is one line for the user."""


class UnknownNameError(UserError, KeyError):
    """A name of a method, data set, criterion or backbone that there is not. Its text is one line for the user."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError shows it in quotes


def unknown(kind: Kind, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error of a name that there is not.

    Args:
        kind: of what.
        name: that was asked for; perhaps that of a plug-in which was used when it was recorded.
        known: the names that there are.
    """
    return UnknownNameError(
        f"there is no {kind.word} {name!r} (there are: {', '.join(known)}): where a plug-in has it, name that with "
        "--plugin"
    )


@dataclass(frozen=True)
class Plugin:
    """One thing of a plug-in.

    Attributes:
        kind: what it is.
        name: by which experiments know it.
        value: its class; of a backbone, what is known of it.
        origin: the file's name; of an installed package, the module that the entry point names.
        module: that defines it.
    """

    kind: Kind
    name: str
    value: Any
    origin: str
    module: str


@dataclass(frozen=True)
class _File:
    """A file in use.

    Attributes:
        path: where it was read; a node that got its text may have none there.
        text: its source.
        plugins: what it defines.
    """

    path: Path
    text: str
    plugins: tuple[Plugin, ...]

    @property
    def digest(self) -> str:
        return digest(self.text)


@dataclass
class _State:
    """What this process uses.

    Attributes:
        files: by the file's name.
        left_out: origin → why it is.
        found: of each kind that was asked for, by name.
        listeners: called when files change.
    """

    files: dict[str, _File] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    found: dict[Kind, dict[str, Plugin]] = field(default_factory=dict)
    listeners: list[Callable[[], object]] = field(default_factory=list)

    def changed(self) -> None:
        self.found.clear()
        for listener in self.listeners:
            listener()


_state = _State()


def digest(text: str) -> str:
    """Of a source text: 12 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def use(files: Iterable[Path]) -> None:
    """Use the plug-ins of these files, besides those in use; a file that was edited takes the place of what it was.

    A file that cannot be imported, or that defines nothing, is left out with a :class:`PluginWarning`.

    Args:
        files: one Python file each. It may import what is installed, but no file beside it.

    Raises:
        PluginError: there is no such file, or two of one name.
    """
    for path in files:
        title = path.name
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text in UTF-8"
            raise PluginError(f"plug-in {path} cannot be read: {reason}") from None
        known = _state.files.get(title)
        if known is not None and known.path != path.resolve():
            if known.text == text:
                continue
            raise PluginError(f"two plug-ins are named {title} ({known.path} and {path}): rename one")
        _put(title, path.resolve(), text)


def found(kind: Kind, built_in: Collection[str]) -> Mapping[str, Plugin]:
    """The plug-ins of a kind, by name. Entry points of the kind are loaded when it is first asked for.

    What is broken, or bears the name of a built-in one, is left out with a :class:`PluginWarning`.

    Args:
        kind: which.
        built_in: the names that are taken.
    """
    if kind not in _state.found:
        sound = _state.found[kind] = {}  # there already for a module that asks while it is being loaded
        for plugin in _offered(kind):
            holder = "a built-in one" if plugin.name in built_in else None
            if plugin.name in sound:
                holder = f"one of {sound[plugin.name].origin}"
            if holder is None:
                sound[plugin.name] = plugin
            else:
                _leave_out(plugin.origin, f"its {kind.word} {plugin.name!r} has the name of {holder}: rename it")
    return _state.found[kind]


def left_out() -> Mapping[str, str]:
    """Origin → why it, or a part of it, is left out; of all that this process has tried."""
    return dict(_state.left_out)


def in_use() -> list[Plugin]:
    """What this process has loaded: all that files define, and what packages offer of the kinds that were asked for."""
    of_files = [plugin for file in _state.files.values() for plugin in file.plugins]
    found = (plugin for sound in _state.found.values() for plugin in sound.values())
    return [*of_files, *(plugin for plugin in found if plugin.origin not in _state.files)]


def sources() -> dict[str, str]:
    """Origin → source text of every plug-in that this process has loaded."""
    return {plugin.origin: source_of(sys.modules[plugin.module]) for plugin in in_use()}


def source_of(module: ModuleType) -> str:
    """The source text of a loaded module; empty where it has none, as one in C."""
    loader = module.__spec__.loader if module.__spec__ is not None else None
    return (loader.get_source(module.__name__) or "") if isinstance(loader, importlib.abc.InspectLoader) else ""


def on_change(listener: Callable[[], object]) -> None:
    """Have something called whenever the files in use change: who has cached what there was, forgets it."""
    _state.listeners.append(listener)


@dataclass(frozen=True)
class Bundle:
    """The plug-ins in use, to be sent to other processes: as soon as it is unpickled there, they use them, too.

    Attributes:
        files: name, text and digest of each file in use.
        packages: module → digest of what was loaded of installed packages, which every node has to have itself.
    """

    files: tuple[tuple[str, str, str], ...]
    packages: tuple[tuple[str, str], ...]

    @classmethod
    def in_use(cls) -> Bundle:
        """What this process uses."""
        texts = sources()
        return cls(
            tuple((title, file.text, file.digest) for title, file in _state.files.items()),
            tuple((origin, digest(texts[origin])) for origin in sorted(texts.keys() - _state.files.keys())),
        )

    def __reduce__(self) -> tuple[Callable[..., Bundle], tuple[Any, ...]]:
        return _received, (self.files, self.packages)

    def check(self) -> None:
        """Whether this process has the same plug-ins.

        Raises:
            PluginError: one is missing or broken here, or is another.
        """
        for title, _, wanted in self.files:
            file = _state.files.get(title)
            if file is None:
                raise PluginError(f"plug-in {title} cannot be used on this node: {_state.left_out.get(title, 'lost')}")
            if file.digest != wanted:
                raise PluginError(f"plug-in {title} came here damaged (digest {file.digest}, sent {wanted})")
        here = sources() if self.packages else {}
        for origin, wanted in self.packages:
            if origin in here and digest(here[origin]) != wanted:
                raise PluginError(
                    f"plug-in {origin} is another on this node (digest {digest(here[origin])}, on the driver's "
                    f"{wanted}): install the same on all"
                )


def _received(files: tuple[tuple[str, str, str], ...], packages: tuple[tuple[str, str], ...]) -> Bundle:
    """A bundle that was unpickled: its files are in use, and no others."""
    for title in _state.files.keys() - {title for title, _, _ in files}:
        del _state.files[title]
        _state.changed()
    for title, text, _ in files:
        known = _state.files.get(title)
        if known is None or known.text != text:
            _put(title, Path(title), text)
    return Bundle(files, packages)


def _put(title: str, path: Path, text: str) -> None:
    """Use a file; leave it out where it is broken."""
    known = _state.files.pop(title, None)
    _state.left_out.pop(title, None)
    if known is not None and known.text == text:
        _state.files[title] = known
        return
    try:
        module = _imported(title, path, text)
        plugins = tuple(_defined(module, title))
        if not plugins:
            raise PluginError("it defines no method, data set, criterion or backbone")
        _state.files[title] = _File(path, text, plugins)
    except (Exception, SystemExit) as error:
        _leave_out(title, _reason(error))
    _state.changed()


class _TextLoader(importlib.abc.ExecutionLoader):
    """Makes a module of a text, wherever its file is: tracebacks show the lines."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._text = path, text

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_source(self, fullname: str) -> str:
        return self._text


def _imported(title: str, path: Path, text: str) -> ModuleType:
    """The module of a file. The same text under the same name is imported once."""
    if PACKAGE not in sys.modules:
        package = ModuleType(PACKAGE, "Modules of the files that plug-ins are in.")
        package.__path__ = []
        sys.modules[PACKAGE] = package
    name = f"{PACKAGE}.{re.sub(r'[^0-9a-zA-Z_]', '_', Path(title).stem)}_{digest(text)}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.machinery.ModuleSpec(name, _TextLoader(path, text), origin=str(path))
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        assert spec.loader is not None
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _defined(module: ModuleType, origin: str) -> Iterator[Plugin]:
    """What a file defines: its classes that bear a name, and its variables that hold a backbone.

    Raises:
        PluginError: one of them is not whole.
    """
    for variable, value in vars(module).items():
        if variable.startswith("_"):
            continue
        for kind in Kind:
            if kind is Kind.BACKBONES:
                own, name = _is_a(kind, type(value)), variable
            else:
                own = isinstance(value, type) and _is_a(kind, value) and value.__module__ == module.__name__
                own, name = own and "name" in vars(value), getattr(value, "name", "")
            if own:
                _check(kind, name, value)
                yield Plugin(kind, name, value, origin, module.__name__)


def _offered(kind: Kind) -> Iterator[Plugin]:
    """The plug-ins of a kind: of the files in use, then of installed packages."""
    for file in list(_state.files.values()):
        yield from (plugin for plugin in file.plugins if plugin.kind is kind)
    for entry in sorted(metadata.entry_points(group=kind.group), key=lambda each: each.name):
        try:
            value = entry.load()
            _check(kind, entry.name, value)
        except (Exception, SystemExit) as error:
            _leave_out(entry.value, _reason(error))
        else:
            yield Plugin(kind, entry.name, value, entry.module, entry.module)


def _is_a(kind: Kind, cls: type) -> bool:
    """Whether a class is of a kind. By names: to know the classes, we would have to import all of them."""
    return any(f"{base.__module__}.{base.__qualname__}" == kind.base for base in cls.__mro__)


def _check(kind: Kind, name: str, value: Any) -> None:
    """Refuse what is no whole thing of its kind."""
    cls = type(value) if kind is Kind.BACKBONES else value
    if not isinstance(cls, type) or not _is_a(kind, cls):
        raise PluginError(f"its {kind.word} {name!r} is none: {kind.base} is the class to build on")
    if kind is not Kind.BACKBONES and vars(cls).get("name") != name:
        raise PluginError(f"its {kind.word} {name!r} has to have name = {name!r}")
    lacking = [
        *sorted(getattr(cls, "__abstractmethods__", ())),
        *(each for each in kind.wanted if not hasattr(value, each)),
    ]
    if lacking:
        raise PluginError(f"its {kind.word} {name!r} lacks {', '.join(lacking)}")


def _reason(error: BaseException) -> str:
    """Why something cannot be imported, in one line."""
    if isinstance(error, PluginError):
        return str(error)
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    return " ".join(f"{type(error).__name__}: {error}".split())


def _leave_out(origin: str, why: str) -> None:
    _state.left_out[origin] = why
    warnings.warn(f"plug-in {origin} is left out: {why}", PluginWarning, stacklevel=2)
