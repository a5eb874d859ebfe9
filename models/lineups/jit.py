"""One way to compile: cached on disk, and without the GIL so that a server can solve in a thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at the first call; the types stay those of the Python function."""
    return cast(Function, njit(cache=True, nogil=True)(function))
