"""How far apart the images of two tasks lie, before anything is trained and without labels."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aggregation_lab.training.batches import ImageStore, TaskCases

MOST_IMAGES = 256
"""Images of a task that are compared, evenly spaced over its training cases."""
_SIDE, _LEVELS, _CELLS, _BANDS = 64, 16, 4, 8
"""Largest side at which images are described; grey levels of the histogram, cells along a side of the layout, bands of
the spectrum."""
_SIZES = (_LEVELS, _CELLS**2, _BANDS)
"""Numbers in each part of a description."""


def image_divergence(cases: Sequence[TaskCases], store: ImageStore) -> Tensor:
    """Energy distance of every two tasks' training images: T x T float64, NaN for a task with one image.

    2 E|X - Y| - E|X - X'| - E|Y - Y'|, 0 for equal distributions and positive else (Székely and Rizzo 2013). The means
    are over distinct images, so the estimate is unbiased and may fall below 0; a Fréchet distance of Gaussians would be
    the larger the fewer images a task has (Chong and Forsyth 2020, arXiv 1911.07023).
    """
    described = [_described(each, store) for each in cases]
    spread = torch.cat(described).std(0)
    weight = torch.cat([torch.full((size,), size**-0.5, dtype=torch.float64) for size in _SIZES])
    scaled = [each * (weight / spread.where(spread > 0, 1.0)) for each in described]
    within = [_mean_distance(each) for each in scaled]
    divergence = torch.zeros(len(cases), len(cases), dtype=torch.float64)
    for one in range(len(cases)):
        for other in range(one):
            value = 2 * torch.cdist(scaled[one], scaled[other]).mean() - within[one] - within[other]
            divergence[one, other] = divergence[other, one] = value
    return divergence


def _mean_distance(points: Tensor) -> Tensor:
    """Mean distance of two distinct points of N x D; NaN of one point."""
    return torch.cdist(points, points).sum() / (len(points) * (len(points) - 1))


def _described(cases: TaskCases, store: ImageStore) -> Tensor:
    """`description` of the task's images: N x D."""
    count = min(len(cases), MOST_IMAGES)
    chosen = np.linspace(0, len(cases) - 1, count).round().astype(int)
    parts = [description(store.images(rows).cpu()) for rows in cases.image_rows[torch.from_numpy(chosen)].split(_SIDE)]
    return torch.cat(parts)


def description(images: Tensor) -> Tensor:
    """What the divergence compares of B x C x S x S uint8 images, in three parts that count alike: histogram of grey
    levels, means of 4 x 4 cells (the layout; Oliva and Torralba 2001), and logarithm of the power spectrum by spatial
    frequency (the texture; Torralba and Oliva 2003). B x D float64."""
    grey = images.double().mean(1, keepdim=True) / 255
    if grey.shape[-1] > _SIDE:
        grey = F.adaptive_avg_pool2d(grey, _SIDE)
    levels = F.one_hot((grey.flatten(1) * _LEVELS).long().clamp(max=_LEVELS - 1), _LEVELS).double().mean(1)
    layout = F.adaptive_avg_pool2d(grey, _CELLS).flatten(1)
    spectrum = _spectrum(grey.squeeze(1))
    return torch.cat([levels, layout, spectrum], 1)


def _spectrum(grey: Tensor) -> Tensor:
    """Logarithm of the mean power in rings of equal width up to the highest frequency: B x S x S -> B x bands."""
    side = grey.shape[-1]
    power = torch.fft.fft2(grey - grey.mean((1, 2), keepdim=True)).abs().square() / side**2
    frequency = torch.fft.fftfreq(side, dtype=torch.float64)
    radius = (frequency.square().unsqueeze(1) + frequency.square()).sqrt()
    band = (radius * 2 * _BANDS).long().clamp(max=_BANDS - 1)
    rings = F.one_hot(band.flatten(), _BANDS).double()
    return (power.flatten(1) @ (rings / rings.sum(0)) + 1e-6).log()
