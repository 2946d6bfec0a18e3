"""Classification: the shared map, pooled."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aggregation_lab.model.heads.network import Network


class ClassificationHead(nn.Module):
    """Class logits from the mean and the maximum of the map: the whole view and its most telling spot."""

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


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy. B x C logits, B labels -> B."""
    return F.cross_entropy(logits, labels, reduction="none")


NETWORK = Network(ClassificationHead, classification_loss, move=lambda labels, movement: labels)
