"""What is kept of a plug-in's window: a preset that sounds the same again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import peers
import pytest
import signals
from stembridge.bridge.plugin_editor import check_free, save_plugin, starting_point
from stembridge.bridge.presets import load_preset
from stembridge.model.errors import OutputError, PluginError
from stembridge.model.plugins.chain import build
from stembridge.model.plugins.chain_spec import ChainSpec, PluginSpec
from stembridge.model.plugins.parameters import Value
from stembridge.model.plugins.plugin_process import PluginProcess

RATE = 44100
PATIENCE_S = 60


def test_what_is_saved_sounds_the_same_again(tmp_path: Path) -> None:
    plugin = Path(peers.vst3("ZamCompX2"))
    values: dict[str, Value] = {"current_program": "PoppySnare", "threshold_db": -33.0, "ratio": 5.0}
    spec = PluginSpec(file=str(plugin), parameters=values)
    process = PluginProcess()
    try:
        process.describe(spec)
        saved = save_plugin(process, spec, check_free(tmp_path / "snare", plugin))
    finally:
        process.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["snare.toml", "snare.vstpreset"]
    preset = load_preset(saved.preset)
    assert preset.mix_chain is not None
    (entry,) = preset.mix_chain.plugins
    assert (entry.file, entry.state) == ("ZamCompX2.vst3", saved.state)
    assert entry.parameters["ratio"] == pytest.approx(5.0, abs=0.01)
    assert "gain_reduction_db" not in entry.parameters
    audio = signals.noise(RATE)
    expected = build(ChainSpec((spec,)), RATE, 2)(audio, RATE)
    np.testing.assert_allclose(build(preset.mix_chain, RATE, 2)(audio, RATE), expected, atol=1e-6)
    state_alone = PluginSpec(file=str(plugin), state=saved.state)
    np.testing.assert_allclose(build(ChainSpec((state_alone,)), RATE, 2)(audio, RATE), expected, atol=1e-6)
    # and the next edit starts there
    assert starting_point(plugin, None, str(saved.preset)) == PluginSpec(
        **{**vars(entry), "file": str(plugin)}
    )


def test_a_plugin_outside_the_folders_is_saved_with_its_whole_path(tmp_path: Path) -> None:
    link = tmp_path / "ZamCompX2.vst3"
    link.symlink_to(peers.vst3("ZamCompX2"))
    process = PluginProcess()
    try:
        spec = PluginSpec(file=str(link))
        process.describe(spec)
        saved = save_plugin(process, spec, check_free(tmp_path / "a.toml", link))
    finally:
        process.close()
    chain = load_preset(saved.preset).mix_chain
    assert chain is not None
    assert chain.plugins[0].file == str(link)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "a.vstpreset").write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"a\.vstpreset is there already"):
        check_free(tmp_path / "a", Path("X.vst3"))
    assert check_free(tmp_path / "a", Path("X.vst3"), overwrite=True).preset == tmp_path / "a.toml"
    assert check_free(tmp_path / "b.v2", Path("X.component")).state == tmp_path / "b.v2.state"
    with pytest.raises(OutputError, match="no folder"):
        check_free(tmp_path / "no/a", Path("X.vst3"))


def test_starting_points() -> None:
    plugin = Path(peers.vst3("ZamCompX2"))
    assert starting_point(plugin, None, None) == PluginSpec(file=str(plugin))
    assert starting_point(plugin, None, "x.vstpreset").state == Path("x.vstpreset")
    with pytest.raises(PluginError, match=r"preset stem-master has no ZamCompX2\.vst3"):
        starting_point(plugin, None, "stem-master")


@pytest.fixture
def display(tmp_path: Path) -> Iterator[str]:
    """A screen that nobody sees."""
    read, write = os.pipe()
    command = [peers.require("Xvfb"), "-displayfd", str(write), "-noreset", "-screen", "0", "800x600x24"]
    with (
        (tmp_path / "xvfb.log").open("wb") as log,
        subprocess.Popen(command, pass_fds=(write,), stderr=log) as server,
        os.fdopen(read) as answer,
    ):
        os.close(write)
        yield f":{answer.readline().strip()}"
        server.terminate()


def test_the_window_opens_and_ctrl_c_closes_it_without_saving(display: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    xwininfo = peers.require("xwininfo")
    environment = {**os.environ, "DISPLAY": display}
    command = [sys.executable, "-c", "import sys; from stembridge.bridge.cli import main; sys.exit(main())"]
    command += ["plugins", "edit", peers.vst3("ZaMaximX2"), "--save", str(out / "glue")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as editor:
        shown = ""
        while "Pedalboard" not in shown and editor.poll() is None:
            shown = subprocess.run(
                [xwininfo, "-root", "-tree"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
            ).stdout
        assert editor.poll() is None, editor.communicate()[1]
        editor.send_signal(signal.SIGINT)
        errors = editor.communicate(timeout=PATIENCE_S)[1]
    assert editor.returncode == 130
    assert "interrupted" in errors
    assert list(out.iterdir()) == []
