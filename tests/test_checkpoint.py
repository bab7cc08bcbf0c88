"""Checkpoints: what was saved comes back, and what is wrong with a file is said before it is used."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import checkpoints
import pytest
import torch
from safetensors.torch import load_file, save_file
from stembridge.model.checkpoint import (
    KEY,
    CheckpointError,
    add_facts,
    load_network,
    load_tensors,
    read_header,
    save_checkpoint,
)
from stembridge.model.errors import ArgumentTypeError, ArgumentValueError, ModelMissingError, OutputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    checkpoints.saved(checkpoints.small_unet(), tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def metadata(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    table = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    said: dict[str, Any] = json.loads(table["__metadata__"][KEY])
    return said


def rewritten(path: Path, **changes: object) -> None:
    """Write other things into the header, as a newer version or a stranger would."""
    save_file(load_file(path), path, {KEY: json.dumps({**metadata(path), **changes})})


def test_a_network_comes_back(path: Path) -> None:
    network, loaded = checkpoints.small_unet(), load_network(path)
    assert loaded.config == network.config
    assert not loaded.training
    mix = torch.randn(1, 1, 64, 129, dtype=torch.complex64)
    with torch.inference_mode():
        assert torch.equal(loaded(mix), network(mix))


def test_the_header_says_what_it_is(path: Path) -> None:
    header = read_header(path)
    assert (header.name, header.network) == ("mine", "unet")
    assert (header.stems, header.residual_stem) == (("accompaniment", "vocals"), "accompaniment")
    assert (header.sample_rate, header.channels, header.hop_frames) == (8000, 1, 64)
    assert (header.segment_times, header.context_times, header.causal) == (64, 16, False)
    assert header.facts == checkpoints.FACTS
    assert header.parameters == sum(
        tensor.numel() for tensor in checkpoints.small_unet().state_dict().values()
    )
    assert header.bytes == path.stat().st_size


def test_the_hash_is_that_of_the_tensors_in_the_order_of_their_names(path: Path) -> None:
    tensors = load_file(path)
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].numpy().tobytes())
    assert read_header(path).sha256 == digest.hexdigest()


def test_the_identity_follows_weights_and_config_and_nothing_else(tmp_path: Path) -> None:
    def identity(name: str, **changes: Any) -> str:
        return checkpoints.saved(checkpoints.small_unet(**changes), tmp_path / name).identity

    first = identity("a.safetensors")
    assert identity("b.safetensors") == first
    assert identity("c.safetensors", power=0.5) != first
    assert add_facts(tmp_path / "b.safetensors", {"step": 3}).identity == first
    other = checkpoints.small_unet(seed=1)
    assert checkpoints.saved(other, tmp_path / "d.safetensors").identity != first


def test_half_precision_halves_the_file_and_comes_back_as_float32(tmp_path: Path, path: Path) -> None:
    network = checkpoints.small_unet()
    half = save_checkpoint(tmp_path / "half.safetensors", network, {}, half=True)
    assert half.bytes < 0.65 * path.stat().st_size
    loaded = load_network(half.path)
    for name, tensor in loaded.state_dict().items():
        meant = network.state_dict()[name]
        assert tensor.dtype == meant.dtype
        assert torch.allclose(tensor, meant, rtol=1e-3, atol=1e-6)


def test_what_float16_cannot_hold_stays_as_it_is(tmp_path: Path) -> None:
    network = checkpoints.small_unet()
    name, parameter = next((n, p) for n, p in network.named_parameters() if p.dim() > 1)
    with torch.no_grad():
        parameter.mul_(1e6)
    loaded = load_network(save_checkpoint(tmp_path / "x.safetensors", network, {}, half=True).path)
    assert torch.equal(loaded.state_dict()[name], parameter)


def test_other_tensors_lie_beside_the_network(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    state = {"optimiser.0.mean": torch.arange(6.0).reshape(2, 3), "optimiser.step": torch.tensor(7)}
    save_checkpoint(path, checkpoints.small_unet(), {"step": 7}, state)
    tensors = load_tensors(path)
    assert torch.equal(tensors["optimiser.0.mean"], state["optimiser.0.mean"])
    assert int(tensors["optimiser.step"]) == 7
    assert load_network(path).config == checkpoints.small_unet().config
    with pytest.raises(ArgumentValueError, match=r"network\.x"):
        save_checkpoint(path, checkpoints.small_unet(), {}, {"network.x": torch.zeros(1)})


def test_facts_can_be_added_later(path: Path) -> None:
    before = path.read_bytes()
    header = add_facts(path, {"sdr_db": {"average": 6.0}, "speed": 20})
    assert header.facts == {**checkpoints.FACTS, "sdr_db": {"average": 6.0}, "speed": 20}
    assert path.read_bytes()[-1000:] == before[-1000:]
    load_network(path)
    with pytest.raises(ArgumentValueError, match="sha256"):
        add_facts(path, {"sha256": ""})


@pytest.mark.parametrize("fact", [float("nan"), {1, 2}])
def test_facts_must_be_json(path: Path, fact: object) -> None:
    before = path.read_bytes()
    with pytest.raises(ArgumentTypeError, match="JSON"):
        save_checkpoint(path, checkpoints.small_unet(), {"fact": fact})
    assert path.read_bytes() == before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (read_header, load_network):
        with pytest.raises(ModelMissingError, match=r"no checkpoint .*none\.safetensors") as error:
            read(tmp_path / "none.safetensors")
        assert error.value.code == "model_missing"


def test_one_wrong_bit_is_found(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    read_header(path)
    with pytest.raises(CheckpointError, match="damaged") as error:
        load_network(path)
    assert error.value.code == "model_missing"
    with pytest.raises(CheckpointError, match="damaged"):
        load_tensors(path)


@pytest.mark.parametrize("left", [0, 5, 8, 300, -1])
def test_a_file_cut_short_is_found_by_its_header(path: Path, left: int) -> None:
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(CheckpointError, match=r"[gG]et it again"):
        read_header(path)


def test_strangers_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="not one of our checkpoints"):
        read_header(path)
    path.write_bytes(b"RIFF" + bytes(1000))
    with pytest.raises(CheckpointError, match=r"no \.safetensors file"):
        read_header(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_header(tmp_path)


def test_headers_that_cannot_be_used(path: Path) -> None:
    rewritten(path, schema=2)
    with pytest.raises(CheckpointError, match="schema 2, this version knows 1: update"):
        read_header(path)
    rewritten(path, schema=1, config={"stems": ["vocals"]})
    with pytest.raises(CheckpointError, match="cannot be used"):
        read_header(path)


def test_networks_that_are_not_there_or_do_not_fit(path: Path) -> None:
    config = metadata(path)["config"]
    rewritten(path, network="u-net-3")
    with pytest.raises(CheckpointError, match=r"'u-net-3', and there are .*unet"):
        load_network(path)
    rewritten(path, network="unet", config={**config, "width": 4})
    with pytest.raises(CheckpointError, match="does not fit this version's unet"):
        load_network(path)
    rewritten(path, config={**config, "colour": "blue"})
    with pytest.raises(CheckpointError, match="colour"):
        load_network(path)


def test_a_file_that_is_replaced_meanwhile_is_noticed(path: Path) -> None:
    before = read_header(path)
    checkpoints.saved(checkpoints.small_unet(power=0.5), path)
    with pytest.raises(CheckpointError, match="replaced"):
        load_network(path, identity=before.identity)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        checkpoints.saved(checkpoints.small_unet(), tmp_path / "file" / "x.safetensors")


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    code = (
        "import sys, torch, checkpoints\n"
        "from stembridge.model.checkpoint import save_checkpoint\n"
        "network, step = checkpoints.small_unet(), 0\n"
        "while True:\n"
        "    step += 1\n"
        "    more = torch.full((500_000,), float(step))\n"
        f"    save_checkpoint({str(path)!r}, network, {{'step': step}}, {{'more': more}})\n"
        "    print(step, flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as writer:
        assert writer.stdout is not None
        for pause in (0.0, 0.003, 0.007, 0.011):
            writer.stdout.readline()
            time.sleep(pause)
            tensors = load_tensors(path)  # whole at any moment
            assert len(set(tensors["more"].tolist())) == 1
        writer.send_signal(signal.SIGKILL)
    step = read_header(path).facts["step"]
    assert set(load_tensors(path)["more"].tolist()) == {step}
    checkpoints.saved(checkpoints.small_unet(), path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.safetensors"]


def test_a_header_is_read_without_torch(path: Path) -> None:
    code = (
        f"import sys; from stembridge.model.checkpoint import read_header; read_header({str(path)!r})\n"
        "print([name for name in ('torch', 'safetensors', 'scipy') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
