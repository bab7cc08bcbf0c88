"""Running a network: on which device, in which precision, with how many threads, in how much memory.

torch's sums depend on how many threads share them, so every thread that runs a network here runs its
operators alone; several segments at once take their place. That is also faster: nothing waits for the
slowest part of each operator.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..checkpoint import CheckpointHeader, load_network
from ..dsp.stft import Spectra
from ..networks.folding import fold_batch_norm
from ..networks.spectral_network import SpectralNetwork
from ..networks.streaming import open_stream
from .network_workers import STEP, Warn
from .torch_runner import out_of_memory

_one_at_a_time = threading.Lock()


def use_one_thread() -> None:
    """Let torch run its operators on the calling thread alone, and leave all other threads as they are.

    The number of threads belongs to the thread that sets it (OpenMP, MKL), but torch also remembers it for
    threads that come to it later: those get back what this one would have had.
    """
    with _one_at_a_time:
        usual = torch.get_num_threads()  # asking makes torch set this thread up as any other
        torch.set_num_threads(1)
        restoring = threading.Thread(target=torch.set_num_threads, args=(usual,))
        restoring.start()
        restoring.join()


@lru_cache(maxsize=4)
def _loaded(path: str, identity: str, device: str) -> SpectralNetwork:
    """Songs one after another, and the channel pairs of one, share a network."""
    network = load_network(path, device, identity=identity)
    fold_batch_norm(network)
    return network


class NetworkRunner:
    """One network on one device, made to take numpy spectra with any 1 or 2 channels.

    A network that sees two channels is given a single one twice, and the mean of its answers is taken; one
    that sees one channel is given each alone. May be called from several threads.
    """

    def __init__(
        self,
        load: Callable[[str], SpectralNetwork],
        *,
        device: str = "cpu",
        precision: str = "float32",
        context_times: int = 0,
        warn: Warn,
    ) -> None:
        """Take the network on a device from `load(device)`; when memory runs out, once more on the CPU."""
        self.device = device
        self._load = load
        self._bfloat16 = precision == "bfloat16"
        self._context = context_times
        self.warn = warn
        self.network = load(device)
        self._seen = self.network.config.channels
        self._lock = threading.Lock()

    @classmethod
    def of(
        cls, header: CheckpointHeader, *, device: str, precision: str, context_times: int, warn: Warn
    ) -> NetworkRunner:
        """A runner of a checkpoint. Raises what `load_network` raises."""

        def load(where: str) -> SpectralNetwork:
            return _loaded(str(header.path), header.identity, where)

        return cls(load, device=device, precision=precision, context_times=context_times, warn=warn)

    def segment(self, spectra: Spectra) -> Spectra:
        """Estimate the stems of a segment, without the context at its ends.

        Shape: `(channels, times, bins)` -> `(stems, channels, times - 2 * context_times, bins)`. Raises
        MemoryError when there is too little memory even on the CPU.
        """
        while True:
            network, device = self.network, self.device
            try:
                with self.running(device):
                    estimates = network(self.given(spectra, device))
                    kept = estimates[:, :, :, self._context : spectra.shape[1] - self._context]
                    return self.answered(kept, spectra.shape[0])
            except RuntimeError as error:
                self.retreat(device, error)

    def stream(self, channels: int) -> RunningStream:
        """Begin a stream through a network that can be run as one."""
        return RunningStream(self, channels)

    @contextmanager
    def running(self, device: str) -> Iterator[None]:
        """What holds while the network runs."""
        kind = torch.device(device).type
        with torch.inference_mode(), torch.autocast(kind, dtype=torch.bfloat16, enabled=self._bfloat16):
            yield

    def batch(self, channels: int) -> int:
        """How many examples a stream of so many channels is for the network."""
        return channels if self._seen == 1 else 1

    def given(self, spectra: Spectra, device: str) -> Tensor:
        """As the network takes it, in memory of torch's own alignment. Shape `(b, c, t, f)`."""
        mix = torch.from_numpy(np.ascontiguousarray(spectra)).clone().to(device)
        if self._seen == 1:
            return mix.unsqueeze(1)  # each channel an example of its own
        return mix.expand(self._seen, -1, -1).contiguous().unsqueeze(0)

    def answered(self, estimates: Tensor, channels: int) -> Spectra:
        """As the stream takes it. Shape `(b, s, c, t, f)` -> `(s, channels, t, f)`."""
        if self._seen == 1:
            answer = estimates.squeeze(2).transpose(0, 1)
        elif channels == 1:
            answer = estimates[0].mean(dim=1, keepdim=True)
        else:
            answer = estimates[0]
        return answer.to(torch.complex64).contiguous().cpu().numpy()

    def retreat(self, device: str, error: RuntimeError) -> None:
        """Go on on the CPU after an error on a device, where that helps; else raise."""
        # What torch has not for a device is a NotImplementedError, which is a RuntimeError.
        able = not isinstance(error, NotImplementedError)
        if able and not out_of_memory(error):
            raise error
        with self._lock:
            if self.device != device:
                return  # another thread was here first
            if device == "cpu":
                if not able:
                    raise error
                raise MemoryError(
                    "too little memory to run the network: give it a shorter segment"
                ) from error
            self.warn(
                f"{device} {'has too little memory' if able else 'cannot run this network'}: the CPU goes on"
            )
            self.network, self.device = self._load("cpu"), "cpu"
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


class RunningStream:
    """A stream on its way through a network, and from device to device."""

    def __init__(self, runner: NetworkRunner, channels: int) -> None:
        self._runner = runner
        self._device = runner.device
        self._stream = open_stream(runner.network, runner.batch(channels))
        self._parts = 1

    def push(self, chunk: Spectra, end: int | None) -> Spectra:
        """Estimate the stems of the spectra `late_times` before the chunk; `end`: how many there are in all.

        Shape: `(channels, times, bins)` -> `(stems, channels, times, bins)`. Raises MemoryError when there is
        too little memory even on the CPU.
        """
        runner = self._runner
        if end is not None:
            self._stream.end_at(end)
        done: list[Spectra] = []
        at = 0
        while at < chunk.shape[1]:
            if self._device != runner.device:
                self._device, self._stream = runner.device, self._stream.moved(runner.network)
            each = -(-chunk.shape[1] // (self._parts * STEP)) * STEP
            try:
                with runner.running(self._device):
                    estimates = self._stream.push(runner.given(chunk[:, at : at + each], self._device))
                    done.append(runner.answered(estimates, chunk.shape[0]))
            except RuntimeError as error:
                self._retreat(error, divisible=each > STEP and chunk.shape[1] > STEP)
            else:
                at += each
        return done[0] if len(done) == 1 else np.concatenate(done, axis=2)

    def _retreat(self, error: RuntimeError, divisible: bool) -> None:
        """Smaller parts, which change nothing, then the CPU."""
        if divisible and out_of_memory(error):
            self._parts *= 2
            self._runner.warn(f"{self._device} has too little memory: chunks are run in {self._parts} parts")
        else:
            self._runner.retreat(self._device, error)
