"""The recipe networks: published sizes, lawful masks, silence, level, edges, gradients, costs as stated."""

from __future__ import annotations

import copy
import re
from dataclasses import asdict, fields
from typing import Any, cast

import pytest
import torch
from stembridge.model.errors import ArgumentValueError, ModelMissingError, StateError
from stembridge.model.networks.catalogue import NETWORKS, make_network, network_class
from stembridge.model.networks.cnn_blstm import CnnBlstm, CnnBlstmConfig
from stembridge.model.networks.cost import macs_per_second, parameters
from stembridge.model.networks.folding import fold_batch_norm
from stembridge.model.networks.parallel_encoder import (
    Folded,
    ParallelEncoder,
    ParallelEncoderConfig,
    Unfolded,
)
from stembridge.model.networks.patches import compressed, cut, levelled, restored
from stembridge.model.networks.spectral_network import MagnitudeNetwork, NetworkConfig
from stembridge.model.networks.unet import StemUNet, UNet, UNetConfig
from torch import Tensor, nn
from torch.nn import functional

TINY: dict[str, dict[str, object]] = {
    "unet": {"window_frames": 256, "hop_frames": 192, "seen_bins": 128, "patch_times": 64, "width": 2},
    "unet-small": {"window_frames": 256, "hop_frames": 64, "seen_bins": 64, "patch_times": 64, "width": 2},
    "cnn-blstm": {
        "window_frames": 256,
        "hop_frames": 64,
        "seen_bins": 96,
        "segment_times": 40,
        "width": 4,
        "bands": 8,
        "hidden": 8,
    },
    "parallel-encoder": {
        "window_frames": 256,
        "hop_frames": 64,
        "seen_bins": 128,
        "width": 4,
        "tall": 2,
        "wide": 2,
        "latent": 8,
    },
}
"""Sizes at which a test takes milliseconds; odd bin counts all of them, more than the network sees."""

STATED = ("unet", "unet-full-band", "unet-small", "cnn-blstm", "parallel-encoder")


def tiny(name: str, seed: int = 0) -> MagnitudeNetwork:
    """A small network of that name whose weights are no longer as they began.

    A few batches went through, so batch norm knows something; what starts at zero does not stay there.
    """
    torch.manual_seed(seed)
    network = cast("MagnitudeNetwork", make_network(name, **TINY[name]))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        for _ in range(3):
            network.train()(spectra(network, network.segment_times, 2))
    return network.eval()


def spectra(network: MagnitudeNetwork, times: int, examples: int = 1, seed: int = 1) -> Tensor:
    """Noise that decays with frequency, complex `(b, c, t, f)`."""
    config = network.config
    noise = torch.randn(
        examples,
        config.channels,
        times,
        config.bins,
        dtype=torch.complex64,
        generator=torch.Generator().manual_seed(seed),
    )
    return noise * torch.logspace(0, -2, config.bins)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("times", [1, 29, 64, 131])
def test_any_length_and_an_odd_number_of_bins(name: str, times: int) -> None:
    network = tiny(name)
    mix = spectra(network, times, 2)
    with torch.inference_mode():
        stems = network(mix)
    assert stems.shape == (2, len(network.config.stems), *mix.shape[1:])
    assert stems.dtype == torch.complex64
    assert bool(torch.isfinite(torch.view_as_real(stems)).all())
    assert bool((stems[..., -1].abs() > 0).all()), "the Nyquist frequency was left out"


@pytest.mark.parametrize("name", TINY)
def test_masks_lie_between_0_and_1(name: str) -> None:
    network = tiny(name)
    mix = spectra(network, network.segment_times).abs()
    with torch.inference_mode():
        masks = network.magnitudes(mix) / mix.unsqueeze(1)
    assert float(masks.min()) >= 0
    assert float(masks.max()) <= 1 + 1e-6
    assert float(masks.max() - masks.min()) > 0.2, "masks that do not depend on anything prove nothing"


