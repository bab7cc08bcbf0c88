"""Other people's models: the stems their own programs give, from the files their own programs write."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import other_models as small
import pytest
import separating
import signals
import torch
from stembridge.model.audio import Audio, StemArray
from stembridge.model.dsp.overlap_add import OverlapAdd
from stembridge.model.errors import ArgumentValueError, ModelMissingError
from stembridge.model.separators.demucs import Demucs, load_bag
from stembridge.model.separators.onnx import Mdx, uvr_hash
from stembridge.model.separators.openunmix import OpenUnmix
from stembridge.model.separators.protocol import Separator
from stembridge.model.separators.roformer import RoFormer

RATE = 44100


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """What the packages compute here, they compute alone: many cores are slower for so little."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file or folder of each kind."""
    folder = tmp_path_factory.mktemp("models")
    small.save_demucs(small.htdemucs(), folder / "ht.safetensors")
    (folder / "umx").mkdir()
    small.save_umx(folder / "umx")
    torch.save(small.roformer("BSRoformer", **small.BANDS).state_dict(), folder / "bs.ckpt")
    small.save_roformer_settings(folder / "bs.yaml", ["Vocals", "Instrumental"], "Vocals", **small.BANDS)
    small.save_mdx(folder / "mdx.onnx")
    return folder


MAKERS: dict[str, Callable[..., Separator]] = {
    "ht.safetensors": Demucs,
    "umx": lambda *a, **k: OpenUnmix(*a, **{"segment": 0.2, **k}),
    "bs.ckpt": RoFormer,
    "mdx.onnx": Mdx,
}


def maker(files: Path, name: str, **options: Any) -> separating.Make:
    return lambda rate, channels: MAKERS[name](rate, channels, weights=files / name, **options)


def streamed(separator: Separator, mix: Audio) -> StemArray:
    return separating.separate(separator, mix, signals.cuts(mix.shape[1], seed=3, largest=20_000))


def of_package(network: Any, mix: Audio, **options: Any) -> StemArray:
    """What `demucs.apply.apply_model` gives, split with an overlap of a quarter and without shifts."""
    apply = small.optional("demucs.apply")
    given = {"shifts": 0, "split": True, "overlap": 0.25, **options}
    with torch.no_grad():
        result: StemArray = apply.apply_model(network, torch.from_numpy(mix.copy())[None], **given)[0].numpy()
    return result


@pytest.mark.parametrize("name", MAKERS)
def test_they_stream(files: Path, name: str) -> None:
    separating.check_stream(maker(files, name), separating.song(0.7), RATE, seeds=1)


@pytest.mark.parametrize("name", MAKERS)
def test_a_region_is_the_slice_of_the_whole(files: Path, name: str) -> None:
    separating.check_region(maker(files, name), separating.song(1.4), RATE, 30_000, 32_000)


def test_shifted_grids_keep_the_contract(files: Path) -> None:
    make = maker(files, "umx", shifts=2)
    separating.check_stream(make, separating.song(0.7, channels=1), RATE, seeds=1)
    separating.check_region(make, separating.song(1.4), RATE, 30_000, 32_000)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("channels", [1, 2])
def test_edges(files: Path, name: str, channels: int) -> None:
    separating.check_edges(maker(files, name), RATE, channels)


@pytest.mark.parametrize("name", MAKERS)
def test_neither_threads_nor_how_many_segments_are_under_way_change_a_bit(files: Path, name: str) -> None:
    mix = separating.song(0.8)
    alone = separating.separate(maker(files, name, parallel=1)(RATE, 2), mix)
    torch.set_num_threads(4)
    together = maker(files, name, parallel=3)(RATE, 2)
    assert separating.separate(together, mix).tobytes() == alone.tobytes()
    assert together.latency > maker(files, name, parallel=1)(RATE, 2).latency


@pytest.mark.parametrize("name", MAKERS)
def test_mono_is_given_twice_and_averaged(files: Path, name: str) -> None:
    mono = separating.song(0.4, channels=1)
    twice = separating.separate(maker(files, name)(RATE, 2), np.repeat(mono, 2, axis=0))
    once = separating.separate(maker(files, name)(RATE, 1), mono)
    assert np.abs(once[:, 0] - twice.mean(axis=1)).max() < 1e-6
    with pytest.raises(ArgumentValueError, match="44100 Hz"):
        maker(files, name)(48000, 2)


