"""Atomic file replacement: a reader, or a crash, meets the old content or the new one, never a mixture."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import polars as pl

from features.errors import StoreUnavailable


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, then rename it over `path`.

    Raises `StoreUnavailable` when that fails; `path` is then as it was and the temporary file is gone.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
        try:
            write(temporary)
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)  # without it the rename itself may be lost with the power
        finally:
            temporary.unlink(missing_ok=True)


def replace_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Replace `path` by `frame` as Parquet; `StoreUnavailable` like `replace_file`."""
    replace_file(path, lambda target: frame.write_parquet(target, compression="zstd", compression_level=1))


def remove_leftovers(path: Path) -> None:
    """Delete temporary files that killed writers of `path` left; only its lock holder may call this."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell errors of the file system (polars has its own for a full disk) as `StoreUnavailable` naming `path`."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreUnavailable(
            f"{path} cannot be written ({error}); free disk space or mend permissions, then try again"
        ) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
