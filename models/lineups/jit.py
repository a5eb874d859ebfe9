"""Two ways to compile: both cached on disk, and without the GIL so that a server can solve in a thread.

Compiled code holds copies of the functions it calls and of the constants it names. numba's cache looks at a function's
own file only, so after a change elsewhere it would go on with the old copies: here it looks at all compiled modules.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at the first call; the types stay those of the Python function."""
    return cast(Function, _restamped(njit(cache=True, nogil=True)(function)))


def inner(function: Function) -> Function:
    """Compile for compiled callers alone: without the wrappers that Python would need, which cost half the time."""
    # numba's stubs do not know the two options.
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Function, _restamped(njit(cache=True, nogil=True, **options)(function)))


def _restamped(dispatcher: Any) -> Any:
    # numba has no public way to say what else a cached function depends on.
    dispatcher._cache._cache_file._source_stamp = sources_stamp()
    return dispatcher


@cache
def sources_stamp() -> str:
    """A digest of every module of the package that is compiled or laid out for compiled code."""
    digest = blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        text = path.read_bytes()
        if b"lineups.jit" in text or path.name in {"arrays.py", "jit.py"}:
            digest.update(text)
    return digest.hexdigest()