@pytest.mark.parametrize("make", [small.htdemucs, small.hdemucs])
@pytest.mark.parametrize("frames", [40_001, 5_000])
def test_demucs_stems_are_the_packages_own(tmp_path: Path, make: Callable[[], Any], frames: int) -> None:
    network, mix = make(), separating.song(2)[:, :frames]
    path = small.save_demucs(network, tmp_path / "model.safetensors")
    separator = Demucs(RATE, 2, weights=path, reference=(0.0, 1.0))
    assert np.abs(streamed(separator, mix) - of_package(network, mix)).max() < 1e-5


def test_a_demucs_bag_weighs_its_models(tmp_path: Path) -> None:
    apply = small.optional("demucs.apply")
    networks = [small.htdemucs(1), small.htdemucs(2)]
    for name, network in zip("ab", networks, strict=True):
        small.save_demucs(network, tmp_path / f"{name}.safetensors")
    weights = [[1.0, 0.0, 2.0, 1.0], [0.0, 1.0, 1.0, 3.0]]
    (tmp_path / "bag.yaml").write_text(f"models: [a, b]\nweights: {weights}\n")
    mix = separating.song(0.6)
    separator = Demucs(RATE, 2, weights=tmp_path, reference=(0.0, 1.0))
    expected = of_package(apply.BagOfModels(networks, weights), mix)
    assert np.abs(streamed(separator, mix) - expected).max() < 1e-5


def test_demucs_shifts_are_those_of_the_same_seed(tmp_path: Path) -> None:
    network, mix = small.hdemucs(), separating.song(0.7)
    path = small.save_demucs(network, tmp_path / "model.safetensors")
    random.seed(7)
    expected = of_package(network, mix, shifts=2)
    separator = Demucs(RATE, 2, weights=path, reference=(0.0, 1.0), shifts=2, seed=7)
    assert np.abs(streamed(separator, mix) - expected).max() < 1e-5
    other = Demucs(RATE, 2, weights=path, reference=(0.0, 1.0), shifts=2, seed=8)
    assert np.abs(streamed(other, mix) - expected).max() > 1e-5


def test_demucs_api_at_the_same_reference_level(files: Path) -> None:
    api = small.optional("demucs.api")
    mix = 0.3 * separating.song(0.8)
    theirs = api.Separator.__new__(api.Separator)  # its constructor downloads
    theirs._model, theirs._samplerate, theirs._audio_channels = small.htdemucs(), RATE, 2
    theirs.update_parameter(device="cpu", shifts=0, overlap=0.25, split=True, segment=None, jobs=0)
    theirs.update_parameter(progress=False, callback=None, callback_arg=None)
    stems = theirs.separate_tensor(torch.from_numpy(mix.copy()), RATE)[1]
    expected = np.stack([stems[name].numpy() for name in small.STEMS])
    level = torch.from_numpy(mix).mean(0)
    reference = float(level.mean()), float(level.std())
    same = streamed(Demucs(RATE, 2, weights=files / "ht.safetensors", reference=reference), mix)
    assert np.abs(same - expected).max() < 1e-5
    usual = streamed(Demucs(RATE, 2, weights=files / "ht.safetensors"), mix)
    assert separating.error_db(expected, usual) < -30


def test_demucs_stems_come_in_our_order_whatever_theirs(tmp_path: Path) -> None:
    names = ["vocals", "piano", "drums", "guitar", "bass", "other"]
    network, mix = small.htdemucs(sources=names), separating.song(0.5)
    path = small.save_demucs(network, tmp_path / "six.safetensors")
    separator = Demucs(RATE, 2, weights=path, reference=(0.0, 1.0))
    assert separator.stems == ("drums", "bass", "other", "vocals", "guitar", "piano")
    assert separator.residual_stem == "other"
    theirs = of_package(network, mix)[[names.index(stem) for stem in separator.stems]]
    assert np.abs(streamed(separator, mix) - theirs).max() < 1e-5


