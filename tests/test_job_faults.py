"""A real bridge and its worker, killed at random moments: nothing is lost, nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import faults
import pytest


@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=pytest.mark.soak)])
def test_kills_lose_no_job_and_leave_nothing_behind(tmp_path: Path, kills: int) -> None:
    found = faults.run(tmp_path, kills, seed=kills)
    assert sum(found.kills.values()) == kills
    assert all(found.kills.values())
    assert found.accepted > 0
    assert (found.unended, found.half, found.orphans, found.failed) == ([], [], [], [])
    assert found.done == found.jobs
