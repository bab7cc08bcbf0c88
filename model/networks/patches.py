"""What networks that look at one patch of magnitudes at a time share: level, compression, edges.

A patch is brought to a level of 1 by its own root mean square, nothing else: the patches lie on a fixed
grid of the song, so the level is known as soon as the patch is (a whole song's would be known at its end
only), and a louder song gives the same masks.

Axes: b examples, c channels, t times, f frequency bins.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SILENCE = 1e-8
"""Added to the level, so that a silent patch is divided by something; far below 24 bit's last bit."""

FLOOR = 1e-5
"""Where compression turns linear: the slope of a root at zero is infinite."""


def levelled(mix: Tensor) -> Tensor:
    """The patch divided by its root mean square over channels, times and bins.

    Shape: `(b, c, t, f)` -> the same.
    """
    level = mix.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return mix / (level + SILENCE)


def compressed(magnitudes: Tensor, power: float) -> Tensor:
    """Magnitudes to a power, 0 staying 0 and the slope there finite; any shape."""
    if power == 1:
        return magnitudes
    offset: float = FLOOR**power
    return torch.pow(magnitudes + FLOOR, power) - offset


def cut(mix: Tensor, times_multiple: int, bins: int) -> Tensor:
    """The lowest bins alone, with silence after the end up to a whole number of steps.

    Shape: `(b, c, t, f)` -> `(b, c, ceil(t / times_multiple) * times_multiple, bins)`.
    """
    return functional.pad(mix[..., :bins], (0, 0, 0, -mix.shape[-2] % times_multiple))


def restored(mask: Tensor, times: int, bins: int) -> Tensor:
    """A mask of patches made by `cut`, for the times and bins there were before.

    The bins above those the network saw take the mean mask of the highest sixteenth of those.
    Shape: `(..., t', f')` -> `(..., times, bins)`.
    """
    mask = mask[..., :times, :]
    seen = mask.shape[-1]
    if seen == bins:
        return mask
    above = mask[..., -max(1, seen // 16) :].mean(dim=-1, keepdim=True)
    return torch.cat([mask, above.expand(*above.shape[:-1], bins - seen)], dim=-1)
