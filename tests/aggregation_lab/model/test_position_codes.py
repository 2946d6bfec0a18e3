"""Position codes are timm's, made once for each grid, and no part of what is saved."""

from unittest import mock

import pytest
import timm
import torch

from aggregation_lab.model.backbones.build import build_backbone

ENCODER = "vit_tiny_patch16_dinov3_qkvb"


@pytest.fixture(scope="module")
def plain():
    return timm.create_model(ENCODER, num_classes=0, dynamic_img_size=True)


def test_codes_are_those_of_timm_and_made_once_for_a_grid(plain):
    codes = build_backbone(ENCODER).network.rope
    with mock.patch.object(codes.rope, "get_embed", wraps=codes.rope.get_embed) as made:
        for shape, times in (((2, 2), 1), ([2, 2], 1), ((3, 2), 2), ((2, 2), 3)):
            assert torch.equal(codes.get_embed(shape=shape), plain.rope.get_embed(shape=shape))
            assert made.call_count == times


def test_codes_are_no_part_of_a_checkpoint(plain):
    assert build_backbone(ENCODER).network.state_dict().keys() == plain.state_dict().keys()


def test_codes_follow_the_model_to_another_type():
    encoder = build_backbone(ENCODER).network
    for kind in (torch.float32, torch.float64):
        assert encoder.to(kind).rope.get_embed(shape=(2, 2)).dtype == kind


def test_a_model_that_has_predicted_in_inference_mode_can_be_trained():
    encoder, images = build_backbone(ENCODER).network, torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        encoder(images)
    encoder(images).sum().backward()
    assert encoder.patch_embed.proj.weight.grad is not None
