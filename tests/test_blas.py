"""OpenBLAS on one thread while asked to, and as before afterwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import peers
from stembridge.model.dsp.blas import blas_threads, one_thread


def test_the_setting_comes_back_after_the_last_user() -> None:
    before = blas_threads()
    if before is None:
        peers.missing("numpy comes with another BLAS than OpenBLAS")
    barrier = Barrier(3)

    def use(_: int) -> int | None:
        with one_thread():
            barrier.wait(timeout=60)
            inside = blas_threads()
            barrier.wait(timeout=60)
        return inside

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(use, range(3))) == [1, 1, 1]
    assert blas_threads() == before


def test_an_error_inside_brings_it_back_too() -> None:
    before = blas_threads()
    try:
        with one_thread():
            raise KeyError
    except KeyError:
        pass
    assert blas_threads() == before
