"""Pins the raw archive with DVC, so that every model can name the exact data it saw."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from prefect import task
from prefect.cache_policies import NO_CACHE

from features.errors import FantasyError, NotMaterialized
from features.params import read_params
from flows.progress import step
from flows.spec import LineSpec
from models.lifecycle import Lineage

REPOSITORY: Final = Path(__file__).resolve().parent.parent
CONFIG: Final = """\
[core]
    no_scm = true
    analytics = false
    check_update = false
[cache]
    type = "reflink,hardlink,copy"
"""
#: Written last, so that a set-up cut short is done again.
READY: Final = Path(".dvc") / "set-up"


class PinFailed(FantasyError):
    """DVC could not record the raw archive."""

    retryable = True


@task(retries=2, retry_delay_seconds=5, cache_policy=NO_CACHE)
def pin(spec: LineSpec) -> Lineage:
    """Record the raw archive in the workspace's own DVC repository; return data, code and parameter hashes.

    The workspace is not under git, so DVC runs without it (`dvc init --no-scm`); its cache keeps every
    version of the archive by content.
    """
    with step("pin data") as shown:
        lineage = Lineage(git_sha=git_sha(), data_hash=pin_archive(spec.workspace.root), params_hash=params_hash())
        shown.summary = f"data {lineage.data_hash[:12]}, code {lineage.git_sha[:12]}"
    return lineage


def pin_archive(root: Path) -> str:
    """Run `dvc add raw` in `root` and return the hash DVC gave it.

    A pin that finds another under way waits for it. Raises `NotMaterialized` when nothing was collected,
    `PinFailed` with DVC's words when DVC fails.
    """
    if not (root / "raw").is_dir():
        raise NotMaterialized(f"no raw archive in {root}: run `fantasy collect` first")
    with _alone(root):
        # Whoever wrote this was killed: a live pin would hold our own lock.
        (root / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
        if not (root / READY).is_file():
            _dvc(root, "init", "--no-scm", "--force", "--quiet")
            (root / ".dvc" / "config").write_text(CONFIG, encoding="utf-8")
            (root / ".dvcignore").write_text("raw/ledger.*\n**/.lock\n**/*.tmp\n", encoding="utf-8")
            (root / READY).touch()
        _dvc(root, "add", "raw")
        pinned: dict[str, Any] = yaml.safe_load((root / "raw.dvc").read_text(encoding="utf-8"))
    return str(pinned["outs"][0]["md5"])


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One pin of a workspace at a time; the kernel frees the lock of a killed process."""
    with (root / ".pin.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def git_sha() -> str:
    """Return the commit of the code, with `-dirty` when files differ from it; `unknown` outside git."""
    head = _git("rev-parse", "HEAD")
    if head is None:
        return "unknown"
    return head + ("-dirty" if _git("status", "--porcelain") else "")


def params_hash() -> str:
    """Return a short hash of the experiment parameters in use."""
    canonical = json.dumps(read_params(), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _git(*words: str) -> str | None:
    done = subprocess.run(["git", "-C", str(REPOSITORY), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _dvc(root: Path, *words: str) -> None:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "true"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=root,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        raise PinFailed(f"dvc {' '.join(words)} failed in {root}: {done.stderr.strip() or done.stdout.strip()}")
