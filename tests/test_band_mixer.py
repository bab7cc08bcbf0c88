"""The band mixer: masks that add up, a context that is what it says, and a causal form that streams."""

from __future__ import annotations

import pytest
import torch
from stembridge.model.errors import ArgumentValueError
from stembridge.model.networks.band_mixer import BandMixer, BandMixerConfig
from torch import Tensor

SMALL = {"window_frames": 256, "hop_frames": 64, "bands": ((4, 4, 1), (4, 4, 2), (1, 5, 16))}
"""129 bins: 16 alone, 32 in pairs, 80 in five groups of 16, and Nyquist's."""


def network(**changes: object) -> BandMixer:
    """A small one whose blocks do something."""
    torch.manual_seed(0)
    sizes = {**SMALL, "width": 8, "shared": 3, "mixing": 12, "dilations": (1, 4), "level_times": 6}
    made = BandMixer(BandMixerConfig(**{**sizes, **changes}))  # type: ignore[arg-type]
    for name, weight in made.named_parameters():
        if name.endswith(("after_time.weight", "from_shared.weight")):
            torch.nn.init.normal_(weight, std=0.3)
    return made.eval()


def causal() -> BandMixer:
    """The same, looking backwards only."""
    return network(causal=True, times_per_token=1)


def spectra(batch: int, *axes: int, seed: int = 0) -> Tensor:
    """Noise as loud as music."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, *axes, 129, dtype=torch.complex64, generator=generator) * 20


@pytest.mark.parametrize("make", [network, causal])
@pytest.mark.parametrize("times", [1, 7, 40])
def test_estimates_add_up_to_the_mix(make: object, times: int) -> None:
    mix = spectra(2, 2, times)
    with torch.no_grad():
        estimates = make()(mix)  # type: ignore[operator]
    assert estimates.shape == (2, 4, 2, times, 129)
    assert torch.allclose(estimates.sum(dim=1), mix, atol=1e-4)
    # Real masks between 0 and 1: no estimate is louder than the mix or out of its phase.
    masks = estimates / mix.unsqueeze(1)
    assert float(masks.imag.abs().max()) < 1e-5
    assert float(masks.real.min()) >= 0


def test_squared_errors_by_powers_equal_those_of_spectra() -> None:
    made, mix, stems = network(), spectra(2, 2, 12), spectra(2, 4, 2, 12, seed=1)
    with torch.no_grad():
        quick = made.squared_errors(mix, stems)
        slow = (made(mix) - stems).abs().square().sum(dim=(2, 3, 4))
    assert torch.allclose(quick, slow, rtol=1e-4)


def test_context_is_what_it_says() -> None:
    made = network()
    reach, times = made.context_times, 60
    mix = spectra(1, 2, times)
    changed = mix.clone()
    changed[:, :, 0] = 100
    with torch.no_grad():
        before, after = made(mix), made(changed)
    assert torch.equal(before[:, :, :, reach + 1 :], after[:, :, :, reach + 1 :])
    assert not torch.equal(before[:, :, :, : reach // 2], after[:, :, :, : reach // 2])


def test_segments_with_context_equal_the_whole() -> None:
    made = network()
    reach, times = made.context_times, 200
    mix = spectra(1, 2, times)
    with torch.no_grad():
        whole = made(mix)
        start = 40 + reach
        part = made(mix[:, :, start - reach : start + 30 + reach])
    assert torch.allclose(whole[:, :, :, start : start + 30], part[:, :, :, reach : reach + 30], atol=1e-3)


def test_a_causal_network_never_looks_ahead() -> None:
    made, mix = causal(), spectra(1, 2, 50)
    changed = mix.clone()
    changed[:, :, 30:] = 0
    with torch.no_grad():
        before, after = made(mix), made(changed)
    assert torch.allclose(before[:, :, :, :30], after[:, :, :, :30], atol=1e-5)


@pytest.mark.parametrize("sizes", [[1] * 40, [3, 1, 20, 16]])
def test_steps_equal_the_whole(sizes: list[int]) -> None:
    made, mix = causal(), spectra(2, 2, 40)
    state = made.initial_state(2)
    parts, at = [], 0
    with torch.no_grad():
        whole = made(mix)
        for size in sizes:
            estimates, state = made.step(mix[:, :, at : at + size], state)
            parts.append(estimates)
            at += size
    assert torch.allclose(torch.cat(parts, dim=3), whole, atol=1e-3)


def test_masks_do_not_depend_on_the_level() -> None:
    made, mix = network(), spectra(1, 2, 40)
    with torch.no_grad():
        loud, quiet = made(mix), made(mix * 0.01) * 100
    assert torch.allclose(loud, quiet, atol=0.05 * float(mix.abs().max()))


def test_silence_stays_silence() -> None:
    with torch.no_grad():
        estimates = network()(torch.zeros(1, 2, 20, 129, dtype=torch.complex64))
    assert float(estimates.abs().max()) == 0


def test_every_weight_learns() -> None:
    made = network().train()
    made.squared_errors(spectra(2, 2, 12), spectra(2, 4, 2, 12, seed=1)).log().mean().backward()  # type: ignore[no-untyped-call]
    still = [name for name, weight in made.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"bands": ((4, 4, 1),)}, "cover"),
        ({"channels": 1}, "2 channels"),
        ({"causal": True}, "causal"),
        ({"width": 0}, "1 or more"),
    ],
)
def test_sizes_that_cannot_be(changes: dict[str, object], word: str) -> None:
    with pytest.raises(ArgumentValueError, match=word):
        network(**changes)


def test_only_a_causal_network_carries_a_state() -> None:
    with pytest.raises(ArgumentValueError, match="causal"):
        network().initial_state(1)
