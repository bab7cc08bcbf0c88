"""Matrix products on the caller's thread only.

numpy's wheels bring OpenBLAS, which splits every larger product over a thread of its own per core; between
products those threads spin and take the cores from whoever else needs them (measured: twice the CPU time).
Whoever has threads already turns that off while it multiplies.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

_lock = threading.Lock()
_users = 0
_before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let OpenBLAS use one thread per call within the block; where it is not OpenBLAS, change nothing.

    The setting belongs to the process: it comes back when the last of several users has left.
    """
    global _users, _before
    library = _openblas()
    if library is None:
        yield
        return
    with _lock:
        if _users == 0:
            _before = blas_threads() or 1
            library.scipy_openblas_set_num_threads64_(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                library.scipy_openblas_set_num_threads64_(_before)


def blas_threads() -> int | None:
    """How many threads numpy's OpenBLAS would use; None where numpy came with another BLAS."""
    library = _openblas()
    return int(library.scipy_openblas_get_num_threads64_()) if library else None


@cache
def _openblas() -> ctypes.CDLL | None:
    """The OpenBLAS inside numpy's wheel, which is loaded already; opening it again is a look-up."""
    for path in sorted((Path(np.__file__).parents[1] / "numpy.libs").glob("libscipy_openblas64_*")):
        library = ctypes.CDLL(str(path))
        if hasattr(library, "scipy_openblas_set_num_threads64_"):
            return library
    return None
