"""A stand-in for AbletonOSC in front of the fake Live, with its ways as its source has them.

It answers every host at one port; a listener's messages carry the arguments it was put on with; a mixer's
listener that lies on another track cannot be taken off, nor another put on under the same arguments; an error
ends the tick's work and comes as `/live/error` without an address; an unknown address does, too.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from fake_lom import Handle, World
from stembridge.bridge.messages import Message, Value
from stembridge.bridge.osc.packets import decode, encode

PLAIN = ("name", "mute", "solo", "color")
CLIP = (
    "is_audio_clip", "file_path", "name", "warping", "loop_start", "loop_end", "sample_length", "looping",
)  # fmt: skip


class FakeAbletonOsc:
    """One of them, ticking in its own thread. Use as a context manager."""

    def __init__(
        self, world: World, listen: int, answer: int, *, places: bool = False, tick_s: float = 0.02
    ) -> None:
        """`listen` and `answer` are its 11000 and 11001; `places`: it has `create_audio_clip`."""
        self.world = world
        self.song: Any = world.hand()
        self.lock = threading.Lock()
        """Held during a tick; hold it to be Live's user."""
        self.heard: list[Message] = []
        self._answer = ("127.0.0.1", answer)
        self._places = places
        self._tick_s = tick_s
        self._held: dict[tuple[Any, ...], tuple[Any, Callable[[], None]]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", listen))
        self._socket.setblocking(False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> FakeAbletonOsc:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        self._socket.close()

    def sent_to(self, address: str) -> list[tuple[Value, ...]]:
        """What was asked of it at an address."""
        return [message.arguments for message in list(self.heard) if message.address == address]

    def _run(self) -> None:
        self._send("/live/startup")
        while not self._stop.is_set():
            with self.lock:
                self._tick()
                self.world.settle()
            time.sleep(self._tick_s)  # its clock, as in Live

    def _tick(self) -> None:
        try:
            while True:
                packet, _ = self._socket.recvfrom(65536)
                for message in decode(packet):
                    self.heard.append(message)
                    answer = self._carry_out(message.address, list(message.arguments))
                    if answer is not None:
                        self._send(message.address, *answer)
        except BlockingIOError:
            return
        except Exception as error:  # its rest waits for the next tick
            self._send("/live/error", f"Error handling OSC message: {error}")

    def _send(self, address: str, *arguments: Any) -> None:
        self._socket.sendto(encode(Message(address, arguments)), self._answer)

    def _carry_out(self, address: str, given: list[Any]) -> Sequence[Any] | None:
        match address.split("/")[2:]:
            case ["test"]:
                return ("ok",)
            case ["application", "get", "version"]:
                return self.world.version
            case ["song", "get", "track_names"]:
                return [track.name for track in self.song.tracks]
            case ["song", "get", "current_song_time"]:
                return (8.0,)
            case ["song", ("create_audio_track" | "delete_track") as method]:
                getattr(self.song, method)(*given)
                return None
            case ["view", "get", "selected_clip"]:
                track = list(self.song.tracks).index(self.song.view.selected_track)
                return (track, self.world.song.scenes.index(self.world.song.view.selected_scene))
            case ["clip", "get", name] if name in CLIP:
                clip = self.song.tracks[int(given[0])].clip_slots[int(given[1])].clip
                return (given[0], given[1], getattr(clip, name))
            case ["track", "get", "arrangement_clips", "start_time"]:
                clips = self.song.tracks[int(given[0])].arrangement_clips
                return (given[0], *[clip.start_time for clip in clips])
            case ["track", "create_audio_clip"] if self._places:
                self.song.tracks[int(given[0])].create_audio_clip(*given[1:])
                return None
            case ["track", verb, name] if name in PLAIN or name == "volume":
                return self._track(verb, name, given)
        self._send("/live/error", f"Unknown OSC address: {address}")
        return None

    def _track(self, verb: str, name: str, given: list[Any]) -> Sequence[Any] | None:
        track = self.song.tracks[int(given[0])]
        on, prop = (track.mixer_device.volume, "value") if name == "volume" else (track, name)
        key = (name, *given)
        if verb == "get":
            return (given[0], getattr(on, prop))
        if verb == "set":
            setattr(on, prop, given[1] if name in ("name", "volume", "color") else bool(given[1]))
        elif verb == "stop_listen":
            self._take_off(key, on, prop)
        elif verb == "start_listen":
            if key in self._held:
                self._take_off(key, on, prop)
            callback = self._callback(name, on, prop, given)
            getattr(on, f"add_{prop}_listener")(callback)
            self._held[key] = (on, callback)
            callback()
        return None

    def _callback(self, name: str, on: Handle, prop: str, given: list[Any]) -> Callable[[], None]:
        return lambda: self._send(f"/live/track/get/{name}", *given, getattr(on, prop))

    def _take_off(self, key: tuple[Any, ...], on: Any, prop: str) -> None:
        if key not in self._held:
            return
        try:
            getattr(on, f"remove_{prop}_listener")(self._held[key][1])
        except RuntimeError:
            if key[0] == "volume":
                raise  # and it stays in its table for good
        del self._held[key]
