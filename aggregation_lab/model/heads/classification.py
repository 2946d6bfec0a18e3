"""Classification: the shared map, pooled."""

import torch
from torch import Tensor, nn


class ClassificationHead(nn.Module):
    """Class logits from the mean and the maximum of the map: the whole view and its most telling place."""

    stride = 8

    def __init__(self, *, dim: int, classes: int, width: int):
        super().__init__()
        self.reduce = nn.Sequential(nn.Linear(2 * dim, width), nn.GELU())
        self.classify = nn.Linear(width, classes)

    def forward(self, features: Tensor, size: int) -> Tensor:
        """B x D x h x w -> B x classes logits. `size` is not needed here."""
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return self.classify(self.reduce(pooled)).float()

    def predict(self, output: Tensor) -> Tensor:
        """B x classes probabilities."""
        return output.softmax(1)
