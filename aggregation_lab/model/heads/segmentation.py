"""Segmentation: a light decoder in the style of DPT on the shared map."""

import torch.nn.functional as F
from torch import Tensor, nn

from aggregation_lab.model.heads.blocks import Upsampler


class SegmentationHead(nn.Module):
    """Class logits at the size of the input image."""

    def __init__(self, *, dim: int, classes: int, width: int):
        super().__init__()
        self.decoder = Upsampler(dim=dim, width=width)
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, features: Tensor, size: int) -> Tensor:
        """B x D x h x w -> B x classes x size x size logits."""
        logits = self.classify(self.decoder(features)).float()
        return F.interpolate(logits, size=(size, size), mode="bilinear")

    def predict(self, output: Tensor) -> Tensor:
        """B x size x size class indices, uint8."""
        return output.argmax(1).byte()
