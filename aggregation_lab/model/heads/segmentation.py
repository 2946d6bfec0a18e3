"""Segmentation: classes of the shared map's cells, brought to the size of the image."""

import torch.nn.functional as F
from torch import Tensor, nn

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
