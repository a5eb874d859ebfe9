"""Runs the benchmarks of a clone in processes of their own, for `fantasy bench`."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from flows.errors import BenchmarkFailed, BenchmarkUnavailable, CannotKeepReport

FOLDER: Final = Path(__file__).resolve().parents[1] / "benchmarks"
#: Time a stopped benchmark has to end the servers it started.
STOP_S: Final = 60.0
#: Lines of a failed benchmark's last words that are told.
LAST_LINES: Final = 6


@dataclass(frozen=True, slots=True)
class Measured:
    """A benchmark's report; `complaint` is why it ended badly all the same, None when it did not."""

    report: dict[str, Any]
    complaint: str | None = None


def script(name: str) -> Path:
    """The benchmark `bench_{name}.py`; raises `BenchmarkUnavailable` where there is none."""
    path = FOLDER / f"bench_{name}.py"
    if not path.is_file():
        raise BenchmarkUnavailable(
            f"bench {name}: {path} is not there; benchmarks come with a clone of the repository, not with the "
            "installed package: clone it, run `make setup` and use its .venv/bin/fantasy"
        )
    return path


def needs_compiler(name: str) -> None:
    """Raise `BenchmarkUnavailable` when there is no C compiler for the load client."""
    if shutil.which("gcc") is None and shutil.which("cc") is None:
        raise BenchmarkUnavailable(
            f"bench {name}: no C compiler found for its load client; install gcc "
            "(Debian: apt-get install gcc libc6-dev)"
        )


def measure(
    name: str,
    options: Sequence[object],
    *,
    out: Path | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> Measured:
    """Run `bench_{name}.py OPTIONS`; what it says on stderr goes to `on_line`, line by line.

    The report is kept in `out` where that is given. Raises `BenchmarkUnavailable` without the script,
    `CannotKeepReport` before anything is measured, and `BenchmarkFailed` when it ends without a report.
    """
    path = script(name)
    if out is not None:
        _can_write(out)
    with tempfile.TemporaryDirectory(prefix="fantasy-bench-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, str(path), *map(str, options), "--json", "--out", str(report)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace",
        )  # fmt: skip
        try:
            last = _follow(process.stderr, on_line)
            code = process.wait()
        finally:
            _stop(process)
        said = "\n".join(last) or "it said nothing"
        if not report.is_file():
            raise BenchmarkFailed(f"bench {name} ended with {code} and no report: {said}")
        found = report.read_text(encoding="utf-8")
        if out is not None:
            out.write_text(found, encoding="utf-8")
        return Measured(
            json.loads(found), f"bench {name} ended with {code}: {last[-1] if last else said}" if code else None
        )


def _can_write(out: Path) -> None:
    """Make the folder of `out`, and nothing else; raises `CannotKeepReport` where no file can be written there."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        known = out.exists()
        with out.open("a", encoding="utf-8"):
            pass
        if not known:
            out.unlink()
    except OSError as error:
        raise CannotKeepReport(
            f"--out {out}: {error.strerror}; name a file in a folder you may write to"
        ) from error


def _follow(lines: IO[str] | None, on_line: Callable[[str], None]) -> deque[str]:
    """Tell every line; returns the last ones."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    for line in lines or ():
        if text := line.strip():
            last.append(text)
            on_line(text)
    return last


def _stop(process: subprocess.Popen[str]) -> None:
    """End it as Ctrl-C would, so that it stops what it started."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stderr is not None:
        process.stderr.close()
