"""How far a source's lane is applied: one sequence number says exactly what is old, new and missing."""

from __future__ import annotations

from typing import NamedTuple


class Mark(NamedTuple):
    """A numbered lane: sequence numbers run from 0 in each life (`epoch`) of a source, per lane and partition."""

    source: int
    epoch: int
    critical: bool

    @property
    def field(self) -> str:
        """Field of the hashes `Keys.watermark` (value: next sequence number expected) and `Keys.resend`."""
        return f"{self.source:08x}:{self.epoch:08x}:{'c' if self.critical else 'b'}"

    @property
    def floor_field(self) -> str:
        """Field of `Keys.resend`: the oldest sequence number the source can still send."""
        return f"{self.field}:floor"


def mark_of(field: bytes) -> Mark:
    """The lane of a field of `Keys.watermark`."""
    source, epoch, lane = field.decode().split(":")
    return Mark(int(source, 16), int(epoch, 16), lane == "c")
