"""Networks as streams: chunk by chunk what `forward` gives for the whole."""

from __future__ import annotations

import checkpoints
import pytest
import torch
from stembridge.model.errors import ArgumentValueError
from stembridge.model.networks.band_mixer import BandMixer
from stembridge.model.networks.band_mixer_stream import BandMixerStream
from stembridge.model.networks.streaming import NetworkStream, behind_times, late_times, open_stream
from torch import Tensor


def mix(times: int, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(times)
    return torch.randn(batch, 2, times, 129, dtype=torch.complex64, generator=generator)


def streamed(stream: NetworkStream, spectra: Tensor, chunk: int) -> Tensor:
    """Push everything in chunks, and zeros behind it until the last estimate has come."""
    times = spectra.shape[2]
    chunks = -(-(times + stream.late_times) // chunk)
    padding = torch.zeros(*spectra.shape[:2], chunks * chunk - times, spectra.shape[3], dtype=spectra.dtype)
    padded = torch.cat([spectra, padding], dim=2)
    parts = []
    with torch.inference_mode():
        for start in range(0, chunks * chunk, chunk):
            if start + chunk > times:
                stream.end_at(times)
            parts.append(stream.push(padded[:, :, start : start + chunk]))
    return torch.cat(parts, dim=3)[:, :, :, stream.late_times : stream.late_times + times]


def paired() -> BandMixer:
    """A mixer that takes two spectra for one token, and levels that reach an odd number of them."""
    return checkpoints.small_mixer(times_per_token=2, level_times=5)


@pytest.mark.parametrize("times", [1, 2, 7, 40, 97])
@pytest.mark.parametrize("chunk", [2, 8, 64])
def test_a_stream_is_the_forward_pass_on_the_whole(times: int, chunk: int) -> None:
    network, spectra = paired(), mix(times, batch=2)
    with torch.inference_mode():
        whole = network(spectra)
    assert torch.allclose(streamed(BandMixerStream(network, 2), spectra, chunk), whole, atol=1e-5)


def test_how_late_and_how_far_back_is_what_it_says() -> None:
    network = paired()
    late, behind = late_times(network), behind_times(network)
    assert late == 6 + 2 * 3  # a level of 5 to the next whole token, dilations 1 and 2 of two spectra each
    assert behind is not None
    spectra = mix(100)
    other = spectra.clone()
    other[:, :, : 60 - behind] = 0
    one, two = (streamed(open_stream(network, 1), given, 4) for given in (spectra, other))
    assert torch.equal(one[:, :, :, 60:], two[:, :, :, 60:])
    assert not torch.equal(one[:, :, :, : 60 - behind], two[:, :, :, : 60 - behind])


def test_a_causal_network_remembers_as_far_as_it_says() -> None:
    network = checkpoints.small_mixer(causal=True)
    behind = behind_times(network)
    assert late_times(network) == 0
    assert behind is not None
    spectra = mix(60)
    other = spectra.clone()
    other[:, :, : 40 - behind] = 0
    one, two = (streamed(open_stream(network, 1), given, 1) for given in (spectra, other))
    assert torch.equal(one[:, :, :, 40:], two[:, :, :, 40:])


def test_networks_of_patches_are_no_streams() -> None:
    assert late_times(checkpoints.small_unet()) is None


@pytest.mark.parametrize("causal", [False, True])
def test_a_stream_goes_on_with_another_copy_of_its_network(causal: bool) -> None:
    network, twin = (checkpoints.small_mixer(causal=causal) for _ in range(2))
    stream, spectra = open_stream(network, 1), mix(48)
    undisturbed = open_stream(network, 1)
    with torch.inference_mode():
        for start in range(0, 48, 8):
            if start == 24:
                stream = stream.moved(twin)
            chunk = spectra[:, :, start : start + 8]
            assert torch.equal(stream.push(chunk), undisturbed.push(chunk))


def test_a_push_that_fails_leaves_the_stream_as_it_was() -> None:
    network, spectra = paired(), mix(16)
    stream, undisturbed = BandMixerStream(network), BandMixerStream(network)
    with torch.inference_mode():
        with pytest.raises(ArgumentValueError, match="multiple of 2 spectra; got 3"):
            stream.push(spectra[:, :, :3])
        with pytest.raises(RuntimeError):
            stream.push(spectra[:, :, :, :100])
        assert torch.equal(stream.push(spectra), undisturbed.push(spectra))
    with pytest.raises(ArgumentValueError, match="`step`"):
        BandMixerStream(checkpoints.small_mixer(causal=True))
