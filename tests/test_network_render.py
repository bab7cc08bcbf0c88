"""Networks in renders and in what the command line says: identity, cache, batches, no torch before work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import checkpoints
import numpy as np
import pytest
import rendered
import signals
import soundfile
from stembridge.bridge.advice import advice, better_model
from stembridge.bridge.cli import main
from stembridge.model import StemSeparator, registry
from stembridge.model.checkpoint import CheckpointError, add_facts, read_header
from stembridge.model.errors import ModelMissingError
from stembridge.model.manifest import read_manifest
from stembridge.model.rendering import RenderSpec
from stembridge.model.stem_cache import StemCache

RATE = 8000


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    checkpoints.saved(checkpoints.small_mixer(), tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return rendered.write_song(tmp_path / "song.wav", RATE)


def spec(song: Path, weights: Path, out: str = "out", **changes: object) -> RenderSpec:
    return RenderSpec(song, out=song.parent / out, model=str(weights), **changes)  # type: ignore[arg-type]


def test_a_render_says_which_weights_made_it(song: Path, weights: Path) -> None:
    result = rendered.run(spec(song, weights))
    assert result.plan.model == "mine"
    assert result.null_db is not None
    assert result.null_db < -120
    manifest = read_manifest(result.plan.manifest_path)
    assert manifest is not None
    (entry,) = manifest.renders
    assert entry.model["name"] == "mine"
    assert entry.model["weights_sha256"] == read_header(weights).sha256
    assert (song.parent / "out" / "mine" / "song" / "song - vocals.wav").exists()
    assert rendered.run(spec(song, weights)).skipped


def test_other_weights_of_the_same_name_are_another_model(song: Path, weights: Path, tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    first = rendered.run(spec(song, weights), cache)
    assert rendered.run(spec(song, weights, "again"), cache).cached
    checkpoints.saved(checkpoints.small_mixer(seed=1), weights)
    second = rendered.run(spec(song, weights), cache)
    assert not second.skipped
    assert not second.cached
    assert [e.hash for e in first.files] != [e.hash for e in second.files]
    add_facts(weights, {"speed": 3})  # what is said about them changes no sample
    assert rendered.run(spec(song, weights), cache).skipped
    assert rendered.run(spec(song, weights, options={"segment": 2.0}), cache).cached is False


def test_a_region_is_the_slice_of_the_whole(song: Path, weights: Path) -> None:
    from stembridge.model.units import Time

    whole = rendered.run(spec(song, weights))
    part = rendered.run(spec(song, weights, "part", start=Time(samples=9000), end=Time(samples=11_000)))
    for one, other in zip(whole.files, part.files, strict=True):
        all_of_it = rendered.read(whole.plan.manifest_path.parent / one.file)
        assert np.array_equal(
            rendered.read(part.plan.manifest_path.parent / other.file), all_of_it[:, 9000:11_000]
        )


def test_a_batch_in_processes_gives_the_same_bytes(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for k in range(3):
        soundfile.write(tmp_path / f"{k}.wav", signals.noise(9000, seed=k).T, RATE)
    songs = [str(tmp_path / f"{k}.wav") for k in range(3)]
    for jobs in ("1", "2"):
        arguments = ["-n", str(weights), "-j", jobs, "-o", str(tmp_path / jobs), "--no-cache"]
        assert main(["render", *songs, *arguments]) == 0
    capsys.readouterr()
    for name, path in rendered.files(tmp_path / "1").items():
        if name.endswith(".wav"):
            assert path.read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_the_effect_takes_a_path_and_goes_by_its_name(weights: Path) -> None:
    effect = StemSeparator(str(weights))
    mix = signals.noise(9000)
    assert effect.model == "mine"
    assert np.allclose(sum(effect.stems(mix, RATE).values()), mix, atol=1e-6)
    assert np.array_equal(effect(mix, RATE), mix)


def test_nothing_imports_torch_before_a_network_runs(song: Path, weights: Path) -> None:
    commands = [
        ["models"],
        ["models", str(weights), "--json"],
        ["render", str(song), "-n", str(weights), "--dry-run"],
        ["render", str(song), "-n", str(weights), "--stems", "piano"],
    ]
    code = (
        "import sys\nfrom stembridge.bridge.cli import main\n"
        f"for command in {commands!r}:\n"
        "    try:\n        main(command)\n    except SystemExit:\n        pass\n"
        f"from stembridge.model import StemSeparator\nStemSeparator({str(weights)!r})\n"
        "print('\\nLOADED', [name for name in ('torch', 'safetensors') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("LOADED []")


def test_models_describes_a_checkpoint(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_facts(weights, {"sdr_songs": "two songs", "speed": 12})
    assert main(["models", str(weights), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["name"], facts["rate"], facts["licence"]) == ("mine", RATE, "CC0-1.0")
    assert facts["weights_sha256"] == read_header(weights).sha256
    assert main(["models", str(weights)]) == 0
    out = capsys.readouterr().out
    for text in (
        "8000 Hz",
        "average 1.5, vocals 1.0 dB on two songs",
        "12x real time",
        "CC0-1.0",
        "installed",
    ):
        assert text in out


@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_weights_that_cannot_be_used_cost_one_clear_line(
    song: Path, weights: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = weights.read_bytes()
    weights.unlink()
    if damage == "cut":
        weights.write_bytes(data[:-9])
    if damage == "changed":
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    try:
        code = main(["render", str(song), "-n", str(weights), "-o", str(song.parent / "out")])
    except SystemExit as usage:
        code = int(str(usage.code))
    assert code in (1, 2)
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1
    assert str(weights) in lines[0]
    assert not list((song.parent / "out").rglob("*.wav"))


def test_our_own_weights_are_listed_where_they_lie(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path / "weights")
    with pytest.raises(ModelMissingError, match=r"weights of unet are not in this installation \(unet\.safe"):
        registry.resolve("unet")
    assert main(["models"]) == 0
    assert "unet" not in capsys.readouterr().out
    header = checkpoints.saved(checkpoints.small_unet(), tmp_path / "weights" / "unet.safetensors")
    assert registry.separator_entry("unet").weights_sha256 == header.sha256
    assert registry.list_separators()[0].name == "unet"
    header.path.write_bytes(header.path.read_bytes()[:-1])
    assert main(["models"]) == 0
    assert "unet" in (out := capsys.readouterr().out)
    assert "not installed: " in out
    with pytest.raises(CheckpointError, match="damaged"):
        registry.resolve("unet")


def test_advice_names_what_measured_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    assert "--stems-from" in advice("classic") or "-n " in advice("classic")
    songs = registry.separator_entry("classic").sdr_songs
    mixer = tmp_path / "band-mixer.safetensors"
    checkpoints.saved(checkpoints.small_mixer(), mixer, sdr_db={"average": 16.5}, speed=20, sdr_songs=songs)
    checkpoints.saved(checkpoints.small_unet(), tmp_path / "unet.safetensors", sdr_db={"average": 19.0})
    better = better_model("classic")
    assert better is not None
    assert better.name == "band-mixer"  # the other one gives other stems
    assert advice("classic") == (
        f"band-mixer measured 16.5 dB SDR on {songs} (+14.0 dB), at 20x real time on one core: -n band-mixer"
    )
    assert advice("band-mixer") == ""
    add_facts(mixer, {"sdr_songs": "other songs"})  # then the two figures cannot be compared
    assert "+" not in advice("classic")
