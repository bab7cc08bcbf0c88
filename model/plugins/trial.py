"""Trying a chain out before anything depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..effects.board import Board
from .chain import find_idle, probe_signal
from .chain_spec import ChainSpec
from .isolate import IsolatedChain, open_chain


@dataclass(frozen=True)
class ChainReport:
    """What is known of a chain that was tried out."""

    latency_samples: int
    idle: tuple[str, ...]
    """Plug-ins that change nothing with these settings."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, as sentences."""
        return tuple(f"{title} changes nothing with these settings" for title in self.idle)


def validate(
    spec: ChainSpec,
    sample_rate: float,
    channels: int,
    *,
    folders: Sequence[Path] = (),
    load_timeout_s: float = 30.0,
    process_timeout_s: float = 20.0,
) -> ChainReport:
    """Try a chain out before anything depends on it: find, load, set, run, and hear whether it does anything.

    Plug-in files run in a child process with a time limit. Raises PluginError and its kinds, for
    everything that a render with this chain would stumble over later.
    """
    chain = open_chain(
        spec.located(folders),
        sample_rate,
        channels,
        load_timeout_s=load_timeout_s,
        process_timeout_s=process_timeout_s,
    )
    try:
        signal = probe_signal(sample_rate, channels)
        third = signal.shape[1] // 3
        for cut in (signal[:, :third], signal[:, third : third + 1], signal[:, third + 1 :]):
            chain.process_planar(cut, sample_rate, reset=False)
        chain.flush()
        if isinstance(chain, IsolatedChain):
            return ChainReport(chain.reported_latency_samples, chain.find_idle())
        assert isinstance(chain, Board)
        return ChainReport(chain.reported_latency_samples, find_idle(chain, sample_rate, channels))
    finally:
        if isinstance(chain, IsolatedChain):
            chain.close()
