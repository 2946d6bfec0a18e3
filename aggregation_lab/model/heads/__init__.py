"""One head per task type. Each reads the shared feature map (B x D x h x w) and nothing else.

A head's `forward` gives what its loss needs; its `predict` gives normalised predictions that know nothing of the
original image size: class maps, class probabilities, boxes and points in [0, 1].
"""

from aggregation_lab.model.heads.classification import ClassificationHead
from aggregation_lab.model.heads.detection import DetectionHead
from aggregation_lab.model.heads.regression import RegressionHead
from aggregation_lab.model.heads.segmentation import SegmentationHead
from aggregation_lab.tasks import TaskType

HEADS = {
    TaskType.SEGMENTATION: SegmentationHead,
    TaskType.CLASSIFICATION: ClassificationHead,
    TaskType.DETECTION: DetectionHead,
    TaskType.REGRESSION: RegressionHead,
}

__all__ = ["HEADS", "ClassificationHead", "DetectionHead", "RegressionHead", "SegmentationHead"]
