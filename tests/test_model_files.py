"""Other people's models in the registry: by name, by path, in the models folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import other_models as small
import pytest
import separating
import torch
from stembridge.model import weights_files
from stembridge.model.errors import ModelMissingError
from stembridge.model.model_files import model_at
from stembridge.model.registry import create_separator, list_separators, separator_entry
from stembridge.model.separators.native_rate import NativeRate

NAMED = ("htdemucs", "htdemucs_ft", "htdemucs_6s", "hdemucs_mmi", "umxhq", "umxl")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder of one's own, empty."""
    path = tmp_path / "models"
    path.mkdir()
    monkeypatch.setattr(weights_files, "models_folder", lambda: path)
    return path


def save_bs(folder: Path, name: str = "bs") -> Path:
    small.save_roformer_settings(folder / f"{name}.yaml", ["vocals", "other"], "vocals", 4, **small.BANDS)
    path = folder / f"{name}.ckpt"
    torch.save(small.roformer("BSRoformer", **small.BANDS).state_dict(), path)
    return path


def save_bag(folder: Path) -> Path:
    for seed, name in enumerate("ab"):
        small.save_demucs(small.htdemucs(seed), folder / f"{name}.safetensors")
    (folder / "bag.yaml").write_text("models: [a, b]\n")
    return folder / "bag.yaml"


def save_umx(folder: Path) -> Path:
    (folder / "umx").mkdir()
    return small.save_umx(folder / "umx")


SAVERS = {
    "mdx": lambda folder: small.save_mdx(folder / "voc.onnx"),
    "roformer": save_bs,
    "roformer settings": lambda folder: save_bs(folder).with_suffix(".yaml"),
    "demucs": lambda folder: small.save_demucs(small.htdemucs(), folder / "ht.safetensors"),
    "demucs bag": save_bag,
    "umx": save_umx,
}


@pytest.mark.parametrize("kind", SAVERS)
def test_a_path_is_a_model(folder: Path, kind: str) -> None:
    path = SAVERS[kind](folder)
    entry = separator_entry(str(path))
    made = create_separator(str(path), 44100, 2)
    assert (made.name, made.stems, made.residual_stem) == (entry.name, entry.stems, entry.residual_stem)
    assert made.latency / 44100 == pytest.approx(entry.latency_s, rel=0.01, abs=0.01)
    assert entry.name in {listed.name for listed in list_separators()}
    assert separator_entry(entry.name).stems == entry.stems
    assert not entry.missing
    assert entry.uses_device
    assert "weights" not in entry.options()


def test_another_rate_is_resampled(folder: Path) -> None:
    path = small.save_mdx(folder / "voc.onnx")
    separator = create_separator(str(path), 96000, 2)
    assert isinstance(separator, NativeRate)
    assert separator.separator.sample_rate == 44100
    mix = separating.song(0.5, 96000)
    assert separating.separate(separator, mix).shape == (2, *mix.shape)


def test_identity_follows_the_files(folder: Path) -> None:
    path = small.save_mdx(folder / "voc.onnx")
    before = separator_entry(str(path)).identity
    assert separator_entry(str(path)).identity == before
    settings = path.with_suffix(".json")
    settings.write_text(settings.read_text().replace("1.035", "1.02"))
    assert separator_entry(str(path)).identity != before


def test_the_named_ones_say_how_to_get_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {entry.name: entry for entry in list_separators()}
    for name in NAMED:
        entry = listed[name]
        assert entry.rate == 44100
        assert entry.licence
        assert entry.size_bytes
    monkeypatch.setattr("stembridge.model.other_models.package_version", lambda _: None)
    assert separator_entry("umxl").missing == "pip install 'stembridge[openunmix]'"
    assert separator_entry("htdemucs_ft").missing == "pip install 'stembridge[demucs]'"


def test_what_is_no_model_of_theirs_is_none(folder: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, folder / "plain.safetensors")
    (folder / "notes.yaml").write_text("hello: there\n")
    (folder / "song.wav").write_bytes(b"")
    for path in folder.iterdir():
        assert path.suffix == ".safetensors" or model_at(path) is None
    (folder / "notes.yaml").unlink()
    assert model_at(folder / "plain.safetensors") is None
    (folder / "lonely.onnx").write_bytes(b"")
    with pytest.raises(ModelMissingError, match=r"lonely\.json beside it"):
        separator_entry(str(folder / "lonely.onnx"))
    assert "lonely" not in {entry.name for entry in list_separators()}


def test_listing_imports_none_of_the_packages() -> None:
    code = (
        "import sys; from stembridge.model import registry as r;"
        "[entry.options() for entry in r.list_separators() if entry.name in sys.argv];"
        "print(sorted({'torch', 'demucs', 'openunmix', 'bs_roformer', 'onnxruntime'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code, *NAMED], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_missing_package_is_said_before_torch_is_imported() -> None:
    code = (
        "import sys; sys.modules['demucs'] = sys.modules['openunmix'] = None\n"
        "from stembridge.model.errors import ModelMissingError\n"
        "from stembridge.model.registry import create_separator\n"
        "for name in ('htdemucs', 'umxl'):\n"
        "    try:\n        create_separator(name, 44100, 2)\n"
        "    except ModelMissingError as error:\n        print(error)\n"
        "print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second, torch_there = out.stdout.splitlines()
    assert first.endswith("pip install 'stembridge[demucs]'")
    assert second.endswith("pip install 'stembridge[openunmix]'")
    assert torch_there == "False"
