"""What `serve` is told: the configuration's tables, the links' options, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from stembridge.bridge.config import ConfigError, load_config
from stembridge.bridge.daws.catalogue import LINKS, LinkError, check_link
from stembridge.bridge.serve_settings import (
    DawSettings,
    OscClient,
    ServeSettings,
    SettingError,
    parse_daw,
    settings_from,
)


def read(tmp_path: Path, text: str) -> ServeSettings:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return settings_from(load_config(path))


def test_defaults_are_loopback_and_9331(tmp_path: Path) -> None:
    settings = read(tmp_path, "")
    assert settings.hosts == ("127.0.0.1",)
    assert settings.port == 9331
    assert not settings.announce
    assert not settings.midi.wanted


def test_every_table_is_read(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
        [serve]
        port = 9500
        listen = "192.168.1.5"
        roots = ["~/Music", "/songs"]
        out = "/out"
        state = "/state"
        fader_law = "live"
        no_progress_s = 30
        memory_gb = 4
        [midi]
        input = "nano"
        takeover = "scale"
        [[daw]]
        name = "ardour"
        [[daw]]
        name = "reaper"
        mode = "import"
        listen_port = 9002
        [[osc.client]]
        host = "192.168.1.20"
        port = 9000
        prefix = "/stem/"
        """,
    )
    assert settings.port == 9500
    assert settings.hosts == ("192.168.1.5",)
    assert settings.roots == (Path.home() / "Music", Path("/songs"))
    assert (settings.out, settings.state, settings.fader_law) == (Path("/out"), Path("/state"), "live")
    assert (settings.midi.input, settings.midi.takeover, settings.midi.wanted) == ("nano", "scale", True)
    assert settings.daws[1] == DawSettings("reaper", {"mode": "import", "listen_port": "9002"})
    assert settings.clients == (OscClient("192.168.1.20", 9000, "/stem/"),)
    for daw in settings.daws:
        check_link(daw.name, daw.options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[serve]\nprot = 1", "port"),
        ("[serve]\nport = 'x'", "number"),
        ("[serve]\nport = 70000", "65534"),
        ("[serve]\nlisten = 'localhost'", "IP address"),
        ("[midi]\nports = 1", "no key 'ports'"),
        ("[[daw]]\nmode = 'import'", "name"),
        ("[daw]\nname = 'ardour'", "list of tables"),
        ("[[osc.client]]\nhost = '1.2.3.4'", "port"),
        ("[[osc.client]]\nhost = 'tablet'\nport = 9000", "tablet"),
        ("[osc]\nclients = 3", "client"),
        ("[serve]\nroots = 3", "list of folders"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, text)


def test_links_are_read_from_flags() -> None:
    assert parse_daw("ardour") == DawSettings("ardour", {})
    assert parse_daw("reaper:mode=import,send_port=8001").options == {"mode": "import", "send_port": "8001"}
    with pytest.raises(SettingError, match="key=value"):
        parse_daw("reaper:import")


@pytest.mark.parametrize("name", LINKS)
def test_every_link_has_a_mode_and_says_what_options_it_has(name: str) -> None:
    check_link(name, {"mode": "remote"})
    with pytest.raises(LinkError, match="mode"):
        check_link(name, {"colour": "red"})
    with pytest.raises(LinkError, match="remote, import"):
        check_link(name, {"mode": "both"})


def test_unknown_links_are_named() -> None:
    with pytest.raises(LinkError, match="ardour"):
        check_link("protools", {})
    with pytest.raises(LinkError, match="whole number"):
        check_link("reaper", {"send_port": "many"})
