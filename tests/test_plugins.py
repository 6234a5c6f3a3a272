"""Methods, data sets, criteria and backbones of installed packages and of files."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray import cloudpickle

from transfer_sweep import UserError, plugins
from transfer_sweep.algorithms import registry as methods
from transfer_sweep.algorithms.deep.dann import DANN
from transfer_sweep.algorithms.networks.backbones import BACKBONES, BackboneError, build_backbone
from transfer_sweep.datasets import registry as datasets
from transfer_sweep.plugins import Bundle, Kind, PluginError, PluginWarning, digest, left_out, use
from transfer_sweep.reports import selection

pytestmark = pytest.mark.usefixtures("no_plugins_in_use")

ROOT = Path(__file__).resolve().parents[1]
TOY = Path(__file__).parent / "support" / "toy_plugin.py"

METHOD = """\
from transfer_sweep.algorithms.deep.dann import DANN

class Mine(DANN):
    name = "{name}"
    source = "{source}"
"""

Site = Callable[[str, str, str], None]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Installs a package in a folder of the search path: a module, its text, and the entry points of its metadata."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    modules: list[str] = []

    def install(module: str, text: str, entry_points: str) -> None:
        (folder / f"{module}.py").write_text(text)
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        modules.append(module)

    yield install
    for module in modules:
        sys.modules.pop(module, None)


def _file(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _warned(file: Path) -> str:
    """The one line with which a file is left out."""
    with pytest.warns(PluginWarning) as said:
        use([file])
        methods.names()
    (line,) = [str(each.message) for each in said]
    assert "\n" not in line
    return line


def test_one_file_brings_a_method_a_data_set_a_criterion_and_a_backbone() -> None:
    use([TOY])
    assert methods.names()["class_means"] == "shallow"
    assert methods.get("class_means").source == "a toy"
    assert datasets.get("blobs").domains == ("plain", "noisy")
    assert "blobs" in datasets.names()
    assert selection.CRITERIA["margin"] == "mean difference of the two largest probabilities"
    assert "margin" in selection.PER_TRIAL
    assert "margin" not in selection.ENSEMBLES
    assert BACKBONES["blocky"].dim == 48
    assert list(BACKBONES)[-1] == "blocky"
    assert len(list(build_backbone("blocky").parameters())) == 0


def test_what_no_plug_in_brings_is_unknown_in_one_line() -> None:
    with pytest.raises(KeyError, match="there is no method 'class_means'") as error:
        methods.get("class_means")
    assert isinstance(error.value, UserError)
    assert str(error.value).endswith("where a plug-in has it, name that with --plugin")
    with pytest.raises(KeyError, match="there is no data set 'blobs'"):
        datasets.get("blobs")
    with pytest.raises(BackboneError, match="unknown backbone 'blocky'"):
        build_backbone("blocky")


def test_a_file_is_imported_once_under_a_name_made_of_its_own_and_its_text(tmp_path: Path) -> None:
    path = _file(tmp_path, METHOD.format(name="mine", source="first"), "my-methods.py")
    use([path])
    first = methods.get("mine")
    assert first.__module__ == f"transfer_sweep_plugins.my_methods_{digest(path.read_text())}"
    use([path, path])
    assert methods.get("mine") is first
    assert issubclass(first, DANN)  # the one class of that name


def test_an_edited_file_takes_the_place_of_what_it_was(tmp_path: Path) -> None:
    use([_file(tmp_path, METHOD.format(name="mine", source="first"))])
    assert methods.get("mine").source == "first"
    use([_file(tmp_path, METHOD.format(name="other", source="second"))])
    assert methods.get("other").source == "second"
    assert "mine" not in methods.names()


def test_a_pickled_class_is_its_name_and_not_its_code() -> None:
    use([TOY])
    method = methods.get("class_means")
    for module in (pickle, cloudpickle):
        packed = module.dumps(method)
        assert len(packed) < 200
        assert module.loads(packed) is method


UNPICKLE = """
import pickle, sys
with open(sys.argv[1], "rb") as file:
    bundle, method = pickle.load(file)
bundle.check()
from transfer_sweep.algorithms import registry
from transfer_sweep.reports import selection
assert registry.get("class_means") is method
assert "margin" in selection.PER_TRIAL
print(method.__module__)
"""


def test_a_process_that_unpickles_the_bundle_has_the_plug_ins_without_their_file(tmp_path: Path) -> None:
    copied = tmp_path / "toy.py"
    copied.write_text(TOY.read_text())
    use([copied])
    packed = tmp_path / "packed"
    method = methods.get("class_means")
    packed.write_bytes(pickle.dumps((Bundle.in_use(), method)))
    copied.unlink()
    done = subprocess.run(
        [sys.executable, "-c", UNPICKLE, str(packed)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [method.__module__]


def test_a_bundle_takes_the_place_of_what_its_process_had(tmp_path: Path) -> None:
    use([_file(tmp_path, METHOD.format(name="mine", source="as sent"))])
    packed = pickle.dumps(Bundle.in_use())
    use([_file(tmp_path, METHOD.format(name="mine", source="edited")), TOY])
    pickle.loads(packed).check()
    assert methods.get("mine").source == "as sent"
    assert "class_means" not in methods.names()


def test_a_plug_in_that_cannot_be_imported_on_a_node_is_named_by_the_check(tmp_path: Path) -> None:
    use([_file(tmp_path, METHOD.format(name="mine", source="first"))])
    bundle = Bundle.in_use()
    there = Bundle((("mine.py", "import nothing_such", digest("import nothing_such")),), ())
    with pytest.warns(PluginWarning):
        received = pickle.loads(pickle.dumps(there))
    with pytest.raises(PluginError, match=r"mine\.py cannot be used on this node: ModuleNotFoundError.*nothing_such"):
        received.check()
    with pytest.raises(PluginError, match=r"mine\.py cannot be used on this node"):
        bundle.check()


def test_a_text_that_is_not_what_was_sent_is_refused(tmp_path: Path) -> None:
    use([_file(tmp_path, METHOD.format(name="mine", source="first"))])
    ((title, text, _),) = Bundle.in_use().files
    with pytest.raises(PluginError, match="came here damaged"):
        Bundle(((title, text, "0" * 12),), ()).check()


def test_another_version_of_an_installed_plug_in_is_refused_on_a_node(site: Site) -> None:
    site(
        "their_methods",
        METHOD.format(name="theirs", source="here"),
        "[transfer_sweep.methods]\ntheirs = their_methods:Mine\n",
    )
    assert methods.get("theirs").source == "here"
    bundle = Bundle.in_use()
    assert bundle.files == ()
    bundle.check()
    with pytest.raises(PluginError, match="their_methods is another on this node"):
        Bundle((), (("their_methods", digest("another")),)).check()


def test_an_installed_package_brings_them_by_entry_points(site: Site) -> None:
    entry_points = """\
