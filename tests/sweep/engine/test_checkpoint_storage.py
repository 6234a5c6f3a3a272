"""Storage: a folder, or what fsspec knows; here its memory."""

from pathlib import Path

import pytest

from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.sweep.engine.checkpoint_storage import Storage, open_storage
from transfer_sweep.sweep.errors import SweepError

SAVED = "checkpoints/pass-0/one"


@pytest.fixture(params=["folder", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    address = str(tmp_path) if request.param == "folder" else f"memory://bucket/{tmp_path.name}"
    storage = Storage.of(address, "digits")
    assert storage.is_folder == (request.param == "folder")
    for name in ("checkpoint_000000", "checkpoint_000001"):
        folder = f"{storage.root}/{SAVED}/{name}"
        storage.filesystem.create_dir(folder)
        with storage.filesystem.open_output_stream(f"{folder}/state.pt") as file:
            file.write(name.encode())
    return storage


def test_a_checkpoint_is_fetched_with_the_one_before_it(storage: Storage) -> None:
    newest = storage.folders(SAVED)[-1]
    assert newest == f"{SAVED}/checkpoint_000001"
    assert storage.relative(f"{storage.root}/{newest}") == newest
    with storage.fetched(newest) as folder:
        assert (folder / "state.pt").read_text() == "checkpoint_000001"
        assert [path.name for path in sorted(folder.parent.iterdir())] == ["checkpoint_000000", "checkpoint_000001"]


def test_what_was_removed_is_not_there(storage: Storage) -> None:
    storage.remove("checkpoints/pass-0")
    storage.remove("checkpoints/pass-0")
    assert storage.folders("checkpoints") == []
    with storage.fetched(f"{SAVED}/checkpoint_000001") as folder:
        assert not folder.exists()


def test_a_marker_is_seen_while_it_lasts(storage: Storage) -> None:
    def there(path: str) -> bool:
        return bool(storage.filesystem.get_file_info(path).is_file)

    with storage.marked() as marker:
        assert there(marker)
    assert not there(marker)


@pytest.mark.parametrize("address", ["nosuch://bucket", "/proc/nowhere"])
def test_an_address_of_no_use_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(SweepError, match=f"--storage {address} cannot be used: .*fsspec") as refused:
        Storage.of(address, "digits")
    assert "\n" not in str(refused.value)


def test_ledgers_that_share_a_storage_have_folders_of_their_own_and_find_them_again(tmp_path: Path) -> None:
    def opened(results: str, storage: str | None) -> Storage:
        with Ledger(tmp_path / results / "digits" / "ledger.sqlite", write=True) as ledger:
            return open_storage(ledger, storage, tmp_path / results, "digits", print)

    shared = str(tmp_path / "shared")
    one, other = opened("one", shared), opened("other", shared)
    assert Path(one.root).parent == Path(other.root).parent == Path(shared)
    assert one.root != other.root
    assert opened("one", None) == opened("one", shared) == one
    assert opened("none", None).root == str(tmp_path / "none" / "digits")
