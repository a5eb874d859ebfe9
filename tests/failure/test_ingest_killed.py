"""A collect that is killed, or that runs out of disk, is made good by the next one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from features.ingest import IngestCounts, collect
from features.sources.archive import ArchiveSource
from features.stores.offline import OfflineStore
from features.workspace import Workspace
from tests.fixtures import tiny_league
from tests.fixtures.tiny_league import AFTER_EVERYTHING

#: Collects into argv[2] and dies by SIGKILL at the argv[3]-th file operation that makes a step durable: before
#: each rename (raw, table, filter) and before each directory flush, which follows a rename.
KILLED_COLLECT = """
import os, signal, sys
from pathlib import Path
from features.ingest import collect
from features.sources.archive import ArchiveSource
from features.workspace import Workspace
from tests.fixtures.tiny_league import AFTER_EVERYTHING

data, home, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

def count(event, args):
    global left
    durable = event == "os.rename" or (event == "open" and isinstance(args[0], (str, os.PathLike))
                                       and str(args[0]).startswith(str(home)) and os.path.isdir(args[0]))
    if durable:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
collect(ArchiveSource(data), Workspace(home, "nba"), as_of=AFTER_EVERYTHING, seasons=None)
"""


def again(data: Path, home: Path) -> IngestCounts:
    return collect(ArchiveSource(data), Workspace(home, "nba"), as_of=AFTER_EVERYTHING, seasons=None)


def contents(home: Path) -> tuple[pl.DataFrame, list[str]]:
    """The stored games, and the names of every Parquet file, temporary ones included."""
    files = sorted(str(path.relative_to(home)) for path in home.rglob("*") if "parquet" in path.name)
    return OfflineStore(Workspace(home, "nba")).read("games"), files


def test_a_collect_killed_at_any_step_is_completed_by_the_next(tmp_path: Path, repository: Path) -> None:
    data = tiny_league.write(tmp_path / "data", 2024, with_pbp=False)
    (data / "nba/box/season=2024.parquet").unlink()
    again(data, tmp_path / "clean")
    table, files = contents(tmp_path / "clean")
    outcomes: list[tuple[int, int, int, int]] = []
    for operation in range(1, 30):
        home = tmp_path / f"home{operation}"
        command = [sys.executable, "-c", KILLED_COLLECT, str(data), str(home), str(operation)]
        code = subprocess.run(command, cwd=repository, capture_output=True, timeout=120).returncode
        if code == 0:
            break
        assert code == -signal.SIGKILL
        counts = again(data, home)
        outcomes.append((counts.new, counts.changed, counts.duplicate, counts.failed))
        stored, names = contents(home)
        assert_frame_equal(stored, table)
        assert names == files
        assert again(data, home).seen == 0
    # Three files (raw, table, filter), each with a rename and a flush; the ledger commits before the third.
    assert outcomes == [(4, 0, 0, 0)] * 4 + [(0, 0, 0, 0)] * 2


FULL_DISK_COLLECT = """
import resource, signal, sys
from pathlib import Path
from features import ingest
from features.sources.archive import ArchiveSource
from features.workspace import Workspace
from tests.fixtures.tiny_league import AFTER_EVERYTHING

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
ingest.WRITE_ATTEMPTS = 2
source, workspace = ArchiveSource(Path(sys.argv[1])), Workspace(Path(sys.argv[2]), "nba")
counts = ingest.collect(source, workspace, as_of=AFTER_EVERYTHING, seasons=None)
print(counts.new, counts.failed)
"""


def test_a_full_disk_marks_nothing_as_seen(tmp_path: Path, repository: Path) -> None:
    """No file may grow past 400 kB: the games fit, the box lines (names of random letters) do not."""
    data = tiny_league.write(tmp_path / "data", 2024, count=600, with_pbp=False)
    path = data / "nba/box/season=2024.parquet"
    letters = random.Random(1)
    box = pl.read_parquet(path)
    names = [letters.randbytes(400).hex() for _ in range(box.height)]
    box.with_columns(player_name=pl.Series(names)).write_parquet(path)
    home = tmp_path / "home"
    command = [sys.executable, "-c", FULL_DISK_COLLECT, str(data), str(home)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["600", "600"], done.stderr
    store = OfflineStore(Workspace(home, "nba"))
    assert store.seasons("box") == []
    assert list(home.rglob("*.tmp")) == []
    counts = again(data, home)
    assert (counts.new, counts.duplicate, counts.failed) == (600, 0, 0)
    assert store.read("box").height == box.height
