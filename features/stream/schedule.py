"""Asks the kernel to let a thread of little work run soon: short time slices, which need no privilege.

Linux from 6.12 on (EEVDF) wakes the thread with the shorter slice first and lets it interrupt one with a longer slice.
A thread's share of the CPU stays what it is. Elsewhere nothing is changed.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys
from typing import Final

SLICE_NS: Final = 100_000  # the least that the kernel takes
#: struct sched_attr, first version (48 bytes): size, policy, flags, nice, priority, runtime, deadline, period.
_ATTR: Final = struct.Struct("=IIQiIQQQ")
_SCHED_OTHER: Final = 0
#: Numbers of the system calls sched_setattr and sched_getattr, which libc has no functions for.
_CALLS: Final = {"x86_64": (314, 315), "aarch64": (274, 275)}


def short_slices(slice_ns: int = SLICE_NS) -> bool:
    """Short slices for the calling thread and those it starts; False where the kernel has none, or for a thread that
    was given another policy (`chrt`)."""
    attr = _ask()
    if attr is None:
        return False
    size, policy, flags, nice, priority, *_ = attr
    if policy != _SCHED_OTHER:
        return False
    _call(0, _ATTR.pack(size, policy, flags, nice, priority, slice_ns, 0, 0), 0)
    return slice_of_thread_ns() == slice_ns


def slice_of_thread_ns() -> int | None:
    """Slice of the calling thread, None where it cannot be asked."""
    attr = _ask()
    return None if attr is None else int(attr[5])


def _ask() -> tuple[int, ...] | None:
    found = _call(1, bytes(_ATTR.size), _ATTR.size, 0)
    return None if found is None else _ATTR.unpack(found)


def _call(which: int, attr: bytes, *rest: int) -> bytes | None:
    """sched_setattr (0) or sched_getattr (1) of the calling thread; None when there is none, or it refuses."""
    numbers = _CALLS.get(platform.machine())
    if sys.platform != "linux" or numbers is None:
        return None
    buffer = ctypes.create_string_buffer(attr, _ATTR.size)
    return None if ctypes.CDLL(None).syscall(numbers[which], 0, buffer, *rest) else buffer.raw