@pytest.mark.parametrize("name", ["cnn-blstm", "parallel-encoder"])
def test_shares_of_all_stems_add_up_to_the_mix(name: str) -> None:
    network = tiny(name)
    mix = spectra(network, network.segment_times)
    with torch.inference_mode():
        assert torch.allclose(network(mix).sum(dim=1), mix, atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_silence_in_silence_out(name: str) -> None:
    network = tiny(name)
    mix = spectra(network, network.segment_times, 2)
    mix[0] = 0
    mix[1, :, 3] = 0
    with torch.inference_mode():
        stems = network(mix)
    assert not stems[0].any()
    assert not stems[1, :, :, 3].any()
    assert bool(torch.isfinite(torch.view_as_real(stems)).all())


@pytest.mark.parametrize("name", TINY)
def test_a_louder_song_gives_louder_stems_and_nothing_else(name: str) -> None:
    network = tiny(name)
    mix = spectra(network, network.segment_times)
    with torch.inference_mode():
        quiet, loud = network(mix), network(100 * mix)
    assert torch.allclose(100 * quiet, loud, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", TINY)
def test_examples_of_a_batch_do_not_touch_each_other(name: str) -> None:
    network = tiny(name)
    both = spectra(network, network.segment_times, 2)
    with torch.inference_mode():
        assert torch.allclose(network(both)[1:], network(both[1:]), atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_the_gradient_reaches_every_parameter_and_training_lowers_the_error(name: str) -> None:
    network = tiny(name).train()
    mix = spectra(network, network.segment_times, 3).abs()
    shares = torch.linspace(0.1, 0.9, network.config.bins)  # the last stem is what is high
    wanted = shares * mix
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    errors = []
    for step in range(25):
        optimiser.zero_grad()
        error = (network.magnitudes(mix)[:, -1] - wanted).square().mean() / wanted.square().mean()
        error.backward()  # type: ignore[no-untyped-call]
        if step == 0 and not isinstance(network, UNet):  # a stem's U-Net learns from that stem alone
            for key, parameter in network.named_parameters():
                assert parameter.grad is not None, key
                assert bool(torch.isfinite(parameter.grad).all()), key
                assert bool(parameter.grad.any()), key
        optimiser.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.6 * errors[0]


def test_the_gradient_reaches_the_u_nets_of_both_stems() -> None:
    network = tiny("unet").train()
    network.magnitudes(spectra(network, 64, 2).abs()).square().mean().backward()  # type: ignore[no-untyped-call]
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert bool(parameter.grad.any()), key


@pytest.mark.parametrize("name", TINY)
def test_gradients_are_finite_where_parts_are_silent(name: str) -> None:
    network = tiny(name).train()
    mix = spectra(network, network.segment_times, 2).abs()
    mix[0] = 0
    mix[1, :, :, 5:20] = 0
    network.magnitudes(mix).square().mean().backward()  # type: ignore[no-untyped-call]
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert bool(torch.isfinite(parameter.grad).all()), key


def test_the_published_u_net_has_its_published_size() -> None:
    config = UNetConfig()
    assert (config.sample_rate, config.window_frames, config.hop_frames) == (8192, 1024, 768)
    assert (config.seen_bins, config.patch_times, config.channels) == (512, 128, 1)
    net = StemUNet(config)
    assert 9.8e6 < parameters(net) < 9.85e6
    convolutions = [m for m in net.down.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [16, 32, 64, 128, 256, 512]
    assert {(m.kernel_size, m.stride) for m in convolutions} == {((5, 5), (2, 2))}
    assert [m.p for m in net.up.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5, 0.5, 0.0, 0.0]
    with torch.inference_mode():
        assert net.eval()(torch.rand(1, 1, 128, 512)).shape == (1, 1, 128, 512)


def test_half_the_width_is_a_quarter_of_the_cost() -> None:
    whole, half = UNet(UNetConfig.full_band(width=8)), UNet(UNetConfig.full_band(width=4))
    assert parameters(whole) / parameters(half) == pytest.approx(4, rel=0.02)
    # the first and the last level have as many channels of audio at any width
    assert 3 < macs_per_second(whole) / macs_per_second(half) < 4


def test_what_ships_fits() -> None:
    shipped = ("unet-small", "cnn-blstm", "parallel-encoder")
    assert 2 * sum(parameters(make_network(name)) for name in shipped) < 18e6  # two bytes each


def test_the_first_stage_is_finite_in_time_and_the_lstm_is_not() -> None:
    network = tiny("cnn-blstm")
    assert isinstance(network, CnnBlstm)
    mix = spectra(network, 60).abs()
    other = mix.clone()
    other[:, :, 40] = mix[:, :, 40].flip(-1).contiguous()  # the same level, other frequencies
    with torch.inference_mode():
        (first, refined), (first_of_other, refined_of_other) = network.stages(mix), network.stages(other)
    reach = 5 + (1 + 2 + 4)  # five plain convolutions of 3 times one after the other, three dilated ones
    changed = ((first - first_of_other).abs() > 1e-5).flatten(4).any(dim=4).flatten(0, 2).any(dim=0)
    assert not changed[: 40 - reach].any()
    assert bool(changed[38:43].all())
    assert float((refined - refined_of_other)[..., : 40 - reach, :].abs().max()) > 1e-5


def test_the_second_stage_starts_from_the_first() -> None:
    network = CnnBlstm(CnnBlstmConfig(**cast("Any", TINY["cnn-blstm"])))
    mix = spectra(network, 40).abs()
    first, refined = network.stages(mix)
    assert torch.equal(first, refined)
    refined.square().mean().backward()  # type: ignore[no-untyped-call]
    assert network.refiner.out.weight.grad is not None
    assert bool(network.refiner.out.weight.grad.any()), "the LSTM could never leave it"


def test_a_longer_input_is_cut_into_patches() -> None:
    network = tiny("parallel-encoder")
    mix = spectra(network, 90).abs()
    with torch.inference_mode():
        whole = network.magnitudes(mix)
        parts = [network.magnitudes(part) for part in torch.split(mix, 30, dim=2)]
    assert torch.allclose(whole, torch.cat(parts, dim=3), atol=1e-5)


def test_a_sharper_wiener_filter() -> None:
    soft = tiny("parallel-encoder")
    assert isinstance(soft, ParallelEncoder)
    seen = compressed(levelled(spectra(soft, 30).abs())[..., :128], 0.4)
    sharp = copy.deepcopy(soft)
    sharp.config = ParallelEncoderConfig(**{**cast("Any", TINY["parallel-encoder"]), "wiener_power": 4.0})
    with torch.inference_mode():
        two, four = soft.masks(seen), sharp.masks(seen)
    assert torch.allclose(two.sum(dim=1), torch.ones(()), atol=1e-6)
    assert torch.allclose(four, two**2 / (two**2).sum(dim=1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize(("step", "kernel"), [((1, 16), (1, 5)), ((2, 4), (1, 3)), ((5, 1), (3, 3))])
def test_folded_convolutions_are_strided_ones(step: tuple[int, int], kernel: tuple[int, int]) -> None:
    torch.manual_seed(0)
    inputs, outputs = 3, 4
    x = torch.randn(2, inputs, 10, 64)
    weight = torch.randn(outputs, inputs, kernel[0] * step[0], kernel[1] * step[1])
    # (out, in, kernel_t * step_t, kernel_f * step_f) -> (out, in * step_t * step_f, kernel_t, kernel_f)
    folded = weight.reshape(outputs, inputs, kernel[0], step[0], kernel[1], step[1])
    folded = folded.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
    padding = (kernel[0] // 2 * step[0], kernel[1] // 2 * step[1])
    down = functional.conv2d(Folded(step)(x), folded, padding="same")
    assert torch.allclose(down, functional.conv2d(x, weight, stride=step, padding=padding), atol=1e-3)
    up = functional.conv2d(down, folded.transpose(0, 1).flip(2, 3), padding="same")
    transposed = functional.conv_transpose2d(down, weight, stride=step, padding=padding)
    assert torch.allclose(Unfolded(step)(up), transposed, atol=1e-2, rtol=1e-4)
    assert torch.equal(Unfolded(step)(Folded(step)(x)), x)


def test_edges_of_patches() -> None:
    mix = torch.rand(2, 1, 50, 129)
    padded = cut(mix, 64, 128)
    assert padded.shape == (2, 1, 64, 128)
    assert not padded[:, :, 50:].any()
    back = restored(padded, 50, 129)
    assert torch.equal(back[..., :128], mix[..., :128])
    assert torch.allclose(back[..., 128], mix[..., 120:128].mean(dim=-1))
    assert torch.allclose(levelled(mix).square().mean(dim=(1, 2, 3)), torch.ones(2), atol=1e-5)
    assert compressed(torch.zeros(3), 0.4).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", TINY)
def test_folded_batch_norm_changes_nothing_but_time(name: str) -> None:
    network = tiny(name)
    mix = spectra(network, network.segment_times)
    folded = copy.deepcopy(network)
    assert fold_batch_norm(folded) > 0
    assert fold_batch_norm(folded) == 0
    with torch.inference_mode():
        assert torch.allclose(network(mix), folded(mix), atol=1e-5)
    with pytest.raises(StateError, match="eval"):
        fold_batch_norm(network.train())


@pytest.mark.parametrize("name", STATED)
def test_docstrings_state_what_is_measured(name: str) -> None:
    network = make_network(name)
    stated = re.search(rf"- `{name}`.*: ([\d,]+) parameters, ([\d.]+) GMAC/s", type(network).__doc__ or "")
    assert stated is not None
    assert int(stated[1].replace(",", "")) == parameters(network)
    assert stated[2] == f"{macs_per_second(network) / 1e9:.3f}"


def test_costs_are_counted_right() -> None:
    network = tiny("cnn-blstm")
    assert isinstance(network, CnnBlstm)
    config = network.config
    channels = config.channels
    full, quarter, sixteenth = config.seen_bins, config.seen_bins // 4, config.seen_bins // 16
    inputs = 5 * channels * config.bands
    per_time = [
        quarter * 4 * channels * 24,  # first
        sixteenth * 8 * 4 * 24,  # second
        sixteenth * 12 * 8 * 9,  # widen
        sixteenth * 12 * 12 * 9 * config.blocks,
        sixteenth * 12 * 4 * 24,  # narrow: every input value meets its whole kernel
        quarter * 8 * 4 * channels * 24,  # last
        5 * channels * full * config.bands,  # into bands
        2 * 4 * config.hidden * (inputs + config.hidden),  # LSTM
        2 * config.hidden * 4 * channels * config.bands,  # out
        4 * channels * config.bands * full,  # to bins
    ]
    # all times are computed, those of the context are not kept
    kept = config.segment_times - 2 * config.context_times
    seconds = kept * config.hop_frames / config.sample_rate
    assert macs_per_second(network) == pytest.approx(sum(per_time) * config.segment_times / seconds, rel=1e-6)


@pytest.mark.parametrize("name", TINY)
def test_a_network_is_rebuilt_from_its_config_as_json_has_it(name: str) -> None:
    network = tiny(name)
    plain = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(network.config).items()
    }
    again = make_network(network.name, **plain)
    assert type(again) is type(network) is network_class(network.name)
    assert again.config == network.config
    again.load_state_dict(network.state_dict())


@pytest.mark.parametrize("name", STATED)
def test_every_config_says_what_the_renderer_needs(name: str) -> None:
    network = make_network(name)
    config = network.config
    assert config.residual_stem in config.stems
    assert 0 <= 2 * network.context_times < network.segment_times
    assert {field.name for field in fields(NetworkConfig)} <= {field.name for field in fields(config)}
    assert network.name in NETWORKS


def test_unknown_names_and_sizes_are_refused() -> None:
    with pytest.raises(ModelMissingError, match="unet"):
        make_network("u-net")
    with pytest.raises(ArgumentValueError, match=r"wdth.*width"):
        make_network("unet", wdth=3)


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("unet", {"seen_bins": 500}, "multiple of 64 bins"),
        ("unet", {"seen_bins": 576}, "out of 513"),
        ("unet", {"patch_times": 100}, "multiple of 64 times"),
        ("unet", {"context_times": 64}, "context"),
        ("unet", {"dropout": 1.0}, "dropout"),
        ("unet", {"width": 0}, "width"),
        ("cnn-blstm", {"seen_bins": 1000}, "multiple of 16"),
        ("cnn-blstm", {"context_times": 128}, "context"),
        ("cnn-blstm", {"bands": 1}, "bands"),
        ("cnn-blstm", {"power": 0.0}, "power"),
        ("parallel-encoder", {"seen_bins": 1000}, "multiple of 64"),
        ("parallel-encoder", {"context_times": 15}, "context"),
        ("parallel-encoder", {"latent": 0}, "latent"),
        ("parallel-encoder", {"wiener_power": 0.0}, "exponent"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name: str, sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentValueError, match=message):
        make_network(name, **sizes)
