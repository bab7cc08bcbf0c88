"""The script's end of the line to a bridge: one UDP port of this machine, one bridge at a time.

Everything happens in `tick`, on Live's main thread, and in measured pieces. The bridge's messages:
`hello protocol sequence`, `ping n`, `tracks`, `set number control value sequence heard`, `selected request`,
`import request count source offset gain`, `stem request place stem name path`, `bye`. Ours: `welcome`,
`pong`, `track`, `tracks/end`, `moved`, `clip`, `accepted`, `imported`, `failed`, `unknown`, `busy`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any

from .clips import described, selected
from .mixer import CONTROLS, Mixer, Strip
from .osc import PacketError, decode, encode
from .stems import Refused, Stem, Work

PROTOCOL = 1
PORT = 9337
ROOT = "/stembridge/"
SILENT_S = 5.0
"""A bridge that has been silent so long may be replaced by another."""
PACKETS_PER_TICK = 64
TRACKS_PER_TICK = 48
MOVES_PER_TICK = 128
MOST_STEMS = 32

Address = Any


class Service:
    """What the surface keeps running."""

    def __init__(self, song: Any, live: Any, version: str, log: Callable[[str], None], port: int) -> None:
        """Raises OSError where the port is taken."""
        self._log = log
        self._live = live
        self._version = version
        self._song = song
        self._instance = int.from_bytes(os.urandom(3), "big")
        """Tells a restarted script from the one before."""
        self._peer: Address = None
        self._heard_at = 0.0
        self._sequence = 0
        """The number of the last `set` that was carried out."""
        self._telling: list[tuple[int, Strip]] | None = None
        """Tracks that are still to be told."""
        self._told = 0
        self._generation = 0
        self._request: dict[str, Any] | None = None
        self._work: Work | None = None
        self._last_answer: tuple[int, bytes] | None = None
        self._complaints = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._socket.bind(("127.0.0.1", port))
            self.port = int(self._socket.getsockname()[1])
            self._mixer = Mixer(song, log)
        except BaseException:
            self._socket.close()
            raise
        self._played = False
        self._handlers: dict[str, Callable[[list[Any]], None]] = {
            "ping": self._on_ping,
            "tracks": self._on_tracks,
            "set": self._on_set,
            "selected": self._on_selected,
            "import": self._on_import,
            "stem": self._on_stem,
            "bye": self._on_bye,
        }

    def tick(self) -> None:
        """Ten times a second."""
        self._mixer.follow(TRACKS_PER_TICK)
        for strip, control in self._mixer.moves(MOVES_PER_TICK):
            position = strip.known[control]
            value, numbers = strip.value(control), (self._sequence, self._mixer.moves_told)
            self._send("moved", strip.number, control, value, position, *numbers)
        self._receive()
        self._go_on_with_import()
        self._tell_tracks()
        self._tell_transport()

    def close(self) -> None:
        """End it all. Twice is fine."""
        if self._work is not None:
            self._work.abandon()
            self._work = None
        self._send("bye")
        self._mixer.close()
        self._socket.close()

    # In.

    def _receive(self) -> None:
        for _ in range(PACKETS_PER_TICK):
            try:
                packet, sender = self._socket.recvfrom(65536)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # Windows tells of a peer that has closed its port in this way
                continue
            try:
                for address, arguments in decode(packet):
                    self._take(address, arguments, sender)
            except PacketError as error:
                self._complain(f"not understood: {error}")

    def _take(self, address: str, arguments: list[Any], sender: Address) -> None:
        if not address.startswith(ROOT):
            self._complain(f"not ours: {address[:60]}")
            return
        word = address[len(ROOT) :]
        if word == "hello":
            self._on_hello(arguments, sender)
            return
        if sender != self._peer:
            self._socket_send(encode(ROOT + "unknown"), sender)
            return
        self._heard_at = time.monotonic()
        handler = self._handlers.get(word)
        try:
            if handler is None:
                raise ValueError("no such message")
            handler(arguments)
        except Exception as error:  # a peer's nonsense, or an object of Live that is gone
            self._complain(f"{address[:60]} failed: {error!r}")

    def _on_hello(self, arguments: list[Any], sender: Address) -> None:
        if len(arguments) < 2 or arguments[0] != PROTOCOL or not isinstance(arguments[1], int):
            text = f"this script speaks protocol {PROTOCOL}: install the one that belongs to the bridge"
            self._socket_send(encode(ROOT + "failed", 0, "internal", text), sender)
            return
        now = time.monotonic()
        if self._peer is not None and self._peer != sender and now - self._heard_at < SILENT_S:
            self._socket_send(encode(ROOT + "busy"), sender)
            return
        self._peer, self._heard_at, self._sequence = sender, now, int(arguments[1])
        can = int(any(hasattr(track, "create_audio_clip") for track in self._song.tracks))
        self._send("welcome", PROTOCOL, self._instance, self._version, can)
        self._mixer.begin()

    def _on_ping(self, arguments: list[Any]) -> None:
        self._send("pong", int(arguments[0]), self._instance)

    def _on_tracks(self, _arguments: list[Any]) -> None:
        self._mixer.names_changed = True

    def _on_set(self, arguments: list[Any]) -> None:
        number, control, value, sequence, heard = arguments
        if control not in CONTROLS:
            raise ValueError(f"no control {str(control)[:20]}")
        self._sequence = int(sequence)
        self._mixer.set(int(number), control, float(value), int(heard))

    def _on_selected(self, arguments: list[Any]) -> None:
        request = int(arguments[0])
        clip = selected(self._song)
        if clip is None:
            text = "no audio clip is selected in Live: click one, so that the clip view shows it"
            self._send("failed", request, "not_found", text)
            return
        self._send("clip", request, *described(clip))

    def _on_import(self, arguments: list[Any]) -> None:
        request, count, source, offset_s, gain = arguments
        if self._answered_before(int(request)):
            return
        if not 1 <= int(count) <= MOST_STEMS:
            raise ValueError("so many stems are none of ours")
        if self._work is not None:
            self._send("failed", int(request), "busy", "Live is still taking in the stems before these")
            return
        self._request = {
            "number": int(request),
            "count": int(count),
            "source": str(source),
            "offset_s": float(offset_s),
            "gain_db": float(gain),
            "stems": {},
        }

    def _on_stem(self, arguments: list[Any]) -> None:
        request, place, stem, name, path = arguments
        asked = self._request
        if asked is None or asked["number"] != int(request) or not 0 <= int(place) < asked["count"]:
            return  # of a request that has begun already, or never
        asked["stems"][int(place)] = Stem(str(stem), str(name)[:200], str(path))
        if len(asked["stems"]) == asked["count"]:
            self._begin_import(asked)

    def _on_bye(self, _arguments: list[Any]) -> None:
        self._peer = None

    # The import.

    def _answered_before(self, request: int) -> bool:
        """Whether this is known: the bridge asks again until it hears, and nothing is done twice."""
        if self._last_answer is not None and self._last_answer[0] == request:
            self._socket_send(self._last_answer[1], self._peer)
            return True
        return self._request is not None and self._request["number"] == request

    def _begin_import(self, asked: dict[str, Any]) -> None:
        stems = [asked["stems"][place] for place in range(asked["count"])]
        self._answer(asked["number"], "accepted")
        try:
            self._work = Work(
                self._song,
                self._live.Clip.WarpMarker,
                asked["source"],
                asked["offset_s"],
                asked["gain_db"],
                stems,
            )
        except Exception as error:
            self._import_failed(error)

    def _go_on_with_import(self) -> None:
        if self._work is None or self._request is None:
            return
        try:
            if self._work.step():
                notes = "; ".join(self._work.notes)
                self._work = None
                self._answer(self._request["number"], "imported", self._request["count"], notes[:2000])
        except Exception as error:  # whatever Live raises; the work has taken itself back
            self._import_failed(error)

    def _import_failed(self, error: Exception) -> None:
        self._work = None
        code = error.code if isinstance(error, Refused) else "internal"
        text = str(error) if isinstance(error, Refused) else f"Live did not take the stems: {error}"
        self._log(f"the import failed: {error!r}")
        if self._request is not None:
            # Some systems send no datagram above 9216 bytes.
            short = text.encode("utf-8", "replace")[:8000].decode("utf-8", "ignore")
            self._answer(self._request["number"], "failed", code, short)

    def _answer(self, request: int, word: str, *arguments: Any) -> None:
        packet = encode(ROOT + word, request, *arguments)
        self._last_answer = (request, packet)
        if self._peer is not None:
            self._socket_send(packet, self._peer)

    # Out.

    def _tell_tracks(self) -> None:
        if self._peer is None or not self._mixer.complete:
            return
        if self._mixer.names_changed:
            self._mixer.names_changed = False
            self._generation += 1
            self._telling, self._told = self._mixer.strips(), 0
        if self._telling is None:
            return
        pieces, self._telling = self._telling[:TRACKS_PER_TICK], self._telling[TRACKS_PER_TICK:]
        for index, strip in pieces:
            try:
                values = [strip.value(control) for control in strip.controls]
                self._send(
                    "track", self._generation, strip.number, index, strip.name, self._sequence, *values
                )
                self._told += 1
            except Exception as error:  # its track went away; another list follows
                self._log(f"a track cannot be told: {error!r}")
        if not self._telling:
            self._telling = None
            self._send("tracks/end", self._generation, self._told)

    def _tell_transport(self) -> None:
        """Whether Live plays and at which second: with every tick while it does, and once when it stops."""
        if self._peer is None:
            return
        try:
            playing = bool(self._song.is_playing)
            seconds = float(self._song.current_song_time) * 60.0 / float(self._song.tempo)
        except Exception as error:
            self._complain(f"the transport cannot be told: {error!r}")
            return
        if playing or self._played:
            self._send("transport", int(playing), seconds)
        self._played = playing

    def _send(self, word: str, *arguments: Any) -> None:
        if self._peer is not None:
            self._socket_send(encode(ROOT + word, *arguments), self._peer)

    def _socket_send(self, packet: bytes, peer: Address) -> None:
        try:
            self._socket.sendto(packet, peer)
        except OSError:  # full, or nobody there: the bridge asks again for what it misses
            return

    def _complain(self, text: str) -> None:
        """Into Live's log, a hundred times at most: it has no limit of its own."""
        self._complaints += 1
        if self._complaints <= 100:
            self._log(text)
