"""Files of weights that are missing, damaged or out of reach: one clear line each, naming what to do."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import other_models as small
import pytest
import torch
from stembridge.model import weights_files
from stembridge.model.errors import ModelMissingError
from stembridge.model.separators.demucs import Demucs, HtDemucs, load_bag
from stembridge.model.separators.onnx import Mdx
from stembridge.model.separators.openunmix import OpenUnmix, UmxHq
from stembridge.model.separators.roformer import RoFormer

RATE = 44100


@pytest.fixture
def nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No weights on this machine, and a network that refuses."""
    constants = small.optional("huggingface_hub.constants")
    monkeypatch.setattr(weights_files, "models_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    usual = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "torch"))
    yield tmp_path
    torch.hub.set_dir(usual)


@pytest.mark.parametrize(("make", "file"), [(HtDemucs, "htdemucs.yaml"), (UmxHq, "drums-9619578f.pth")])
def test_no_network(nothing_there: Path, make: Callable[..., object], file: str) -> None:
    with pytest.raises(
        ModelMissingError, match=f"could not fetch {file} from https://.*: go online once"
    ) as e:
        make(RATE, 2)
    assert "\n" not in str(e.value)
    assert str(nothing_there / "models") in str(e.value)


@pytest.mark.parametrize(
    ("package", "make", "line"),
    [
        ("demucs", HtDemucs, "htdemucs needs the package demucs, .* pip install 'stembridge[demucs]'"),
        ("openunmix", UmxHq, "umxhq needs the package openunmix, .* pip install 'stembridge[openunmix]'"),
        ("bs_roformer", RoFormer, "net needs the package bs_roformer, .* 'stembridge[roformer]'"),
        ("onnxruntime", Mdx, "net needs the package onnxruntime, .* pip install 'stembridge[onnx]'"),
    ],
)
def test_a_package_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, make: Callable[..., object], line: str
) -> None:
    small.optional("yaml")
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    weights: dict[str, object] = {}
    if make is RoFormer:
        torch.save({}, tmp_path / "net.ckpt")
        small.save_roformer_settings(tmp_path / "net.yaml", ["vocals"], None)
        weights["weights"] = tmp_path / "net.ckpt"
    if make is Mdx:
        weights["weights"] = small.save_mdx(tmp_path / "net.onnx")
    with pytest.raises(ModelMissingError, match=line.replace("[", r"\[").replace("]", r"\]")):
        make(RATE, 2, **weights)


@pytest.mark.parametrize("make", [Demucs, OpenUnmix, RoFormer, Mdx])
def test_a_path_that_is_not_there(make: Callable[..., object], tmp_path: Path) -> None:
    small.optional("demucs")
    with pytest.raises(ModelMissingError, match="there are no weights at"):
        make(RATE, 2, weights=tmp_path / "gone")


@pytest.mark.parametrize("name", ["net.th", "net.safetensors"])
def test_a_file_that_is_not_a_model(tmp_path: Path, name: str) -> None:
    small.optional("demucs")
    (tmp_path / name).write_bytes(b"not at all" * 100)
    with pytest.raises(ModelMissingError, match=rf"{name} "):
        load_bag("x", tmp_path / name)


def test_a_wrong_hash(tmp_path: Path, nothing_there: Path) -> None:
    path = small.save_demucs_package(small.htdemucs(), tmp_path / "net-00000000.th")
    with pytest.raises(ModelMissingError, match="should begin with 00000000 and begins with"):
        load_bag("x", path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    good = path.rename(tmp_path / f"net-{digest[:8]}.th")
    load_bag("x", good)
    beside = good.with_name(good.name + ".sha256")
    beside.write_text(f"{digest}  net.th\n")
    assert weights_files.expected_sha256(good) == digest
    load_bag("x", good)
    beside.write_text("1" * 64)
    with pytest.raises(ModelMissingError, match="delete the file and fetch it again"):
        load_bag("x", good)


def test_damaged_downloads_are_found(nothing_there: Path) -> None:
    small.optional("openunmix")
    cache = nothing_there / "torch" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "drums-9619578f.pth").write_bytes(b"half of it")
    with pytest.raises(ModelMissingError, match="should begin with 9619578f"):
        UmxHq(RATE, 2)


def test_the_models_folder_comes_before_the_network(nothing_there: Path) -> None:
    folder = nothing_there / "models" / "htdemucs"
    folder.mkdir(parents=True)
    small.save_demucs(small.htdemucs(), folder / "955717e8.safetensors")
    (folder / "htdemucs.yaml").write_text("models: ['955717e8']\n")
    assert HtDemucs(RATE, 2).name == "htdemucs"
    (folder / "955717e8.safetensors").unlink()
    with pytest.raises(ModelMissingError, match="955717e8, which is not beside it"):
        HtDemucs(RATE, 2)


def test_what_demucs_4_0_downloaded_is_used(
    nothing_there: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The old cache of torch.hub, as listed by the package itself, with the hash in the name."""
    pretrained = small.optional("demucs.pretrained")
    cache = nothing_there / "torch" / "checkpoints"
    cache.mkdir(parents=True)
    path = small.save_demucs_package(small.htdemucs(), tmp_path / "net.th")
    name = f"955717e8-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.th"
    path.rename(cache / name)
    listing = tmp_path / "remote"
    listing.mkdir()
    (listing / "htdemucs.yaml").write_text("models: ['955717e8']\n")
    (listing / "files.txt").write_text(f"root: hybrid_transformer/\n{name}\n")
    monkeypatch.setattr(pretrained, "REMOTE_ROOT", listing)
    assert HtDemucs(RATE, 2).stems == tuple(small.STEMS)


def test_umx_files_that_do_not_fit(tmp_path: Path) -> None:
    small.save_umx(tmp_path)
    (tmp_path / "bass.pth").unlink()
    with pytest.raises(ModelMissingError, match=r"no bass\.pth beside it"):
        OpenUnmix(RATE, 2, weights=tmp_path)
    torch.save({"fc1.weight": torch.zeros(16, 360)}, tmp_path / "bass.pth")
    with pytest.raises(ModelMissingError, match="does not hold the weights of an Open-Unmix target"):
        OpenUnmix(RATE, 2, weights=tmp_path)
    (tmp_path / "separator.json").write_text("{}")
    with pytest.raises(ModelMissingError, match="should say sample_rate, nfft"):
        OpenUnmix(RATE, 2, weights=tmp_path)


def test_roformer_files_that_do_not_fit(tmp_path: Path) -> None:
    torch.save({"layers.0.weight": torch.zeros(1)}, tmp_path / "net.ckpt")
    with pytest.raises(ModelMissingError, match=r"one \.yaml of the same name"):
        RoFormer(RATE, 2, weights=tmp_path)
    small.save_roformer_settings(tmp_path / "net.yaml", ["vocals", "other"], None, num_stems=3)
    with pytest.raises(ModelMissingError, match="names vocals, other for a network of 3"):
        RoFormer(RATE, 2, weights=tmp_path)
    small.save_roformer_settings(tmp_path / "net.yaml", ["vocals"], None, skip_connection=True)
    small.optional("bs_roformer")
    with pytest.raises(ModelMissingError, match="asks for skip_connection = True"):
        RoFormer(RATE, 2, weights=tmp_path)
    small.save_roformer_settings(tmp_path / "net.yaml", ["vocals"], None, **small.BANDS)
    with pytest.raises(ModelMissingError, match="do not fit the package's BSRoformer"):
        RoFormer(RATE, 2, weights=tmp_path)
