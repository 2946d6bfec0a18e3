"""Similarities of tasks from what was seen of each: T x T matrices in float64, NaN where a value is undefined."""

from collections.abc import Sequence

import torch
from torch import Tensor


def cosines(gramian: Tensor) -> Tensor:
    """Cosines of vectors by their inner products, T x T -> T x T; undefined of a vector without length."""
    lengths = gramian.diagonal().sqrt()
    return torch.where(lengths > 0, gramian, torch.nan) / (lengths.unsqueeze(1) * lengths)


def inner_products(vectors: Sequence[Tensor | None]) -> Tensor:
    """Inner products of T vectors, NaN with one that is not there: T x T."""
    there = [index for index, vector in enumerate(vectors) if vector is not None]
    products = torch.full((len(vectors), len(vectors)), torch.nan, dtype=torch.float64)
    if there:
        known = torch.stack([vector for vector in vectors if vector is not None])
        rows = torch.tensor(there)
        found = known @ known.T
        products[rows.unsqueeze(1), rows] = (found + found.T) / 2  # a matrix product rounds both orders by themselves
    return products


def feature_products(features: Tensor) -> Tensor:
    """Inner products of the features of N images, N x ... -> N x N, from which `unbiased_cka` follows."""
    flat = features.flatten(1).double()
    flat = flat - flat.mean(0)  # centring changes nothing of the estimate and keeps its terms small
    return (flat @ flat.T).cpu()


def unbiased_cka(products: Sequence[Tensor]) -> Tensor:
    """Linear centred kernel alignment (Kornblith et al. 2019, arXiv 1905.00414) of T sets of features of the same N >=
    4 images, from their N x N inner products: T x T, undefined where an estimate of a norm is not positive.

    With the unbiased estimate of HSIC (Song et al. 2012, as Nguyen et al. 2021, arXiv 2010.15327): of a few images the
    plain one is close to 1 for unrelated features too, for wide ones the more so. Single values so may leave [0, 1].
    """
    if len(products[0]) < 4:
        return torch.full((len(products), len(products)), torch.nan, dtype=torch.float64)
    hsic = torch.stack([torch.stack([_hsic(one, other) for other in products]) for one in products])
    return cosines(hsic.where(hsic.diagonal().unsqueeze(1) > 0, 0.0).where(hsic.diagonal() > 0, 0.0))


def _hsic(one: Tensor, other: Tensor) -> Tensor:
    """Unbiased estimate of the Hilbert-Schmidt independence criterion (Song et al. 2012, theorem 2)."""
    count = len(one)
    one, other = one - one.diag().diag(), other - other.diag().diag()
    sums = one.sum() * other.sum() / ((count - 1) * (count - 2)) - 2 * (one.sum(0) @ other.sum(0)) / (count - 2)
    return ((one * other).sum() + sums) / (count * (count - 3))
