"""The audio device, through PortAudio: opened by name, lost, found again, its gaps counted.

pedalboard's own AudioStream is not used here: it plays gaps as silence without counting them, cannot send
stems to outputs of their own, and does not tell its latency.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stembridge.model.errors import StembridgeError
from stembridge.model.platform import hurry

Floats = NDArray[np.float32]
Render = Callable[[int, "Floats | None", float], Floats]
"""Takes frames, the input `(channels, frames)` if there is one, and the time (`time.monotonic`) at which the
first of them will be heard; returns `(channels, frames)`."""


SERVED_S = 0.1
"""What a sound server is asked to hold where sound goes in and out."""


class DeviceError(StembridgeError, OSError):
    """A device that is not there, or cannot do what is asked."""

    code = "device_lost"


@dataclass(frozen=True)
class DeviceSpec:
    """Which device, and how."""

    output: str | None = None
    """A name or part of it, or a number; None: the system's own."""
    input: str | None = None
    channels: int = 2
    input_channels: int = 0
    sample_rate: int = 44100
    buffer_frames: int = 512
    latency_s: float | None = None
    """How much the system may hold; None: little, as for playing by hand.

    There and back through PulseAudio or PipeWire (by way of ALSA) that is 0.1 s: with less they stutter when
    the machine is busy, and are silent for a second each time.
    """


@dataclass(frozen=True)
class DeviceInfo:
    """One device that there is."""

    index: int
    name: str
    host: str
    outputs: int
    inputs: int
    sample_rate: float
    is_default: bool


def list_devices() -> list[DeviceInfo]:
    """All devices. Raises DeviceError where PortAudio is not installed."""
    sounddevice = _portaudio()
    hosts = sounddevice.query_hostapis()
    default = sounddevice.default.device[1]
    return [
        DeviceInfo(
            index, device["name"], hosts[device["hostapi"]]["name"], device["max_output_channels"],
            device["max_input_channels"], device["default_samplerate"], index == default,
        )
        for index, device in enumerate(sounddevice.query_devices())
    ]  # fmt: skip


def input_facts(name: str | None) -> tuple[int, int]:
    """The rate a device's input runs at by itself, and how many channels it has. Raises DeviceError."""
    sounddevice = _portaudio()
    try:
        device = sounddevice.query_devices(_number(name), "input")
    except (sounddevice.PortAudioError, ValueError) as error:
        raise DeviceError(
            f"there is no audio input {name or 'of the system'}: {_reason(error)}; "
            "`stembridge devices` lists them all"
        ) from error
    return round(device["default_samplerate"]), int(device["max_input_channels"])


class Device:
    """An open device that asks for sound from a thread of its own."""

    def __init__(self, spec: DeviceSpec, render: Render) -> None:
        """Open and start. Raises DeviceError."""
        self.spec = spec
        self._render = render
        self.underruns = 0
        """How often the system had nothing to play, or lost what it heard, because we were late."""
        # What polls such a server hardly sleeps: ahead of other work it would be ahead of the server, too.
        self._hurried = is_served(spec.output)
        self.failed: Exception | None = None
        """What the callback died of; nothing is heard any more then."""
        self.called = time.monotonic()
        """When the device last asked."""
        sounddevice = _portaudio()
        self._stop = sounddevice.CallbackAbort
        latency: Any = _latency(spec)
        common = {
            "samplerate": spec.sample_rate, "blocksize": spec.buffer_frames, "dtype": "float32",
            "latency": latency, "finished_callback": self._finished,
        }  # fmt: skip
        self.finished = False
        try:
            if spec.input_channels:
                self._stream = sounddevice.Stream(
                    device=(_number(spec.input), _number(spec.output)),
                    channels=(spec.input_channels, spec.channels),
                    callback=self._both,
                    **common,
                )
            else:
                self._stream = sounddevice.OutputStream(
                    device=_number(spec.output), channels=spec.channels, callback=self._out, **common
                )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise DeviceError(
                f"the audio device {spec.output or 'of the system'} cannot be opened with {spec.channels} "
                f"channels at {spec.sample_rate} Hz: {_reason(error)}; `stembridge devices` lists them all"
            ) from error
        self.name = str(sounddevice.query_devices(self._output_index())["name"])

    @property
    def latency_s(self) -> float:
        """From handing a frame over to hearing it, as the system says."""
        latency = self._stream.latency
        return float(latency[1] if isinstance(latency, tuple) else latency)

    @property
    def input_latency_s(self) -> float:
        """From hearing a frame to being handed it; 0 without an input."""
        latency = self._stream.latency
        return float(latency[0]) if isinstance(latency, tuple) else 0.0

    @property
    def lost(self) -> bool:
        """Whether the device has gone, or has stopped asking."""
        quiet = time.monotonic() - self.called > max(
            2.0, 20 * self.spec.buffer_frames / self.spec.sample_rate
        )
        return self.finished or quiet

    def close(self) -> None:
        """Stop asking and let go. Twice is fine; what is still in the device is dropped."""
        with contextlib.suppress(Exception):
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)

    def _output_index(self) -> int:
        device = self._stream.device
        return int(device[1] if isinstance(device, tuple) else device)

    def _out(self, out: Floats, frames: int, when: Any, status: Any) -> None:
        self._both(None, out, frames, when, status)

    def _both(self, heard: Floats | None, out: Floats, frames: int, when: Any, status: Any) -> None:
        if not self._hurried:
            self._hurried = True
            hurry()
        now = self.called = time.monotonic()
        if status.output_underflow or status.input_overflow:
            self.underruns += 1
        delay = when.outputBufferDacTime - when.currentTime
        if not 0.0 < delay < 5.0:  # some hosts do not say
            delay = self.latency_s
        try:
            audio = self._render(frames, None if heard is None else heard.T, now + delay)
            out[:] = audio.T
        except Exception as error:
            out[:] = 0.0
            self.failed = error
            raise self._stop from error

    def _finished(self) -> None:
        self.finished = True


def refresh() -> None:
    """Look for devices again: PortAudio does so only when it starts."""
    sounddevice = _portaudio()
    with contextlib.suppress(Exception):
        sounddevice._terminate()
    with _quiet():
        sounddevice._initialize()


def is_served(output: str | None) -> bool:
    """Whether a device leads by way of ALSA to PulseAudio or PipeWire: sound then comes in bursts."""
    sounddevice = _portaudio()
    with contextlib.suppress(sounddevice.PortAudioError, ValueError):
        device = sounddevice.query_devices(_number(output), "output")
        host = sounddevice.query_hostapis(device["hostapi"])["name"]
        return bool(host == "ALSA" and "hw:" not in device["name"])
    return False


def _latency(spec: DeviceSpec) -> float | str:
    if spec.latency_s is not None:
        return spec.latency_s
    return SERVED_S if spec.input_channels and is_served(spec.output) else "low"


def _number(name: str | None) -> int | str | None:
    return int(name) if name is not None and name.isdigit() else name


def _reason(error: Exception) -> str:
    texts = [str(part) for part in error.args if isinstance(part, str)]
    return texts[0] if texts else str(error)


def _portaudio() -> Any:
    try:
        with _quiet():
            import sounddevice
    except (ImportError, OSError) as error:
        raise DeviceError(
            "playing needs PortAudio: `pip install stembridge[live]`, "
            "and on Debian `apt install libportaudio2`"
        ) from error
    return sounddevice


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep ALSA and JACK from writing about every device that is not there."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
