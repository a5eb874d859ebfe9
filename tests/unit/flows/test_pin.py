"""The raw archive is pinned by content, whoever was killed while doing so before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from features.errors import NotMaterialized
from flows.pin import PinFailed, pin_archive


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with a raw archive of two files, a ledger and a lock."""
    raw = tmp_path / "nba" / "raw"
    for season in (2023, 2024):
        folder = raw / "games" / f"season={season}"
        folder.mkdir(parents=True)
        pl.DataFrame({"game_id": ["1", "2"], "season": [season, season]}).write_parquet(folder / "a.parquet")
    (raw / "ledger.sqlite").write_bytes(b"first")
    (raw / ".lock").touch()
    return tmp_path / "nba"


def dead_pid() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_hash_follows_content_not_ledger_and_survives_a_killed_pin(workspace: Path) -> None:
    first = pin_archive(workspace)
    (workspace / "raw" / "ledger.sqlite").write_bytes(b"second, of no interest to a model")
    rwlock = workspace / ".dvc" / "tmp" / "rwlock"
    holder = {"pid": os.getpid(), "cmd": "dvc add raw"}
    rwlock.write_text(json.dumps({str(workspace / "raw"): {"write": holder, "read": []}}))
    (workspace / ".dvc" / "tmp" / "lock").write_text(f" {dead_pid()}\n")
    assert pin_archive(workspace) == first
    rwlock.write_text("{cut sho")
    (workspace / "raw" / "games" / "season=2024" / "b.parquet").write_bytes(b"another batch")
    changed = pin_archive(workspace)
    assert changed != first
    (workspace / "raw" / "games" / "season=2024" / "b.parquet").unlink()
    assert pin_archive(workspace) == first


def test_two_pins_at_once_both_succeed(workspace: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        hashes = list(pool.map(pin_archive, [workspace, workspace]))
    assert hashes[0] == hashes[1]


def test_a_set_up_that_was_killed_is_done_again(workspace: Path) -> None:
    (workspace / ".dvc" / "tmp").mkdir(parents=True)
    (workspace / ".dvc" / "config").write_text("[core]\n    no_s")
    assert len(pin_archive(workspace)) > 30


def test_nothing_collected_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(NotMaterialized, match="fantasy collect"):
        pin_archive(tmp_path)


def test_what_dvc_refuses_is_told_in_its_words(workspace: Path) -> None:
    pin_archive(workspace)
    (workspace / "raw.dvc").write_text("outs: {not a list")
    with pytest.raises(PinFailed, match=r"raw\.dvc"):
        pin_archive(workspace)