class Evil:
    """Code, the way a pickle carries it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_no_file_makes_code_run(tmp_path: Path) -> None:
    network, mark = small.htdemucs(), tmp_path / "was_here"
    package = small.save_demucs_package(network, tmp_path / "good.th")
    assert torch.equal(next(load_bag("x", package).parameters()), next(network.half().float().parameters()))
    small.save_demucs_package(network, tmp_path / "evil.th", Evil(mark))
    with pytest.raises(ModelMissingError, match="code from a file is not run"):
        load_bag("x", tmp_path / "evil.th")
    small.save_demucs(network, tmp_path / "evil.safetensors", klass="subprocess.Popen")
    with pytest.raises(ModelMissingError, match=r"names 'subprocess\.Popen'"):
        load_bag("x", tmp_path / "evil.safetensors")
    torch.save({"state_dict": Evil(mark)}, tmp_path / "evil.ckpt")
    (tmp_path / "evil.yaml").write_text(f"a: !!python/object/apply:os.mkdir ['{mark}']")
    with pytest.raises(ModelMissingError, match=r"evil\.yaml cannot be read"):
        RoFormer(RATE, 2, weights=tmp_path / "evil.ckpt")
    small.save_roformer_settings(tmp_path / "evil.yaml", ["vocals"], None, **small.BANDS)
    with pytest.raises(ModelMissingError, match="code from a file is not run"):
        RoFormer(RATE, 2, weights=tmp_path / "evil.ckpt")
    assert not mark.exists()


@pytest.mark.parametrize("frames", [30_000, 1_000])
def test_umx_stems_are_the_packages_own(files: Path, frames: int) -> None:
    separator = OpenUnmix(RATE, 2, weights=files / "umx", segment=0.7)
    utils = small.optional("openunmix.utils")
    assert "torchaudio" not in sys.modules or sys.modules["torchaudio"].__file__
    theirs = utils.load_separator(str(files / "umx"), targets=small.STEMS, niter=1)
    theirs.freeze()
    mix = separating.song(1)[:, :frames]
    expected = theirs(torch.from_numpy(mix.copy())[None])[0].numpy()
    assert separator.stems == tuple(small.STEMS)
    assert np.abs(streamed(separator, mix) - expected).max() < 1e-5


def faded(run: Callable[[Audio], StemArray], mix: Audio, stems: int, segment: int, hop: int) -> StemArray:
    """Whole segments of a package's network, faded into each other."""
    parts = OverlapAdd(run, stems=stems, channels=2, segment_frames=segment, hop_frames=hop)
    return np.concatenate([parts.push(mix), parts.flush()], axis=2)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize(
    ("kind", "model", "names"),
    [
        ("BSRoformer", small.BANDS, ["vocals", "other"]),
        ("MelBandRoformer", {"num_bands": 20, "sample_rate": RATE, "num_stems": 4}, small.STEMS),
    ],
)
def test_roformer_stems_are_the_packages_own(
    tmp_path: Path, kind: str, model: dict[str, Any], names: list[str], suffix: str
) -> None:
    network = small.roformer(kind, **model)
    if suffix == ".ckpt":
        torch.save({"state_dict": network.state_dict()}, tmp_path / "net.ckpt")
    else:
        from safetensors.torch import save_model

        save_model(network, str(tmp_path / "net.safetensors"))
    target = "vocals" if len(names) == 2 else None
    small.save_roformer_settings(tmp_path / "config_net.yaml", names, target, **model)
    separator = RoFormer(RATE, 2, weights=tmp_path / f"net{suffix}")
    mix = separating.song(0.5)[:, : small.CHUNK * 2]

    def run(segment: Audio) -> StemArray:
        with torch.inference_mode():
            estimates: StemArray = network(torch.from_numpy(segment)[None])[0].numpy()
        return estimates.reshape(-1, *segment.shape)

    expected = faded(run, mix, model.get("num_stems", 1), small.CHUNK, small.CHUNK // 2)
    ours = streamed(separator, mix)
    if target:
        assert separator.stems == ("accompaniment", "vocals")
        assert np.abs(ours[1] - expected[0]).max() < 1e-5
        assert np.abs(ours.sum(axis=0) - mix).max() < 1e-6
    else:
        assert separator.stems == tuple(names)
        assert np.abs(ours - expected).max() < 1e-5


def test_older_roformer_checkpoints_are_the_plain_network(tmp_path: Path) -> None:
    """No hyper-connections, no value residuals, other names: what most shared checkpoints are."""
    model = {**small.BANDS, "num_residual_streams": 1, "zero_dc": True}
    network = small.roformer("BSRoformer", **model)
    for module in network.modules():
        if getattr(module, "to_value_residual_mix", None) is not None:
            module.to_value_residual_mix = None
    state = {key.replace(".branch.", "."): value for key, value in network.state_dict().items()}
    torch.save(state, tmp_path / "old.ckpt")
    small.save_roformer_settings(
        tmp_path / "old.yaml", ["vocals", "other"], "other", **small.BANDS, linear_transformer_depth=0
    )
    separator = RoFormer(RATE, 2, weights=tmp_path)
    mix = separating.song(1)[:, : small.CHUNK]
    with torch.inference_mode():
        expected = network(torch.from_numpy(mix)[None])[0].numpy()
    assert np.abs(streamed(separator, mix)[0] - expected).max() < 1e-5


def test_mdx_stems_are_onnxruntimes_own(files: Path) -> None:
    runtime = small.optional("onnxruntime")
    session = runtime.InferenceSession(str(files / "mdx.onnx"), providers=["CPUExecutionProvider"])
    n_fft, hop, dim_f, segment = 512, 128, 200, 128 * 31
    window = np.hanning(n_fft + 1)[:-1]

    def run(mix: Audio) -> StemArray:
        padded = np.pad(mix, [(0, 0), (n_fft // 2, n_fft // 2)], mode="reflect")
        frames = np.stack([padded[:, t * hop : t * hop + n_fft] * window for t in range(32)], axis=2)
        spectra = np.fft.rfft(frames, axis=1)[:, :dim_f]
        spectra[:, :3] = 0
        planes = np.stack([spectra.real, spectra.imag], axis=1).reshape(1, 4, dim_f, 32)
        answer = session.run(None, {"input": planes.astype(np.float32)})[0].reshape(2, 2, dim_f, 32)
        bins = np.pad(answer[:, 0] + 1j * answer[:, 1], [(0, 0), (0, n_fft // 2 + 1 - dim_f), (0, 0)])
        total, weight = np.zeros(padded.shape), np.zeros(padded.shape[1])
        for t, part in enumerate(np.moveaxis(np.fft.irfft(bins, axis=1), 2, 0)):
            total[:, t * hop : t * hop + n_fft] += part * window
            weight[t * hop : t * hop + n_fft] += window**2
        inside = slice(n_fft // 2, n_fft // 2 + segment)
        return (1.035 * total[:, inside] / weight[inside])[None].astype(np.float32)

    hop_frames = segment * 3 // 4
    mix = separating.song(1)[:, : segment + 3 * hop_frames]
    separator = Mdx(RATE, 2, weights=files / "mdx.onnx")
    ours = streamed(separator, mix)
    assert separator.stems == ("accompaniment", "vocals")
    assert np.abs(ours[1] - faded(run, mix, 1, segment, hop_frames)[0]).max() < 1e-5
    assert np.abs(ours.sum(axis=0) - mix).max() < 1e-6


def test_mdx_settings_as_uvr_writes_them(files: Path, tmp_path: Path) -> None:
    path = small.save_mdx(tmp_path / "model.onnx")
    path.with_suffix(".json").unlink()
    with pytest.raises(ModelMissingError, match=r"model\.json beside it"):
        Mdx(RATE, 2, weights=path)
    facts = '"mdx_dim_f_set": 200, "mdx_dim_t_set": 5, "mdx_n_fft_scale_set": 4096, "compensate": 1.0'
    listed = f'{{"{uvr_hash(path)}": {{{facts}, "primary_stem": "Instrumental"}}}}'
    (tmp_path / "model_data.json").write_text(listed)
    assert Mdx(RATE, 2, weights=path).latency == 1024 * 31 - 1 + 3 * int(0.75 * 1024 * 31)
    (tmp_path / "model_data.json").write_text(listed.replace('"mdx_dim_t_set": 5', '"mdx_dim_t_set": 6'))
    with pytest.raises(ModelMissingError, match=r"takes \[1, 4, 200, 32\]"):
        Mdx(RATE, 2, weights=path)
