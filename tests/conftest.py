"""What holds for every test: numbers are what they are, whatever plug-in an earlier test has loaded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stembridge.model.platform import restore_float_environment


@pytest.fixture(autouse=True)
def _float_environment() -> Iterator[None]:
    restore_float_environment()
    yield
    restore_float_environment()
