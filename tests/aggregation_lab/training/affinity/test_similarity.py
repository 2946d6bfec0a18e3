"""Projection and similarities: properties that hold by their definitions, and cases computed by hand."""

import pytest
import torch

from aggregation_lab.training.affinity.gradients import SIZE, Projection
from aggregation_lab.training.affinity.image_divergence import description
from aggregation_lab.training.affinity.similarity import cosines, feature_products, inner_products, unbiased_cka


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_short_vectors_are_kept_whole():
    vector = torch.randn(SIZE)
    assert torch.equal(Projection(SIZE, torch.device("cpu"))(vector), vector.double())


def test_a_projection_keeps_lengths_and_cosines():
    length = 400_000
    one, noise = torch.randn(length), torch.randn(length)
    other = 0.3 * one + noise
    project = Projection(length, torch.device("cpu"))
    whole = inner_products([one.double(), other.double()])
    short = inner_products([project(one), project(other)])
    assert len(project(one)) == SIZE
    # five standard deviations of SIZE**-0.5
    torch.testing.assert_close(cosines(short), cosines(whole), rtol=0, atol=0.04)
    torch.testing.assert_close(short.diagonal(), whole.diagonal(), rtol=0.06, atol=0)


def test_a_projection_is_linear_and_the_same_every_time():
    one, other = torch.randn(50_000), torch.randn(50_000)
    project, again = Projection(50_000, torch.device("cpu")), Projection(50_000, torch.device("cpu"))
    torch.testing.assert_close(project(2 * one - other), 2 * again(one) - again(other), rtol=1e-4, atol=1e-3)


def test_heavy_columns_of_a_matrix_do_not_meet_only_each_other():
    """Gradients of a weight matrix have columns far larger than others; cosines must hold there, too."""
    heavy = torch.ones(384)
    heavy[5] = 100.0
    one, other = ((torch.randn(1500, 384) * heavy).flatten() for _ in range(2))
    project = Projection(len(one), torch.device("cpu"))
    whole = cosines(inner_products([one.double(), other.double()]))
    short = cosines(inner_products([project(one), project(other)]))
    torch.testing.assert_close(short, whole, rtol=0, atol=0.05)


def test_cosines_of_a_vector_without_length_are_undefined():
    found = cosines(inner_products([torch.tensor([3.0, 4.0]).double(), torch.zeros(2).double(), None]))
    assert found[0, 0] == 1.0 and torch.isnan(found[1]).all() and torch.isnan(found[2]).all()
    assert torch.isnan(found[:, 1]).all()


def test_cka_of_the_same_features_is_1_whatever_their_scale_rotation_and_shift():
    features = torch.randn(8, 20)
    rotation = torch.linalg.qr(torch.randn(20, 20)).Q
    moved = 3 * features @ rotation + 5
    found = unbiased_cka([feature_products(features), feature_products(moved)])
    torch.testing.assert_close(found, torch.ones(2, 2, dtype=torch.float64), rtol=0, atol=1e-4)


def test_cka_of_unrelated_wide_features_is_0_on_average_where_the_plain_one_is_not():
    unbiased, plain = [], []
    for _ in range(300):
        one, other = (feature_products(torch.randn(8, 500)) for _ in range(2))
        unbiased.append(unbiased_cka([one, other])[0, 1])
        plain.append((one * other).sum() / (one.norm() * other.norm()))
    assert torch.stack(plain).mean() > 0.9
    known = torch.stack(unbiased)
    known = known[known.isfinite()]
    assert abs(known.mean()) < 0.1


def test_hsic_by_hand():
    """Against the estimate as a sum over all sets of four distinct images (Song et al. 2012)."""
    from itertools import permutations

    one, other = torch.randn(6, 3).double(), torch.randn(6, 4).double()
    kernels = [one @ one.T, other @ other.T]

    def by_sets(k, m):
        terms = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(6), 4)]
        return torch.stack(terms).mean()

    expected = by_sets(*kernels) / (by_sets(kernels[0], kernels[0]) * by_sets(kernels[1], kernels[1])).sqrt()
    found = unbiased_cka([feature_products(one), feature_products(other)])[0, 1]
    assert found.item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-12)


def test_cka_of_three_images_is_undefined():
    assert torch.isnan(unbiased_cka([feature_products(torch.randn(3, 5))] * 2)).all()


def test_a_description_tells_levels_layout_and_texture_apart():
    """Each part of it moves where only that property of the images changes."""
    noise = torch.randint(0, 256, (1, 1, 32, 32), dtype=torch.uint8)
    left = noise.clone()
    left[..., 16:] //= 2
    smooth = torch.nn.functional.avg_pool2d(noise.float(), 3, 1, 1).byte()
    base, darker, dimmed, smoothed = (description(each)[0] for each in (noise, noise // 2, left, smooth))
    levels, layout, spectrum = slice(0, 16), slice(16, 32), slice(32, 40)
    assert (darker - base)[levels].abs().sum() > 0.5
    assert (dimmed - base)[layout].abs().max() > 0.2 and (smoothed - base)[layout].abs().max() < 0.1
    assert (base - smoothed)[spectrum][-1] > 2 and torch.isfinite(base).all()
