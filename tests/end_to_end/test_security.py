"""What others on the machine, and files from elsewhere, can do: nothing."""

import pickle
import stat
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from tests.support.malicious import Malicious
from tests.support.whole_run import run
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger import artefacts as kept
from transfer_sweep.sweep.engine import cluster


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_rays_token_is_for_this_user_alone_from_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    token = tmp_path / ".ray" / "auth_token"
    cluster._protect_token(create=False)  # joining a cluster, one brings the cluster's token or none
    assert not token.exists()
    cluster._protect_token(create=True)
    assert _mode(token) == 0o600
    assert _mode(token.parent) == 0o700
    assert len(bytes.fromhex(token.read_text())) == 32
    assert list(token.parent.iterdir()) == [token]


def test_a_token_that_is_there_is_kept_and_closed_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("a" * 64)
    token.chmod(0o644)
    cluster._protect_token(create=True)
    assert token.read_text() == "a" * 64
    assert _mode(token) == 0o600


@pytest.mark.ray
@pytest.mark.slow
def test_the_dashboard_is_on_loopback_and_the_token_is_not_shown(tmp_path: Path) -> None:
    done = run(tmp_path, "--dashboard", "--only", "method=nearest_neighbor", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    token = tmp_path / ".ray" / "auth_token"
    assert _mode(token) == 0o600
    assert "Ray dashboard: http://127.0.0.1:" in done.stderr
    assert token.read_text() not in done.stderr + done.stdout


def test_nothing_in_a_results_folder_is_unpickled(tmp_path: Path) -> None:
    """Neither a pickle under an artefact's name, nor one inside an archive of arrays."""
    bomb, victim = tmp_path / "bomb.npz", tmp_path / "victim"
    objects = np.array([Malicious(victim)], dtype=object)
    names = [field.name for field in fields(kept.Features)]
    np.savez(bomb, allow_pickle=True, **dict.fromkeys(names, objects))
    for content in (bomb.read_bytes(), pickle.dumps(Malicious(victim))):
        bomb.write_bytes(content)
        assert kept.read(bomb) is None
        assert selection.stored_logits(str(bomb)) is None
    assert not victim.exists()
    pickle.loads(bomb.read_bytes())  # it would have done
    assert victim.exists()
