"""The player: the device, the faders, the transport, and whatever happens to them while it sounds.

If the streamer dies, the player reads the plain song itself, fades to it, starts another streamer and fades
back. The device's callback waits for nobody: what others want of it arrives as single assignments.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from stembridge.model.automation import automation_text
from stembridge.model.errors import StateError, StembridgeError
from stembridge.model.mixer import MixerState

from ..fader_laws import fader_law
from .deck import Deck, DeckSong, Seek
from .device import SERVED_S, Device, DeviceError, DeviceSpec, input_facts, is_served, refresh
from .dry import DrySource
from .following import LEAD_S, Clock, Following
from .live_deck import LiveDeck, LiveLine, delay_of, input_layout
from .outputs import Outputs
from .ring import BLOCK, Ring
from .streamer_process import StreamerProcess
from .wire import Line

if TYPE_CHECKING:
    from .mix_chain import MixChain

log = logging.getLogger(__name__)

_POSITION_S = 0.1
_PRIME_S = 0.2
_UNSTEADY_LEAD_S = 2.0
_DEVICE_AGAIN_S = 1.0
_STREAMER_AGAIN_S = 0.5


@dataclass
class _Wanted:
    """What has been asked for, apart from what is already so."""

    request: dict[str, Any] = field(default_factory=dict)
    """The `load` line of the song on the deck."""
    key: str = ""
    playing: bool = False
    frame: int = 0
    loop: tuple[int, int] = (0, 0)
    state: MixerState = field(default_factory=MixerState)


class Player:
    """Everything but the sockets."""

    def __init__(self, settings: dict[str, Any], tell: Any) -> None:
        self._tell = tell
        """Tells control a line, if there is a control."""
        self._law = fader_law(settings.get("fader_law", "ardour"))
        self._spec = DeviceSpec(**settings.get("device", {}))
        self._own_rate = settings.get("sample_rate")
        self._outputs = Outputs.from_text(settings.get("outputs", {}))
        self._folder = Path(tempfile.mkdtemp(prefix="stembridge-play-"))
        self._lock = threading.RLock()
        self._deck: Deck | None = None
        self._device: Device | None = None
        self._device_state = "off"
        self._wanted = _Wanted()
        self._epoch = 0
        self._dry: DrySource | None = None
        self._underruns = 0
        self._told_underruns = 0
        self._overloads = 0
        self._told_overloads = 0
        self._meters: list[tuple[str, float, float]] | None = None
        self._rings = 0
        self._recording = True
        self._priming = 0
        self._following: Following | None = None
        self._lead_s = LEAD_S
        self._heard_at = (0, 0.0)
        """A frame, and when it is heard."""
        self._closing = threading.Event()
        self._streamer_ended: int | None = None
        self._streamer = StreamerProcess(self._folder, self._answered, self._streamer_died)

    def start(self) -> None:
        """Start the streamer, and look after everything from a thread of its own."""
        self._streamer.start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def take(self, line: Line) -> None:
        """Do what control says. What cannot be done is told, never raised."""
        try:
            with self._lock:
                self._do(line)
        except StembridgeError as error:
            self._problem(error.code, str(error))
        except (KeyError, TypeError, ValueError) as error:
            self._problem("internal", f"{line.get('do')}: {type(error).__name__}: {error}")

    def state(self) -> Line:
        """How everything stands."""
        with self._lock:
            deck, device = self._deck, self._device
            rate = deck.song.sample_rate if deck else 1
            state = "empty" if not self._wanted.key else "loading" if deck is None else "stopped"
            if deck is not None and self._wanted.playing and not deck.ended:
                state = "live" if isinstance(deck, LiveDeck) else "playing"
            mixer = deck.mixer.state if deck is not None else self._wanted.state
            return {
                "is": "state", "state": state, "key": self._wanted.key,
                "position_s": max(deck.audible if deck else 0, 0) / rate,
                "length_s": (deck.song.frames if deck else 0) / rate,
                "stems": list(deck.song.stems) if deck else [],
                "path": str(self._wanted.request.get("path") or self._wanted.request.get("input") or ""),
                "note": self._wanted.request.get("note"),
                "mixer": _mixer_data(mixer),
                "device": {
                    "state": self._device_state,
                    "name": device.name if device else (self._spec.output or ""),
                    "sample_rate": device.spec.sample_rate if device else 0,
                    "buffer_frames": self._spec.buffer_frames,
                    "latency_s": self._latency_s(),
                    "underruns": self._underruns + (device.underruns if device else 0),
                    "overloads": self._overloads + _overloads(deck),
                },
                "pid": os.getpid(), "streamer": self._streamer.pid,
            }  # fmt: skip

    @property
    def busy(self) -> bool:
        """Whether it sounds, and should therefore outlive its control."""
        deck = self._deck
        return deck is not None and self._wanted.playing and not deck.ended

    def close(self) -> None:
        """Fade out, end, leave nothing behind."""
        deck = self._deck
        if deck is not None and deck.playing and self._device is not None and not self._device.lost:
            deck.playing = False
            time.sleep(0.05 + self._device.latency_s)
        self._closing.set()
        if self._device is not None:
            self._device.close()
        if self._dry is not None:
            self._dry.close()
        self._streamer.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # What control says.

    def _do(self, line: Line) -> None:
        wanted, deck = self._wanted, self._deck
        match line["do"]:
            case "gains":
                wanted.state = _mixer_state(line["state"])
                if deck is not None:
                    state = _fitting(wanted.state, deck.song)
                    deck.set_state(state, keep=line.get("keep", ()), ramp_ms=line.get("ramp_ms", 20.0))
            case "fade":
                if deck is not None:
                    deck.fade(line["stem"], float(line["gain_db"]), float(line["seconds"]))
            case "load":
                self._load(line)
            case "live":
                self._begin_live(line)
            case "live_end":
                self._end_live()
            case "next":
                self._streamer.tell(**{**line, "do": "next", "sample_rate": self._own_rate})
            case "play":
                wanted.playing = True
                if deck is not None:
                    if deck.ended:
                        self._locate(0)
                    deck.playing = True
                self._open_device()
                self._tell(self.state())
            case "stop":
                wanted.playing = False
                if deck is not None:
                    deck.playing = False
                self._tell(self.state())
            case "locate":
                if deck is not None and not isinstance(deck, LiveDeck):
                    frame = round(float(line["position_s"]) * deck.song.sample_rate)
                    self._locate(min(max(frame, 0), deck.song.frames))
                    self._tell(self.state())
            case "loop":
                self._loop(float(line["start_s"]), float(line["end_s"]))
            case "chase":
                self._chase(bool(line["playing"]), float(line["position_s"]), float(line["at"]))
            case "free":
                self._following = None
            case "record":
                self._recording = bool(line["on"])
                if deck is not None:
                    deck.performance.recording = self._recording
            case "save_automation":
                self._save_automation(str(line["name"]), Path(line["file"]))
            case "state":
                self._tell(self.state())

    def _load(self, line: Line) -> None:
        """Fade what plays out, and have the streamer open another song."""
        self._fade_out()
        self._rings += 1
        ring = str(self._folder / f"ring-{self._rings}")
        request = {**line, "do": "load", "ring": ring, "sample_rate": self._own_rate}
        self._wanted = _Wanted(
            request, str(line["key"]), bool(line.get("play", False)), 0, (0, 0), self._wanted.state
        )
        self._end_deck()
        self._streamer.tell(**request)
        self._tell(self.state())

    def _fade_out(self) -> None:
        if self._deck is not None and self._deck.playing:
            self._deck.playing = False
            # The callback needs some of its turns for the fade; what comes next takes longer than that.
            time.sleep(0.03)

    def _begin_live(self, line: Line) -> None:
        """Fade what plays out, and have the streamer wait for the input."""
        rate, inputs = input_facts(line.get("input"))
        self._fade_out()
        request = {
            **line, "do": "live", "sample_rate": self._own_rate or rate, "channels": min(inputs, 2),
            **self._live_rings(),
        }  # fmt: skip
        self._wanted = _Wanted(request, str(line["key"]), True, 0, (0, 0), self._wanted.state)
        self._end_deck()
        self._streamer.tell(**request)
        self._tell(self.state())

    def _live_rings(self) -> dict[str, str]:
        self._rings += 1
        return {way: str(self._folder / f"{way}-{self._rings}") for way in ("to", "back")}

    def _end_live(self) -> None:
        if self._wanted.request.get("do") == "live":
            self._fade_out()
            self._streamer.tell(do="live_end")
            self._end_deck()
            self._wanted = _Wanted(state=self._wanted.state)
            self._tell(self.state())

    def _locate(self, frame: int) -> None:
        self._epoch += 1
        self._streamer.tell(do="seek", epoch=self._epoch, frame=frame)
        assert self._deck is not None
        self._deck.seek = Seek(self._epoch, frame)
        if self._dry is not None:
            self._dry.seek(self._epoch, frame)

    def _loop(self, start_s: float, end_s: float) -> None:
        deck = self._deck
        if deck is None or isinstance(deck, LiveDeck):
            return
        rate = deck.song.sample_rate
        start, end = round(start_s * rate), min(round(end_s * rate), deck.song.frames)
        self._wanted.loop = (start, end) if end - start > BLOCK else (0, 0)
        self._streamer.tell(do="loop", start=self._wanted.loop[0], end=self._wanted.loop[1])
        if self._wanted.loop != (0, 0):
            # What lies in the ring was written without the loop.
            inside = start <= deck.frame < end
            self._locate(deck.frame if inside else start)

    def _chase(self, playing: bool, position_s: float, at: float) -> None:
        """Play in time with somebody at a second of the song at a moment, or stop where they stopped."""
        deck = self._deck
        if deck is None or isinstance(deck, LiveDeck):
            return
        if not playing:
            following, self._following = self._following, None
            if following is not None or deck.playing:
                deck.playing = self._wanted.playing = False
                self._tell(self.state())
            self._locate(min(max(round(position_s * deck.song.sample_rate), 0), deck.song.frames))
            return
        clock = Clock(position_s, at)
        following = self._following
        if following is not None and following.deck is deck and not following.lost:
            following.clock = clock
            return
        # Aim at where they will be when blocks have come; further ahead where that was too near.
        late = following is not None and following.late
        self._lead_s = min(self._lead_s * 2, 4.0) if late else LEAD_S
        start_s = clock.position(time.monotonic() + self._lead_s)
        if start_s * deck.song.sample_rate >= deck.song.frames:
            return
        deck.playing = False
        self._wanted.playing = True
        self._locate(max(round(start_s * deck.song.sample_rate), 0))
        # A device that never says evenly when it plays is begun with all the same, after some tries.
        following = Following(deck, wait_for_steady=self._lead_s < _UNSTEADY_LEAD_S)
        following.clock = clock
        self._following = following
        self._open_device()
        self._tell(self.state())

    def _save_automation(self, name: str, file: Path) -> None:
        """Write what the faders did into a file, complete or not at all."""
        if self._deck is None:
            raise StateError("nothing is loaded: there are no moves to save")
        automation = self._deck.performance.automation()
        partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(automation_text(automation), encoding="utf-8")
            os.replace(partial, file)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StateError(f"{file} cannot be written: {error.strerror or error}") from error
        self._tell({"is": "automation", "name": name, "file": str(file), "moves": len(automation.moves)})

    # What the streamer says.

    def _answered(self, line: Line) -> None:
        match line.get("is"):
            case "loaded":
                chain = self._mix_chain_of(line)
                with self._lock:
                    self._loaded(line, chain)
            case "live":
                chain = self._mix_chain_of(line)
                with self._lock:
                    self._live(line, chain)
            case "problem":
                self._problem(str(line["code"]), str(line["text"]))
            case "failed":
                self._problem(str(line.get("code", "internal")), str(line.get("text", "")))
            case "warm":
                self._tell({"is": "warm"})
            case "next":
                self._tell({"is": "next", "key": line.get("key", "")})

    def _mix_chain_of(self, line: Line) -> MixChain | None:
        """Open the chain of the mix that is asked for; one that cannot be had is told, and left out."""
        spec, deck = self._wanted.request.get("mix_chain"), self._deck
        if (
            spec is None
            or line["key"] != self._wanted.key
            or (deck is not None and deck.mix_chain is not None)
        ):
            return None
        from .mix_chain import open_mix_chain

        try:
            margin = 2 * self._spec.buffer_frames
            return open_mix_chain(spec, line["sample_rate"], line["channels"], margin, self._bypassed)
        except StembridgeError as error:
            self._bypassed(f"mix: {error}; it is left out")
            return None

    def _bypassed(self, text: str) -> None:
        self._problem("chain_bypassed", text)

    def _live(self, line: Line, mix_chain: MixChain | None) -> None:
        """The streamer waits for the input: put a deck between it and the device."""
        wanted = self._wanted
        if line["key"] != wanted.key or line["to"] != wanted.request.get("to"):
            return  # of an input that is not wanted any more
        song = DeckSong(
            tuple(line["stems"]), line["channels"], line["sample_rate"], "other", tuple(line["treated"])
        )
        to = Ring(Path(line["to"]), input_layout(song.channels))
        way = LiveLine(to, Ring(Path(line["back"]), song.layout))
        if isinstance(self._deck, LiveDeck):
            self._deck.go_over(song, way)
            self._problem("streamer_back", "the stems are back")
            return
        margin = round(wanted.request.get("margin", 2) * self._spec.buffer_frames)
        if is_served(self._spec.output):
            # What the server holds may be asked for, and given, several buffers at once.
            margin += round(0.5 * (self._spec.latency_s or SERVED_S) * song.sample_rate)
        delay = delay_of(line["latency"], margin, song.sample_rate)
        deck = LiveDeck(song, way, self._law, _fitting(wanted.state, song), delay=delay)
        deck.metered = self._metered
        deck.mix_chain = mix_chain
        deck.playing = wanted.playing
        self._deck = deck
        self._open_device()
        self._tell(self.state())

    def _latency_s(self) -> float:
        """From the song, or with `live` from the input, to the ear."""
        deck, device = self._deck, self._device
        if deck is None or device is None:
            return 0.0
        held = deck.mix_chain.latency if deck.mix_chain is not None else 0
        if not isinstance(deck, LiveDeck):
            return device.latency_s
        return device.input_latency_s + (deck.delay + held) / deck.song.sample_rate + device.latency_s

    def _loaded(self, line: Line, mix_chain: MixChain | None) -> None:
        """The song is open: put it on the deck."""
        wanted = self._wanted
        if line["key"] != wanted.key or line["ring"] != wanted.request.get("ring"):
            return  # of a song that is not wanted any more
        song = DeckSong(
            tuple(line["stems"]), line["channels"], line["sample_rate"], line["residual_policy"],
            tuple(line["treated"]), line["frames"],
        )  # fmt: skip
        again = self._dry is not None
        ring = Ring(Path(line["ring"]), song.layout)
        deck = Deck(song, ring, self._law, _fitting(wanted.state, song))
        deck.mix_chain = self._deck.mix_chain if again and self._deck is not None else mix_chain
        deck.metered = self._metered
        deck.performance.recording = self._recording
        self._epoch += 1
        ring.ask(self._epoch)
        frame = self._deck.frame if again and self._deck is not None else wanted.frame
        old = self._deck
        self._streamer.tell(do="seek", epoch=self._epoch, frame=frame)
        if wanted.loop != (0, 0):
            self._streamer.tell(do="loop", start=wanted.loop[0], end=wanted.loop[1])
        deck.frame = frame
        if again and old is not None and self._dry is not None:
            self._back_from_dry(deck, frame)
            return
        deck.playing = wanted.playing
        self._deck = deck
        self._open_device()
        self._tell(self.state())

    def _back_from_dry(self, deck: Deck, frame: int) -> None:
        """A new streamer has the song: begin with it where the plain song will be when it is ready."""
        dry = self._dry
        assert dry is not None
        assert self._deck is not None
        lead = round(1.0 * deck.song.sample_rate)
        start = min(self._deck.frame + lead, deck.song.frames)
        self._epoch += 1
        deck.ring.ask(self._epoch)
        self._streamer.tell(do="seek", epoch=self._epoch, frame=start)
        threading.Thread(target=self._switch, args=(deck, start), name="switch", daemon=True).start()

    def _switch(self, deck: Deck, start: int) -> None:
        """Wait until the new ring holds sound, then let the old deck play up to its first frame."""
        old, dry = self._deck, self._dry
        while deck.ring.waiting < 8 and not self._closing.is_set() and self._dry is dry:
            time.sleep(0.005)
        with self._lock:
            if old is None or dry is None or self._dry is not dry or self._deck is not old:
                return
            if old.frame >= start - BLOCK:  # it took too long: again, from further on
                self._back_from_dry(deck, old.frame)
                return
            deck.begin_dry()
            deck.mixer.state = old.mixer.state
            deck.performance = old.performance
            deck.playing = old.playing
            old.follow = (deck, start)
            self._after_switch(old, deck, dry)

    def _after_switch(self, old: Deck, deck: Deck, dry: DrySource) -> None:
        until = time.monotonic() + 5.0
        while not old.followed and old.playing and time.monotonic() < until:
            self._lock.release()
            time.sleep(0.005)
            self._lock.acquire()
        self._deck = deck
        dry.close()
        self._dry = None
        old.ring.close()
        self._tell({"is": "problem", "code": "streamer_back", "text": "the stems are back"})

    def _streamer_died(self, code: int) -> None:
        """Told from a thread that is about to end: the next streamer is started by one that goes on."""
        self._streamer_ended = code

    def _without_streamer(self, code: int) -> None:
        """Read the plain song from here on, and start another streamer."""
        with self._lock:
            deck = self._deck
            if deck is not None and self._dry is None and not isinstance(deck, LiveDeck):
                deck.dry = True
                self._dry = DrySource(Path(self._wanted.request["path"]), deck, self._epoch)
        self._problem("streamer_lost", f"the streamer ended ({code}): the plain mix plays until it is back")
        self._closing.wait(_STREAMER_AGAIN_S)
        self._streamer.start()
        with self._lock:
            if self._wanted.key:
                self._rings += 1
                ring = {"ring": str(self._folder / f"ring-{self._rings}")}
                if self._wanted.request["do"] == "live":
                    ring = self._live_rings()
                if self._wanted.request.get("chains"):
                    self._bypassed("the streamer died: it comes back without the chains of the stems")
                self._wanted.request = {**self._wanted.request, **ring, "chains": {}}
                self._streamer.tell(**self._wanted.request)

    # The device.

    def _open_device(self) -> None:
        deck = self._deck
        if deck is None:
            return
        rate = deck.song.sample_rate
        channels = max(self._outputs.channels, deck.song.channels)
        heard = (
            (deck.song.channels, self._wanted.request.get("input"))
            if isinstance(deck, LiveDeck)
            else (0, None)
        )
        spec = DeviceSpec(
            self._spec.output,
            heard[1],
            channels,
            heard[0],
            rate,
            self._spec.buffer_frames,
            self._spec.latency_s,
        )
        if self._device is not None and self._device.spec == spec and not self._device.lost:
            return
        if self._device is not None:
            self._underruns += self._device.underruns
            self._device.close()
            self._device = None
        try:
            self._device = Device(spec, self._render)
            self._device_state = "running"
            # Some systems drop the beginning of what a device is given when it has just been opened.
            self._priming = round(_PRIME_S * rate)
        except DeviceError as error:
            lost_before = self._device_state == "lost"
            self._device_state = "lost"
            if not lost_before:
                self._problem("device_lost", str(error))

    def _render(self, frames: int, heard: NDArray[np.float32] | None, when: float) -> NDArray[np.float32]:
        """The device's callback."""
        deck = self._deck
        channels = self._device.spec.channels if self._device is not None else self._outputs.channels
        if deck is None or (isinstance(deck, LiveDeck) and heard is None):
            return np.zeros((channels, frames), np.float32)
        if self._priming > 0:
            self._priming -= frames
            return np.zeros((channels, frames), np.float32)
        self._heard_at = (deck.audible, when)
        following = self._following
        if isinstance(deck, LiveDeck) and heard is not None:
            deck.hear(heard)
            mix, stems = deck.take(frames)
        elif following is not None and following.deck is deck:
            mix, stems = following.take(frames, when)
        else:
            mix, stems = deck.take(frames)
        return self._outputs.spread(channels, deck.song.stems, mix, stems)

    def _metered(self, rows: list[tuple[str, float, float]]) -> None:
        self._meters = rows

    # Looking after it all.

    def _watch(self) -> None:
        position_at = 0.0
        look_at = 0.0
        ended = False
        while not self._closing.wait(0.01):
            now = time.monotonic()
            rows, self._meters = self._meters, None
            if rows is not None:
                self._tell({"is": "meters", "rows": rows})
            deck = self._deck
            sounding = self._device_state == "running" and deck is not None and deck.playing
            if sounding and deck is not None and now - position_at >= _POSITION_S:
                position_at = now
                frame, when = self._heard_at
                rate = deck.song.sample_rate
                self._tell({"is": "position", "position_s": deck.frame / rate, "frame": frame, "when": when})
            if deck is not None and deck.ended != ended:
                ended = deck.ended
                if ended:
                    self._wanted.playing = False
                    deck.playing = False
                    self._tell({"is": "ended", "key": self._wanted.key})
                    self._tell(self.state())
            if self._streamer_ended is not None:
                code, self._streamer_ended = self._streamer_ended, None
                self._without_streamer(code)
            if now - look_at >= 0.1:
                look_at = now
                self._look_after_device()
                self._count_underruns()

    def _look_after_device(self) -> None:
        device = self._device
        with self._lock:
            if device is not None and device.lost:
                self._problem("device_lost", f"the audio device {device.name} has gone; looking for it")
                self._underruns += device.underruns
                device.close()
                self._device, self._device_state = None, "lost"
                if device.failed is not None:
                    log.error("the player's callback failed", exc_info=device.failed)
            if self._device_state == "lost" and self._wanted.playing:
                self._closing.wait(_DEVICE_AGAIN_S)
                with contextlib.suppress(StembridgeError):
                    refresh()
                self._open_device()
                if self._device_state == "running":
                    self._tell({"is": "problem", "code": "device_back", "text": "the audio device is back"})
                    self._tell(self.state())

    def _count_underruns(self) -> None:
        deck, device = self._deck, self._device
        if deck is not None and deck.underruns:
            self._underruns += deck.underruns
            deck.underruns = 0
        count = self._underruns + (device.underruns if device is not None else 0)
        if count > self._told_underruns:
            gaps = count - self._told_underruns
            self._told_underruns = count
            self._problem("underrun", f"{gaps} gap{'s' * (gaps > 1)} in the sound, {count} in all")
        late = self._overloads + _overloads(deck)
        if late > self._told_overloads:
            self._told_overloads = late
            self._problem(
                "overload",
                f"too slow: what is not ready is heard as it came in, {late} time{'s' * (late > 1)} so far",
            )

    def _end_deck(self) -> None:
        if self._dry is not None:
            self._dry.close()
            self._dry = None
        deck, self._deck = self._deck, None
        if deck is not None:
            self._overloads += _overloads(deck)
            time.sleep(0.02)  # the callback may be in the middle of a block of it
            deck.close()
            if deck.mix_chain is not None:
                deck.mix_chain.close()

    def _problem(self, code: str, text: str) -> None:
        log.warning("%s: %s", code, text)
        self._tell({"is": "problem", "code": code, "text": text})


