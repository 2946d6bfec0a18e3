"""The task types that come with the project, in the order in which people see them."""

from aggregation_lab.tasks.classification import Classification
from aggregation_lab.tasks.detection import Detection
from aggregation_lab.tasks.regression import Regression
from aggregation_lab.tasks.segmentation import Segmentation
from aggregation_lab.tasks.task_type import register

SEGMENTATION, CLASSIFICATION, DETECTION, REGRESSION = Segmentation(), Classification(), Detection(), Regression()

for task_type in (SEGMENTATION, CLASSIFICATION, DETECTION, REGRESSION):
    register(task_type)
