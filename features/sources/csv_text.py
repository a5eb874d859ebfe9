"""Bytes of a CSV a person downloaded -> rows of cells, or a `SalaryFileError` saying what is wrong with them."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from features.errors import SalaryFileError

#: The largest real export is under 0.2 MB; anything near this is not a salary file.
MAX_BYTES: Final = 10_000_000
MAX_ROWS: Final = 50_000
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAGIC: Final[dict[bytes, str]] = {
    b"PK\x03\x04": "an Excel workbook or zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
}


@dataclass(frozen=True, slots=True)
class CsvText:
    """Rows of a CSV with the line each ended on; `origin` names the file in messages."""

    origin: str
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]


def read_csv_text(
    source: Path | str | bytes,
    *,
    max_bytes: int = MAX_BYTES,
    max_rows: int = MAX_ROWS,
    what: str = "the salary file",
) -> CsvText:
    """Decode and split a CSV (UTF-8, UTF-16 with a byte-order mark, or Windows-1252; any line ending).

    `what` names bytes in messages; cells are stripped. Raises `SalaryFileError` when it cannot be read, is larger
    than `max_bytes`, is binary, or ends inside a quoted cell.
    """
    origin = what if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else read_limited(Path(source), max_bytes)
    if len(data) > max_bytes:
        raise SalaryFileError(_too_large(origin, len(data), max_bytes))
    if not data.strip():
        raise SalaryFileError(f"{origin} is empty; download it again from the site")
    text = decode(data, origin).replace("\r\n", "\n").replace("\r", "\n")
    return _split(text, origin, max_rows)


def decode(data: bytes, origin: str) -> str:
    """Text of `data`. Raises `SalaryFileError` when it is binary or in no encoding these files come in."""
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            raise SalaryFileError(f"{origin} is {kind}, not a CSV; export or unpack it as CSV first")
    if data.startswith(_UTF16):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise SalaryFileError(f"{origin} starts as UTF-16 text but breaks at byte {error.start}") from error
    if b"\x00" in data:
        raise SalaryFileError(
            f"{origin} is binary (it holds NUL bytes), not a CSV; download it again from the site"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = _windows_text(data, origin, error.start)
    broken = next((c for c in text if ord(c) < 32 and c not in "\t\r\n"), None)
    if broken is not None:
        raise SalaryFileError(
            f"{origin} holds the control character {broken!r}, so it is not text; download it again"
        )
    return text


def _windows_text(data: bytes, origin: str, start: int) -> str:
    """Windows-1252 text, accepted only when what is not ASCII reads as letters (real exports: 'Groß', 'Muñoz')."""
    fix = f"{origin} is not UTF-8 (byte {start}) and reads as no other known encoding; save it as UTF-8 CSV"
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise SalaryFileError(fix) from error
    foreign = [c for c in text if ord(c) > 127]
    letters = sum(c.isalpha() or c in "’‘–" for c in foreign)
    if letters < 0.9 * len(foreign) or len(foreign) > 0.2 * len(text):
        raise SalaryFileError(fix)
    return text


def read_limited(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Bytes of a file, a pipe too, and never more than `max_bytes`. Raises `SalaryFileError`."""
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise SalaryFileError(_too_large(str(path), size, max_bytes))
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise SalaryFileError(f"{path} cannot be read: {error.strerror or error}; check the path") from error
    if len(data) > max_bytes:  # a pipe or a device does not tell its size
        raise SalaryFileError(
            f"{path} goes on after {max_bytes / 1e6:.0f} MB, the limit; real exports stay under 1 MB: check the path"
        )
    return data


def _too_large(origin: str, size: int, max_bytes: int) -> str:
    return (
        f"{origin} has {size / 1e6:.1f} MB; the limit is {max_bytes / 1e6:.0f} MB "
        "and real exports stay under 1 MB: check that it is the right file"
    )


def _split(text: str, origin: str, max_rows: int) -> CsvText:
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        for row in reader:
            rows.append(tuple(cell.strip() for cell in row))
            lines.append(reader.line_num)
            if len(rows) > max_rows:
                raise SalaryFileError(f"{origin} has more than {max_rows} rows; check that it is the right file")
    except csv.Error as error:
        raise SalaryFileError(
            f"{origin} is not a complete CSV at line {reader.line_num}: {error}; "
            "it may be cut off: download it again"
        ) from error
    return CsvText(origin, tuple(rows), tuple(lines))