def _overloads(deck: Deck | None) -> int:
    """How often something did not come back in time."""
    if deck is None:
        return 0
    of_mix = deck.mix_chain.overloads if deck.mix_chain is not None else 0
    return of_mix + (deck.overloads if isinstance(deck, LiveDeck) else 0)


def _fitting(state: MixerState, song: DeckSong) -> MixerState:
    """What of a state is about this song's stems."""
    there = set(song.stems)
    return MixerState(
        gains_db={stem: gain_db for stem, gain_db in state.gains_db.items() if stem in there},
        mutes=state.mutes & there,
        solos=state.solos & there,
        pans={stem: pan for stem, pan in state.pans.items() if stem in there},
        master_gain_db=state.master_gain_db,
        master_mute=state.master_mute,
    )


def _mixer_state(data: dict[str, Any]) -> MixerState:
    return MixerState(
        data["gains_db"], frozenset(data["mutes"]), frozenset(data["solos"]), data["pans"],
        data["master_gain_db"], data["master_mute"],
    )  # fmt: skip


def _mixer_data(state: MixerState) -> dict[str, Any]:
    return {
        "gains_db": dict(state.gains_db), "mutes": sorted(state.mutes), "solos": sorted(state.solos),
        "pans": dict(state.pans), "master_gain_db": state.master_gain_db, "master_mute": state.master_mute,
    }  # fmt: skip
