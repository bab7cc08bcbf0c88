"""Names, options, devices, rates and channels of separators."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import signals
from numpy.typing import NDArray
from stembridge.model.errors import ArgumentValueError, ModelMissingError
from stembridge.model.registry import (
    DEFAULT,
    SeparatorEntry,
    create_separator,
    list_separators,
    native_rate,
    resolve,
    separator_entry,
)
from stembridge.model.separators.native_rate import NativeRate
from stembridge.model.separators.protocol import Separator

ENTRIES = [entry for entry in list_separators() if not entry.missing]
FAST: dict[str, dict[str, Any]] = {"repet": {"window_s": 1.0, "separation_s": 0.2}}


def one_shot(separator: Separator, mix: signals.Audio) -> NDArray[np.float32]:
    return np.concatenate([separator.push(mix), separator.flush()], axis=2)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_entries_say_what_the_separators_are(entry: SeparatorEntry) -> None:
    made = create_separator(entry.name, 44100, 2)
    assert (made.name, made.stems, made.residual_stem) == (entry.name, entry.stems, entry.residual_stem)
    assert entry.residual_stem in entry.stems
    assert made.latency / 44100 == pytest.approx(entry.latency_s, rel=0.1)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_rate_and_layout_gives_as_many_frames(entry: SeparatorEntry, rate: int, channels: int) -> None:
    separator = create_separator(entry.name, rate, channels, **FAST.get(entry.name, {}))
    assert (separator.sample_rate, separator.channels) == (rate, channels)
    mix = signals.noise(rate // 3 + 1, channels)
    stems = one_shot(separator, mix)
    assert stems.shape == (len(entry.stems), *mix.shape)
    assert stems.dtype == np.float32
    assert np.isfinite(stems).all()
    assert stems.any()


def test_default_is_never_a_name() -> None:
    assert resolve("default") == DEFAULT
    assert separator_entry("default").name == DEFAULT
    assert create_separator("default", 44100, 2).name == DEFAULT
    assert "default" not in {entry.name for entry in ENTRIES}


def test_unknown_models_name_the_nearest() -> None:
    with pytest.raises(ModelMissingError, match="no model 'clasic': did you mean classic"):
        create_separator("clasic", 44100, 2)
    with pytest.raises(ModelMissingError, match=r"there are .*classic, repet"):
        resolve("xyz")
    assert ModelMissingError("").code == "model_missing"


def test_unknown_options_name_those_there_are() -> None:
    with pytest.raises(ArgumentValueError, match="repet has no option 'window'; its options are window_s"):
        create_separator("repet", 44100, 2, window=3)


def test_devices() -> None:
    assert create_separator("hpss", 44100, 2, device="cpu").name == "hpss"
    with pytest.raises(ArgumentValueError, match="a device is one of auto, cpu, cuda, mps; got 'tpu'"):
        create_separator("hpss", 44100, 2, device="tpu")  # type: ignore[arg-type]
    torch = pytest.importorskip("torch")
    for device, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not there:
            with pytest.raises(ArgumentValueError, match=f"{device} was asked for, but torch finds none"):
                create_separator("hpss", 44100, 2, device=device)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rate", "channels"), [(0, 2), (44100, 0)])
def test_streams_that_cannot_be(rate: int, channels: int) -> None:
    with pytest.raises(ArgumentValueError, match="1 or more"):
        create_separator("hpss", rate, channels)


@pytest.mark.parametrize(
    ("rate", "inner"), [(8000, 8000), (48000, 48000), (88200, 44100), (96000, 48000), (176400, 44100),
                        (192000, 48000), (64000, 32000), (50000, 48000)]
)  # fmt: skip
def test_high_rates_run_at_a_whole_fraction(rate: int, inner: int) -> None:
    assert native_rate(separator_entry("classic"), rate) == inner
    separator = create_separator("hpss", rate, 1)
    assert isinstance(separator, NativeRate) == (rate != inner)
    if isinstance(separator, NativeRate):
        assert separator.separator.sample_rate == inner


@pytest.mark.parametrize("channels", [3, 6])
def test_more_channels_are_pairs_of_their_own(channels: int) -> None:
    mix = signals.noise(12_000, channels)
    whole = one_shot(create_separator("hpss", 22050, channels), mix)
    for first in range(0, channels, 2):
        part = mix[first : first + 2]
        alone = one_shot(create_separator("hpss", 22050, part.shape[0]), part)
        assert whole[:, first : first + 2].tobytes() == alone.tobytes()


def test_channel_pairs_stream_like_any_separator() -> None:
    mix = signals.noise(20_000, 5)
    separator = create_separator("hpss", 22050, 5)
    whole = one_shot(separator, mix)
    blocks, at = [], 0
    for size in signals.cuts(20_000, seed=1):
        blocks.append(separator.push(mix[:, at : at + size]))
        at += size
        assert sum(block.shape[2] for block in blocks) >= at - separator.latency
    blocks.append(separator.flush())
    assert np.concatenate(blocks, axis=2).tobytes() == whole.tobytes()


def test_looking_names_up_imports_neither_torch_nor_scipy() -> None:
    code = (
        "import sys; from stembridge.model import registry as r; r.list_separators(); r.resolve('default');"
        "print([m for m in ('torch', 'scipy', 'soxr') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
