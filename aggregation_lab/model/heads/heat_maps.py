"""Heat maps: where a point lies, as logits of the cells of a map."""

import torch
from torch import Tensor

from aggregation_lab.model.heads.network import softmax_entropy

SPREAD = 0.04
"""Standard deviation of the Gaussian that heat maps are taught, as a share of the image's side: about one cell of the
finest map at 96 pixels."""


def cell_centres(height: int, width: int, device: torch.device) -> Tensor:
    """Centres of a map's cells as (x, y) in [0, 1]: (height * width) x 2."""
    y = (torch.arange(height, device=device) + 0.5) / height
    x = (torch.arange(width, device=device) + 0.5) / width
    return torch.stack([x.repeat(height), y.repeat_interleave(width)], 1)


def mean_position(logits: Tensor) -> Tensor:
    """Soft-argmax (integral regression, Sun et al. 2018): B x P x h x w -> B x P x 2 as (x, y) in [0, 1]."""
    weights = logits.flatten(2).softmax(-1)
    centres = cell_centres(logits.shape[-2], logits.shape[-1], logits.device)
    # a sum and not a matrix product: mixed precision would round the product to 1/256 of the image
    return (weights.unsqueeze(-1) * centres).sum(2)


def heat_map_entropy(logits: Tensor) -> Tensor:
    """Entropy of where the points lie, mean over the points. B x P x h x w logits -> B."""
    return softmax_entropy(logits.flatten(2), -1).mean(1)


def heat_map_loss(logits: Tensor, points: Tensor) -> Tensor:
    """Divergence of the cells' softmax from a Gaussian round each point, 0 where they agree.

    B x P x h x w logits, B x P x 2 points (x, y) in [0, 1] -> B. A point outside the image pulls to the border.
    """
    centres = cell_centres(logits.shape[-2], logits.shape[-1], logits.device)
    distance = (centres - points.unsqueeze(2)).square().sum(-1)
    wanted = (-distance / (2 * SPREAD**2)).log_softmax(-1)
    predicted = logits.flatten(2).log_softmax(-1)
    return (wanted.exp() * (wanted - predicted)).sum(-1).mean(1)
