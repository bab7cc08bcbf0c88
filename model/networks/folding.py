"""Batch norm that is done with training, folded into the convolution or linear layer before it."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from ..errors import StateError


def fold_batch_norm(network: nn.Module) -> int:
    """Fold, in place, every batch norm that directly follows its layer in an `nn.Sequential`.

    With running statistics batch norm is one factor and one offset per channel, which the layer before can
    apply as it computes. Returns how many were folded: a network folded before has none left. The outputs
    are the same but for rounding; the state dict is another, so load weights first.

    Raises StateError while the network is in training mode.
    """
    if network.training:
        raise StateError("batch norm can be folded only once training is over: call network.eval() first")
    folded = 0
    for sequence in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for index, (layer, norm) in enumerate(pairwise(list(sequence))):
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                transposed = isinstance(layer, nn.ConvTranspose2d)
                sequence[index] = fuse_conv_bn_eval(layer, norm, transpose=transposed)
            elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
                sequence[index] = fuse_linear_bn_eval(layer, norm)
            else:
                continue
            sequence[index + 1] = nn.Identity()
            folded += 1
    return folded
