"""Classification: a small perceptron on the summary of all levels."""

import torch.nn.functional as F
from torch import Tensor, nn

from aggregation_lab.model.heads.network import Network, softmax_entropy
from aggregation_lab.model.shared_maps import View


class ClassificationHead(nn.Module):
    """Class logits from means and maxima of the shared maps: the whole view and its most telling places."""

    view = View.SUMMARY

    def __init__(self, *, dim: int, classes: int, width: int):
        super().__init__()
        self.reduce = nn.Sequential(nn.Linear(dim, width), nn.GELU())
        self.classify = nn.Linear(width, classes)

    def forward(self, features: Tensor, size: int) -> Tensor:
        """B x D -> B x classes logits. `size` is not needed here."""
        return self.classify(self.reduce(features)).float()

    def predict(self, output: Tensor) -> Tensor:
        """B x classes probabilities."""
        return output.softmax(1)


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy. B x C logits, B labels -> B."""
    return F.cross_entropy(logits, labels, reduction="none")


def class_entropy(logits: Tensor) -> Tensor:
    """Entropy of the predicted classes. B x C logits -> B."""
    return softmax_entropy(logits, 1)


NETWORK = Network(ClassificationHead, classification_loss, move=lambda labels, movement: labels, entropy=class_entropy)
