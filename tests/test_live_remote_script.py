"""The Remote Script itself: what Live's older Python takes, hostile packets, listeners, ports, its fader."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import random
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from bridges import wait_for
from fake_lom import World, true_db
from lives import SCRIPTS, Live, free_port
from stembridge.bridge.fader_laws import fader_law
from stembridge.bridge.messages import Message
from stembridge.bridge.osc.packets import decode, encode
from test_osc_packets import HOSTILE

FILES = sorted((SCRIPTS / "Stembridge").glob("*.py"))
LAW = fader_law("live")


def module(name: str) -> ModuleType:
    """One of the script's modules that needs no Live."""
    spec = importlib.util.spec_from_file_location(
        f"stembridge_script_{name}", SCRIPTS / "Stembridge" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class Peer:
    """A bridge as bare as can be."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(30.0)

    def send(self, word: str, *arguments: int | float | str) -> None:
        self.socket.send(encode(Message(f"/stembridge/{word}", arguments)))

    def until(self, word: str) -> list[Message]:
        """Everything up to a message."""
        heard: list[Message] = []
        while not heard or heard[-1].address != f"/stembridge/{word}":
            heard += decode(self.socket.recv(65536))
        return heard

    def join(self) -> list[Message]:
        self.send("hello", 1, 0)
        return self.until("tracks/end")

    def pong(self, number: int) -> None:
        """Wait until everything sent before has been taken."""
        self.send("ping", number)
        while self.until("pong")[-1].arguments[0] != number:
            pass


@pytest.fixture
def live() -> Iterator[Live]:
    with Live(free_port(), {"drums": 0.85, "vocals": 0.7}) as one:
        yield one


@pytest.fixture
def peer(live: Live) -> Iterator[Peer]:
    one = Peer(live.port)
    yield one
    one.socket.close()


@pytest.mark.parametrize("path", [*FILES, *Path(__file__).parent.glob("fake_l*.py")], ids=lambda p: p.name)
def test_lives_older_python_takes_it(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    first = next(node for node in tree.body if isinstance(node, ast.ImportFrom | ast.Import))
    assert isinstance(first, ast.ImportFrom)
    assert first.module == "__future__"  # so that no annotation is ever carried out


def test_it_imports_nothing_that_live_does_not_have() -> None:
    allowed = {"Live", "_Framework.ControlSurface", "__future__", "typing", "collections.abc"}
    allowed |= {"math", "os", "socket", "struct", "time", "traceback"}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= allowed, path.name
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert node.module in allowed, path.name


def python_3_7() -> str:
    found = [shutil.which("python3.7"), *sorted(Path.home().glob(".pyenv/versions/3.7.*/bin/python"))]
    usable = [str(path) for path in found if path and "shims" not in str(path)]
    if not usable:
        pytest.skip("no Python 3.7 here, Live 11's; the syntax alone is checked")
    return usable[0]


def test_it_runs_on_lives_older_python() -> None:
    port = free_port()
    with Live(
        port, {"vocals": 0.7}, flags=("--version", "11.3", "--cannot-place"), python=python_3_7()
    ) as live:
        peer = Peer(port)
        welcome, *_ = [m for m in peer.join() if m.address.endswith("welcome")]
        assert welcome.arguments[2:] == ("11.3", 0)
        peer.send("set", 1, "volume", -20.0, 1, 0)
        wait_for(lambda: abs(true_db(live.position("vocals")) + 20.0) <= 0.05, "set")
        peer.send("selected", 7)
        assert peer.until("failed")[-1].arguments[:2] == (7, "not_found")
        assert live.log() == []
        peer.socket.close()


def test_all_tracks_are_told(live: Live, peer: Peer) -> None:
    for number in range(120):  # more than fit into one tick
        live.add(f"Track {number}")
    heard = peer.join()
    tracks = [m.arguments for m in heard if m.address == "/stembridge/track"]
    last = [t for t in tracks if t[0] == tracks[-1][0]]
    assert len(last) == 123
    assert [t[2] for t in last] == [-1, *range(122)]
    assert last[0][3] == "MASTER"
    assert [t[3] for t in last[1:3]] == ["drums", "vocals"]
    assert last[2][5] == pytest.approx(-6.0, abs=1e-5)
    # Five listeners a track at most; six hundred are not lost on the way either.
    assert live.ask("world.listeners") == 2 + 4 * 122
    live.do("[song.delete_track(5) for _ in range(117)]")
    wait_for(lambda: live.ask("world.listeners") == 2 + 4 * 5, "their listeners went with them")


def test_a_hand_in_live_wins_over_a_value_that_was_on_its_way(live: Live, peer: Peer) -> None:
    peer.join()
    live.fader("vocals", 0.5)
    move = peer.until("moved")[-1].arguments
    assert move[:2] == (2, "volume")
    heard = move[5]
    assert isinstance(heard, int)
    # From before that move was heard of: not done, and the bridge hears again how it stands.
    peer.send("set", 2, "volume", -30.0, 7, heard - 1)
    again = peer.until("moved")[-1].arguments
    assert again[:2] == (2, "volume")
    assert again[2] == pytest.approx(-14.0, abs=1e-5)
    assert again[4] == 7
    assert live.position("vocals") == pytest.approx(0.5)
    # From after it: done, and not told back.
    peer.send("set", 2, "volume", -30.0, 8, heard + 1)
    peer.pong(1)
    assert abs(true_db(live.position("vocals")) + 30.0) <= 0.05
    live.do("song.tracks[1].put('name', 'voice')")
    told = [m.arguments for m in peer.until("tracks/end")]
    assert not [arguments for arguments in told if arguments[1:2] == ("volume",)]
    voice = next(arguments for arguments in told if arguments[3:4] == ("voice",))
    assert voice[4] == 8
    assert voice[5] == pytest.approx(-30.0, abs=0.05)


def test_what_the_bridge_sets_is_not_told_back(live: Live, peer: Peer) -> None:
    peer.join()
    peer.send("set", 2, "volume", -12.0, 1, 0)
    peer.send("set", 2, "mute", 1.0, 2, 0)
    peer.pong(1)
    live.do("song.tracks[0].put('mute', True)")
    heard = [m.arguments[:2] for m in peer.until("moved") if m.address == "/stembridge/moved"]
    assert heard == [(1, "mute")]
    assert live.ask("song.tracks[1].mute") is True


def test_a_fader_that_cannot_be_set_is_told_as_it_stands(live: Live, peer: Peer) -> None:
    peer.join()
    live.do("song.tracks[1].mixer_device.volume.set_value = lambda value: None")
    peer.send("set", 2, "volume", -12.0, 5, 0)
    moved = peer.until("moved")[-1].arguments
    assert moved[:2] == (2, "volume")
    assert moved[2] == pytest.approx(-6.0, abs=1e-5)
    assert moved[4] == 5


def test_hostile_packets_are_dropped(live: Live, peer: Peer) -> None:
    rng = random.Random(7)
    peer.join()
    good = encode(Message("/stembridge/set", (2, "volume", -3.0, 1, 0)))
    osc = module("osc")
    packets = [*HOSTILE.values(), *_ours(rng, good)]
    for packet in packets:
        began = time.process_time()
        with contextlib.suppress(osc.PacketError):
            osc.decode(packet)
        assert time.process_time() - began < 0.1  # of the processor, and generous: none takes a millisecond
    for number, packet in enumerate(packets):
        peer.socket.send(packet[:60000])
        if number % 40 == 39:
            peer.pong(number)  # a socket holds only so many
    wait_for(lambda: _answers(live), "it goes on")
    peer.pong(99)
    log = live.log()
    assert len(log) <= 110
    assert not any("Traceback" in line for line in log)
    assert live.ask("[len(song.tracks), world.undo_depth]") == [2, 0]


def _answers(live: Live) -> bool:
    """A hello on a socket of its own is answered: with busy, as another bridge is there."""
    probe = Peer(live.port)
    try:
        probe.send("hello", 1, 0)
        return any(m.address == "/stembridge/busy" for m in probe.until("busy"))
    finally:
        probe.socket.close()


def _ours(rng: random.Random, good: bytes) -> Iterator[bytes]:
    """Nonsense close to what a bridge says."""
    for word, arguments in (
        ("set", ()),
        ("set", ("x", "volume", 1.0, 1, 0)),
        ("set", (2, "__class__", 1.0, 1, 0)),
        ("set", (2, "volume", float("nan"), 1, 0)),
        ("set", (2, "volume", float("inf"), 1, 0)),
        ("set", (-5, "volume", 0.0, 1, 0)),
        ("import", (1, 100000, "x", "0", "0")),
        ("import", (1, 2, "x", "nan", "no number")),
        ("stem", (1, 0, "vocals", "x", "/nowhere.wav")),
        ("import", (2, 1, "x", "0", "0")),
        ("stem", (2, 5, "vocals", "x", "/nowhere.wav")),
        ("selected", ()),
        ("ping", ("x",)),
        ("close", ()),
        ("_take", (1,)),
        ("hello", ()),
        ("hello", (2,)),
    ):
        yield encode(Message(f"/stembridge/{word}", arguments))
    bundle = b"#bundle\0" + bytes(8)
    yield bundle + struct.pack(">i", -4) + good
    deep = good
    for _ in range(10):
        deep = bundle + struct.pack(">i", len(deep)) + deep
    yield deep
    yield bundle + (struct.pack(">i", 4) + b"/a\0\0") * 2000
    for _ in range(300):
        cut = bytearray(good * rng.randrange(1, 3))
        for _ in range(rng.randrange(1, 6)):
            cut[rng.randrange(len(cut))] = rng.randrange(256)
        yield bytes(cut[: rng.randrange(len(cut) + 1)])
        yield rng.randbytes(rng.randrange(1, 200))


def test_a_flood_is_taken_in_pieces(live: Live, peer: Peer) -> None:
    peer.join()
    for number in range(400):
        peer.send("set", 2, "volume", -(number % 50) - 1.0, number + 1, 0)
        if number % 100 == 99:
            peer.pong(number)  # more than a tick takes, less than a socket holds
    peer.send("set", 2, "volume", -7.0, 401, 0)
    wait_for(lambda: abs(true_db(live.position("vocals")) + 7.0) < 0.01, "the last one counts")


def test_a_taken_port_is_said_and_tried_again() -> None:
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        with Live(port, {"vocals": 0.85}, tick_s=0.005) as live:
            wait_for(lambda: any("taken" in line for line in live.log()), "it says so")
            taken.close()
            peer = Peer(port)
            wait_for(lambda: live.ask("world.messages")[-1].endswith(f"port {port}"), "and gets it later")
            assert peer.join()
            peer.socket.close()


def test_nothing_it_raises_reaches_live(live: Live, peer: Peer) -> None:
    peer.join()
    live.do("script._stembridge._mixer.moves = None")  # anything at all that can break
    wait_for(lambda: any("Traceback" in line for line in live.log()), "it is in Live's log")
    wait_for(lambda: len(live.log()) == 20, "twenty times")
    assert live.ask("script.connected") is True


def test_its_law_is_the_bridges() -> None:
    fader = module("fader")
    for step in range(2001):
        position = step / 2000
        assert fader.law_gain_db(position) == pytest.approx(LAW.db(position), abs=1e-9) or position == 0.0
    for gain_db in range(-69, 7):
        assert fader.law_position(gain_db) == pytest.approx(LAW.position(gain_db), abs=1e-12)


@pytest.mark.parametrize("digits", [1, 2])
def test_gains_are_as_exact_as_lives_display_allows(digits: int) -> None:
    fader = module("fader")
    volume = World().song.master_track.mixer_device.volume

    class Shown:
        def str_for_value(self, value: float) -> str:
            text = volume.str_for_value(value)
            return text if "inf" in text else f"{true_db(value):.{digits}f} dB"

    worst_there = max(abs(fader.gain_db(Shown(), p / 500) - true_db(p / 500)) for p in range(10, 501))
    worst_back = max(abs(true_db(fader.position_of(Shown(), g / 10)) - g / 10) for g in range(-650, 61))
    assert worst_there < 0.03
    assert worst_back < 0.03
    assert fader.gain_db(Shown(), 0.0) == -144.0
    assert fader.position_of(Shown(), 9.0) == 1.0
    assert fader.position_of(Shown(), -144.0) == 0.0


@pytest.mark.parametrize(
    ("text", "value"),
    [("-6.0 dB", (-6.0, 0.05)), ("−3,25 dB", (-3.25, 0.005)), ("-inf dB", (-144.0, 0.0)), ("loud", None)],
)
def test_lives_display_is_read(text: str, value: tuple[float, float] | None) -> None:
    class Shown:
        def str_for_value(self, _value: float) -> str:
            return text

    found = module("fader").shown_db(Shown(), 0.5)
    assert found == (pytest.approx(value) if value is not None else None)
