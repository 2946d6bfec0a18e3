"""Segmentation: classes of the shared map's cells, brought to the size of the image."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aggregation_lab.model.heads.network import Network, softmax_entropy
from aggregation_lab.model.shared_maps import View


class SegmentationHead(nn.Module):
    """Class logits at the size of the input image."""

    view = View.FINE

    def __init__(self, *, dim: int, classes: int, width: int):
        super().__init__()
        self.classify = nn.Conv2d(dim, classes, 1)

    def forward(self, features: Tensor, size: int) -> Tensor:
        """B x D x h x w -> B x classes x size x size logits."""
        return F.interpolate(self.classify(features).float(), size=(size, size), mode="bilinear")

    def predict(self, output: Tensor) -> Tensor:
        """B x size x size class indices, uint8."""
        return output.argmax(1).byte()


def segmentation_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Soft Dice over the foreground classes plus cross-entropy. B x C x S x S logits, B x S x S indices -> B."""
    cross_entropy = F.cross_entropy(logits, masks, reduction="none").mean((1, 2))
    probabilities = logits.softmax(1)[:, 1:]
    classes = torch.arange(1, logits.shape[1], device=masks.device).view(-1, 1, 1)
    reference = (masks.unsqueeze(1) == classes).to(probabilities.dtype)
    overlap = (probabilities * reference).sum((2, 3))
    total = probabilities.sum((2, 3)) + reference.sum((2, 3))
    # one pixel of smoothing: an absent structure that is predicted absent costs nothing
    dice = (2 * overlap + 1) / (total + 1)
    return cross_entropy + (1 - dice).mean(1)


def pixel_entropy(logits: Tensor) -> Tensor:
    """Entropy of the predicted classes, mean over the pixels. B x C x S x S logits -> B."""
    return softmax_entropy(logits, 1).mean((1, 2))


NETWORK = Network(
    SegmentationHead,
    segmentation_loss,
    move=lambda masks, movement: movement.class_maps(masks),
    entropy=pixel_entropy,
)
