"""OSC over real sockets: answers, subscriptions, echo rules, patterns, limits, and real clients of liblo."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import subprocess
import time
from collections.abc import Iterator

import pytest
from bridges import RunningHub, running_hub, wait_for
from peers import require
from stembridge.bridge.client import BridgeError, BridgeOfflineError, Client
from stembridge.bridge.messages import Message, Value
from stembridge.bridge.osc.packets import bundles, decode, encode
from stembridge.bridge.osc.peer import Bucket
from stembridge.bridge.osc.transports import PortInUseError
from test_osc_packets import HOSTILE, NOW


@pytest.fixture
def bridge() -> Iterator[RunningHub]:
    with running_hub() as running:
        yield running


def client(bridge: RunningHub) -> Client:
    return Client("127.0.0.1", bridge.ports.udp)


def gain_db(bridge: RunningHub, stem: str) -> float:
    return bridge.hub.session.desk.strips[stem].gain_db


def collect(peer: Client, until: str, *arguments: Value) -> list[Message]:
    """What comes up to and with a message at an address (and, if given, with these arguments)."""
    found: list[Message] = []
    for message in peer.messages(30.0):
        found.append(message)
        if message.address == until and (not arguments or message.arguments == arguments):
            return found
    raise AssertionError(f"no {until} {arguments} among {found}")


def test_set_ask_and_answer_on_one_address(bridge: RunningHub) -> None:
    with client(bridge) as peer:
        assert peer.set("/stem/vocals/gain", -6.0) == []
        assert peer.ask("/stem/vocals/gain") == -6.0
        assert peer.ask("/stem/4/fader") == pytest.approx(0.606968, abs=1e-5)
        peer.set("/stem/vocals/mute", 1)
        assert peer.ask("/stem/vocals/mute") == 1
        peer.set("/stem/vocals/mute/toggle")
        assert peer.ask("/stem/vocals/mute") == 0
        peer.set("/master/gain", -3)
        assert peer.ask("/master/gain") == -3.0
        peer.set("/stem/vocals/gain", float("-inf"))
        assert peer.ask("/stem/vocals/gain") == -144.0


def test_stems_and_scenes_are_listed_with_an_end(bridge: RunningHub) -> None:
    with client(bridge) as peer:
        stems = peer.set("/stem/list")
        assert [m.arguments[1] for m in stems[:-1]] == ["drums", "bass", "other", "vocals"]
        assert stems[0] == Message("/stem/item", (1, "drums", 0.0, 0.0, 0, 0))
        assert stems[-1] == Message("/stem/list/end", (4,))
        assert peer.set("/mix/store", "verse") == [Message("/mix/stored", ("verse",))]
        assert peer.set("/mix/list") == [Message("/mix/item", (1, "verse")), Message("/mix/list/end", (1,))]


@pytest.mark.parametrize(
    ("address", "arguments", "code"),
    [
        ("/nothing", (), "unknown_address"),
        ("/stem/vocals/colour", (1,), "unknown_address"),
        ("/stem/kazoo/gain", (1.0,), "not_found"),
        ("/stem/*/colour", (1.0,), "unknown_address"),
        ("/stem/vocals/gain", ("loud",), "bad_args"),
        ("/stem/vocals/gain", (1.0, 2.0, 3.0), "bad_args"),
        ("/stem/vocals/gain", (float("nan"),), "bad_range"),
        ("/stem/vocals/gain", (float("inf"),), "bad_range"),
        ("/stem/vocals/gain", (0.0, -1.0), "bad_range"),
        ("/stem/vocals/fader", (1.5,), "bad_range"),
        ("/mix/recall", ("never",), "not_found"),
        ("/mix/store", (3.5,), "bad_args"),
        ("/subscribe", ("no slash",), "bad_range"),
        ("/subscribe", ("/", 0), "bad_range"),
        ("/sync", (1.5,), "bad_range"),
        ("/job/status", ("seven",), "bad_args"),
    ],
)
def test_errors_say_what_and_where(
    bridge: RunningHub, address: str, arguments: tuple[Value, ...], code: str
) -> None:
    with client(bridge) as peer, pytest.raises(BridgeError) as refused:
        peer.set(address, *arguments)
    assert (refused.value.code, refused.value.address) == (code, address)


def test_errors_carry_the_tag_of_the_request(bridge: RunningHub) -> None:
    with client(bridge) as peer:
        peer.send("/render", "take 7")
        (error,) = collect(peer, "/error")
        assert error.arguments[0] == "bad_args"
        assert error.arguments[3] == "take 7"


def test_buttons_press_and_their_release_is_ignored(bridge: RunningHub) -> None:
    with client(bridge) as peer:
        peer.set("/stem/vocals/mute/toggle", 1.0)
        peer.set("/stem/vocals/mute/toggle", 0.0)
        assert peer.ask("/stem/vocals/mute") == 1
        peer.set("/stem/vocals/gain", -9.0)
        peer.set("/mix/reset", 0.0)
        assert peer.ask("/stem/vocals/gain") == -9.0
        peer.set("/mix/reset", 1.0)
        assert peer.ask("/stem/vocals/gain") == 0.0


def test_subscriber_gets_a_framed_snapshot_and_then_changes(bridge: RunningHub) -> None:
    with client(bridge) as watcher, client(bridge) as mover:
        mover.set("/stem/bass/gain", -4.5)
        shown = watcher.set("/subscribe", "/", 60)
        assert shown[0].address == "/subscribed"
        assert shown[0].arguments[2] == 60
        values = {m.address: m.arguments[0] for m in shown[2:-1]}
        assert (shown[1], shown[-1]) == (Message("/update", (1,)), Message("/update", (0,)))
        assert values["/stem/bass/gain"] == -4.5
        assert values["/stem/vocals/mute"] == 0
        assert values["/master/gain"] == 0.0
        mover.set("/stem/vocals/gain", -6.0)
        changed = collect(watcher, "/stem/vocals/fader")
        assert Message("/stem/vocals/gain", (-6.0,)) in changed
        mover.set("/mix/store", "verse")
        assert collect(watcher, "/mix/stored")[-1].arguments == ("verse",)


def test_prefix_narrows_a_subscription_and_unsubscribe_ends_it(bridge: RunningHub) -> None:
    with client(bridge) as watcher, client(bridge) as mover:
        shown = watcher.set("/subscribe", "/master/", 60)
        assert {m.address for m in shown[2:-1]} == {"/master/gain", "/master/mute"}
        mover.set("/stem/vocals/gain", -1.0)
        mover.set("/master/gain", -2.0)
        assert [m.address for m in collect(watcher, "/master/gain")] == ["/master/gain"]
        assert watcher.set("/unsubscribe", "/master/") == [Message("/unsubscribed", ("/master/",))]
        mover.set("/master/gain", -3.0)
        assert watcher.set("/ping", 1) == [Message("/pong", (1,))]
        assert bridge.call(lambda: len(bridge.osc.clients)) == 0


def test_mover_hears_nothing_of_its_own_but_the_end(bridge: RunningHub) -> None:
    with client(bridge) as mover:
        mover.set("/subscribe", "/stem/vocals/gain", 60)
        for step in range(50):
            mover.send("/stem/vocals/gain", -step / 10)
        (heard,) = collect(mover, "/stem/vocals/gain")
        assert heard.arguments == pytest.approx((-4.9,))
        assert not [m for m in mover.set("/ping") if m.address != "/pong"]


def test_mover_is_told_what_became_of_its_value(bridge: RunningHub) -> None:
    with client(bridge) as mover:
        mover.set("/subscribe", "/stem/vocals/gain", 60)
        mover.send("/stem/vocals/gain", 99.0)
        assert collect(mover, "/stem/vocals/gain")[-1].arguments == (12.0,)


def test_an_echo_moves_nothing_and_another_value_does(bridge: RunningHub) -> None:
    with client(bridge) as echo, client(bridge) as mover:
        echo.set("/subscribe", "/stem/vocals/gain", 60)
        mover.set("/subscribe", "/stem/vocals/gain", 60)
        mover.set("/stem/vocals/gain", -6.0)
        (told,) = collect(echo, "/stem/vocals/gain")
        mover.set("/stem/vocals/gain", -7.0)  # the desk is somewhere else by now
        echo.set("/stem/vocals/gain", told.arguments[0])  # a host that repeats what it was told, late
        assert gain_db(bridge, "vocals") == -7.0
        echo.set("/stem/vocals/gain", -20.0)
        assert gain_db(bridge, "vocals") == -20.0


def test_touched_fader_is_left_alone_until_it_is_let_go(bridge: RunningHub) -> None:
    with client(bridge) as hand, client(bridge) as mover:
        hand.set("/subscribe", "/stem/vocals/gain", 60)
        hand.set("/stem/vocals/fader/touch", 1)
        mover.set("/stem/vocals/gain", -6.0)
        mover.set("/stem/vocals/gain", -8.0)
        assert hand.set("/ping") == [Message("/pong")]
        hand.send("/stem/vocals/fader/touch", 0)
        assert collect(hand, "/stem/vocals/gain")[-1].arguments == (-8.0,)


def test_many_changes_become_few_messages_and_the_last_arrives(bridge: RunningHub) -> None:
    with client(bridge) as watcher, client(bridge) as mover:
        watcher.set("/subscribe", "/stem/vocals/gain", 60)
        began = time.monotonic()
        for step in range(1, 1001):
            mover.send("/stem/vocals/gain", -step / 100)
        mover.set("/sync", 1)
        heard = collect(watcher, "/stem/vocals/gain", -10.0)
        seconds = time.monotonic() - began
        assert len(heard) <= seconds * 30 + 3


def test_fade_is_told_in_steps_and_ends_exactly(bridge: RunningHub) -> None:
    with client(bridge) as watcher, client(bridge) as mover:
        watcher.set("/subscribe", "/stem/bass/gain", 60)
        mover.set("/stem/bass/gain", -20.0, 0.5)
        assert bridge.hub.session.desk.strips["bass"].gain_db == -20.0
        collect(watcher, "/stem/bass/gain", -20.0)
        bridge.call(lambda: None)
        wait_for(lambda: not bridge.hub.session.fading, "the fade never ended")


def test_patterns_set_and_ask_every_stem(bridge: RunningHub) -> None:
    with client(bridge) as peer:
        peer.set("/stem/{drums,bass}/gain", -5.0)
        assert (gain_db(bridge, "drums"), gain_db(bridge, "vocals")) == (-5.0, 0.0)
        answers = {m.address: m.arguments[0] for m in peer.set("/stem/*/gain")}
        assert answers["/stem/bass/gain"] == -5.0
        assert len(answers) == 5


def test_bundles_are_applied_whole_and_dated_ones_when_due(bridge: RunningHub) -> None:
    with client(bridge) as peer:
        now = list(bundles([encode(Message(f"/stem/{n}/gain", (-1.0,))) for n in (1, 2, 3, 4)]))
        peer._socket.send(now[0])
        peer.set("/ping")
        assert {gain_db(bridge, stem) for stem in bridge.hub.session.stems} == {-1.0}
        due = time.time() + 0.4
        tag = struct.pack(">II", int(due) + 2_208_988_800, int(due % 1 * 2**32))
        message = encode(Message("/stem/1/gain", (-2.0,)))
        peer._socket.send(b"#bundle\0" + tag + struct.pack(">i", len(message)) + message)
        peer.set("/ping")
        early = time.time() < due
        assert gain_db(bridge, "drums") == -1.0 or not early
        wait_for(lambda: gain_db(bridge, "drums") == -2.0, "the dated bundle was never applied")
        assert time.time() >= due - 0.05
        far = struct.pack(">II", int(due) + 2_208_988_800 + 3600, 0)
        peer._socket.send(b"#bundle\0" + far + struct.pack(">i", len(message)) + message)
        message = encode(Message("/stem/1/gain", (-3.0,)))
        peer._socket.send(b"#bundle\0" + far + struct.pack(">i", len(message)) + message)
        wait_for(lambda: gain_db(bridge, "drums") == -3.0, "a sender with a wrong clock was not served")


def test_hostile_packets_hurt_nobody(bridge: RunningHub) -> None:
    random_ = random.Random(11)
    with client(bridge) as peer, client(bridge) as good:
        for packet in HOSTILE.values():
            with contextlib.suppress(OSError):
                peer._socket.send(packet[:65507])
        for _ in range(2000):
            peer._socket.send(random_.randbytes(random_.randrange(0, 200)))
        good.set("/stem/vocals/gain", -11.0)
        assert good.ask("/stem/vocals/gain") == -11.0


def test_flood_of_requests_is_limited_and_said_so_but_values_are_not(bridge: RunningHub) -> None:
    with client(bridge) as flooder, client(bridge) as good:
        flooder.set("/ping")
        place = f"osc:udp:127.0.0.1:{flooder._socket.getsockname()[1]}"
        bridge.osc.conversation.peers[place].bucket = Bucket(10, 0.0)  # as if it had used up its second
        for _ in range(20):
            flooder.send("/version")
        heard = collect(flooder, "/error")
        assert [m.address for m in heard].count("/version") == 10
        assert heard[-1].arguments[0] == "rate_limited"
        for step in range(3000):
            flooder.send("/stem/bass/gain", -step / 1000)
        wait_for(lambda: gain_db(bridge, "bass") == pytest.approx(-2.999), "the last value was lost")
        assert good.ask("/stem/bass/gain") == pytest.approx(-2.999)


def test_bucket_fills_again_with_time() -> None:
    bucket = Bucket(3, 10.0)
    assert [bucket.take(1.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(1.15) for _ in range(2)] == [True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_sync_comes_after_everything_sent_before(bridge: RunningHub) -> None:
    with client(bridge) as peer:
        for n in range(20):
            peer.send("/stem/vocals/gain", float(-n))
            peer.send("/stem/vocals/gain")
            peer.send("/sync", n)
        heard = collect(peer, "/synced", 19)
        assert [m for m in heard if m.address == "/synced"] == [Message("/synced", (n,)) for n in range(20)]
        gains = [m.arguments[0] for m in heard if m.address == "/stem/vocals/gain"]
        assert gains == [float(-n) for n in range(20)]


def test_lease_ends_and_any_packet_renews_it(bridge: RunningHub) -> None:
    with client(bridge) as lazy, client(bridge) as busy:
        lazy.set("/subscribe", "/", 1)
        busy.set("/subscribe", "/", 2)
        until = time.monotonic() + 4.0
        while time.monotonic() < until:
            busy.set("/ping")
            time.sleep(0.2)
        wait_for(lambda: len(bridge.osc.clients) == 1, "the lease that was not renewed never ended")
        assert bridge.call(lambda: [c.peer.port for c in bridge.osc.clients]) == [
            busy._socket.getsockname()[1]
        ]


def test_subscription_to_another_port_of_the_same_host(bridge: RunningHub) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, client(bridge) as peer:
        other.bind(("127.0.0.1", 0))
        other.settimeout(30)
        peer.send("/subscribe", "/master/gain", 60, other.getsockname()[1])
        first = [m.address for m in decode(other.recv(65535))]
        assert first == ["/subscribed", "/update", "/master/gain", "/update"]
        with client(bridge) as mover:
            mover.set("/master/gain", -2.0)
        assert decode(other.recv(65535)) == [Message("/master/gain", (-2.0,))]
        peer.set("/master/gain", -4.0)  # its own move: told at the end of it only
        assert decode(other.recv(65535)) == [Message("/master/gain", (-4.0,))]


def test_clients_are_limited(bridge: RunningHub) -> None:
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(client(bridge)) for _ in range(17)]
        for peer in peers[:16]:
            peer.set("/subscribe")
        with pytest.raises(BridgeError) as refused:
            peers[16].set("/subscribe")
        assert refused.value.code == "busy"
        peers[0].set("/unsubscribe")
        peers[16].set("/subscribe")


def test_tcp_takes_framed_packets_and_drops_what_is_no_frame(bridge: RunningHub) -> None:
    with socket.create_connection(("127.0.0.1", bridge.ports.tcp), timeout=30) as stream:
        packet = encode(Message("/stem/vocals/gain", (-6.0,))), encode(Message("/stem/vocals/gain"))
        data = b"".join(struct.pack(">i", len(one)) + one for one in packet)
        for byte in data:
            stream.send(bytes([byte]))
        size = struct.unpack(">i", _exactly(stream, 4))[0]
        assert decode(_exactly(stream, size)) == [Message("/stem/vocals/gain", (-6.0,))]
        stream.send(b"\x7f\xff\xff\xff")
        assert stream.recv(1) == b""
    with client(bridge) as peer:
        assert peer.ask("/stem/vocals/gain") == -6.0


def test_tcp_subscriber_that_leaves_is_forgotten(bridge: RunningHub) -> None:
    with socket.create_connection(("127.0.0.1", bridge.ports.tcp), timeout=30) as stream:
        packet = encode(Message("/subscribe"))
        stream.send(struct.pack(">i", len(packet)) + packet)
        size = struct.unpack(">i", _exactly(stream, 4))[0]
        assert decode(_exactly(stream, size))[0].address == "/subscribed"
        assert len(bridge.osc.clients) == 1
    wait_for(lambda: len(bridge.osc.clients) == 0, "a closed connection kept its subscription")


def _exactly(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += stream.recv(size - len(data))
    return data


def test_port_in_use_is_said_with_what_to_do(bridge: RunningHub) -> None:
    import asyncio

    from stembridge.bridge.osc.service import OscService
    from stembridge.bridge.osc.transports import Transports

    async def second() -> None:
        await Transports(OscService(bridge.hub)).open(["127.0.0.1"], bridge.ports.udp)

    with pytest.raises(PortInUseError, match=f"{bridge.ports.udp}.*lsof.*--port"):
        asyncio.run(second())


def test_no_bridge_is_said_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with Client("127.0.0.1", port) as peer, pytest.raises(BridgeOfflineError, match="stembridge serve"):
        peer.set("/ping")


def test_oscsend_and_oscdump(bridge: RunningHub) -> None:
    """liblo's own programs: UDP and TCP in, and a subscription that another program reads."""
    oscsend, oscdump = require("oscsend"), require("oscdump")
    place = ["127.0.0.1", str(bridge.ports.udp)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with subprocess.Popen([oscdump, "-L", str(port)], stdout=subprocess.PIPE, text=True) as dump:
        try:
            time.sleep(0.3)
            subprocess.run([oscsend, *place, "/stem/vocals/gain", "f", "-6"], check=True)
            wait_for(lambda: gain_db(bridge, "vocals") == -6.0, "oscsend's float never arrived")
            subprocess.run([oscsend, *place, "/stem/bass/gain", "i", "-3"], check=True)
            wait_for(lambda: gain_db(bridge, "bass") == -3.0, "oscsend's int never arrived")
            subprocess.run([oscsend, *place, "/stem/vocals/mute", "T"], check=True)
            wait_for(lambda: bridge.hub.session.desk.strips["vocals"].muted, "oscsend's true never arrived")
            stream = f"osc.tcp://127.0.0.1:{bridge.ports.tcp}"
            subprocess.run([oscsend, stream, "/stem/drums/gain", "d", "-9"], check=True)
            wait_for(lambda: gain_db(bridge, "drums") == -9.0, "oscsend over TCP never arrived")
            subprocess.run([oscsend, *place, "/subscribe", "sii", "/", "60", str(port)], check=True)
            assert dump.stdout is not None
            lines: list[str] = []
            for line in dump.stdout:
                lines.append(line.strip())
                if "/update i 0" in line:
                    break
            assert any("/stem/vocals/gain f -6.0" in line for line in lines)
            subprocess.run([oscsend, *place, "/master/gain", "f", "-2"], check=True)
            assert any("/master/gain f -2.0" in line for line in iter(dump.stdout.readline, ""))
        finally:
            dump.kill()


def test_liblo_ignores_nothing_of_ours(bridge: RunningHub) -> None:
    """Silence is an answer nobody can read: every message has one, or an error."""
    with client(bridge) as peer:
        for packet in (b"#bundle\0" + NOW + b"\xff\xff\xff\xfc", b"/a\0\0,Z\0\0"):
            peer._socket.send(packet)
            assert collect(peer, "/error")[-1].arguments[0] == "bad_args"