[transfer_sweep.methods]
class_means = their_toys:ClassMeans

[transfer_sweep.datasets]
blobs = their_toys:Blobs

[transfer_sweep.criteria]
margin = their_toys:Margin

[transfer_sweep.backbones]
blocky = their_toys:blocky
"""
    site("their_toys", TOY.read_text(), entry_points)
    assert methods.get("class_means").__module__ == "their_toys"
    assert datasets.get("blobs").__module__ == "their_toys"
    assert BACKBONES["blocky"].dim == 48
    plugins._state.changed()  # criteria were looked up before the package was there
    assert "margin" in selection.CRITERIA


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ("import nothing_such", "broken:Mine", "ModuleNotFoundError: No module named 'nothing_such'"),
        ("x = 1", "broken:Mine", "AttributeError: module 'broken' has no attribute 'Mine'"),
        (
            "Mine = 1",
            "broken:Mine",
            "its method 'theirs' is none: transfer_sweep.algorithms.base.Algorithm is the class",
        ),
        (METHOD.format(name="another", source=""), "broken:Mine", "its method 'theirs' has to have name = 'theirs'"),
        ("raise SystemExit(3)", "broken:Mine", "SystemExit: 3"),
    ],
)
def test_a_broken_package_is_named_and_left_out(site: Site, text: str, value: str, why: str) -> None:
    site("broken", text, f"[transfer_sweep.methods]\ntheirs = {value}\n")
    with pytest.warns(PluginWarning, match="plug-in broken:Mine is left out") as said:
        names = methods.names()
    assert why in str(said[0].message)
    assert "theirs" not in names
    assert "dann" in names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def f(:\n", "SyntaxError: invalid syntax (line 1)"),
        ("\nimport nothing_such\n", "ModuleNotFoundError: No module named 'nothing_such'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1\n", "it defines no method, data set, criterion or backbone"),
        ("from transfer_sweep.algorithms.deep.dann import DANN\n", "it defines no method"),
        (METHOD.format(name="dann", source=""), "its method 'dann' has the name of a built-in one: rename it"),
        (
            "from transfer_sweep.datasets.base import Dataset\nclass D(Dataset):\n    name = 'd'\n    source = ''\n",
            "its data set 'd' lacks load, verify, raw_backbone",
        ),
    ],
)
def test_a_broken_file_is_named_with_its_reason_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    line = _warned(_file(tmp_path, text))
    assert line.startswith("plug-in mine.py is left out: ")
    assert why in line
    assert why in left_out()["mine.py"]
    assert "dann" in methods.names()
    assert methods.get("dann") is DANN


def test_a_file_that_was_mended_is_used(tmp_path: Path) -> None:
    _warned(_file(tmp_path, "def f(:\n"))
    use([_file(tmp_path, METHOD.format(name="mine", source="mended"))])
    assert methods.get("mine").source == "mended"
    assert left_out() == {}


def test_of_two_plug_ins_of_one_name_the_second_is_left_out(tmp_path: Path) -> None:
    use([_file(tmp_path, METHOD.format(name="mine", source="first"))])
    line = _warned(_file(tmp_path, METHOD.format(name="mine", source="second"), "other.py"))
    assert line == "plug-in other.py is left out: its method 'mine' has the name of one of mine.py: rename it"
    assert methods.get("mine").source == "first"


def test_what_else_a_file_defines_stays_where_one_name_is_taken(tmp_path: Path) -> None:
    text = METHOD.format(name="dann", source="") + "\nclass Other(DANN):\n    name = 'other'\n"
    assert "'dann' has the name of a built-in one" in _warned(_file(tmp_path, text))
    assert "other" in methods.names()


def test_a_file_that_is_not_there_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="cannot be read: No such file or directory"):
        use([tmp_path / "none.py"])
    (tmp_path / "other").mkdir()
    use([_file(tmp_path, METHOD.format(name="mine", source="first"))])
    with pytest.raises(PluginError, match=r"two plug-ins are named mine\.py"):
        use([_file(tmp_path / "other", METHOD.format(name="mine", source="second"))])


def test_nothing_is_said_where_all_is_well() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        use([TOY])
        for kind in Kind:
            plugins.found(kind, ())
