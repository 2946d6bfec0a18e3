"""What a task type is: one object that says what its targets, metrics, trivial predictor and network are.

A new type is a subclass in a file of this folder with its network half in `aggregation_lab/model/heads/`, and is
listed in `known_types.py`. Other modules ask the type and do not name it; those that do, and why, are
`NAMING_TYPES` in `tests/project/test_new_task_type.py`.
"""

import difflib
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from aggregation_lab.tasks.marks import Mark
from aggregation_lab.tasks.targets import Reference, TargetCells, TargetField

if TYPE_CHECKING:
    import pandas as pd

    from aggregation_lab.model.heads.network import Network


@dataclass(frozen=True)
class Metric:
    """A score's name, its direction and its unit ("1" for unit-free scores in [0, 1] or [-1, 1])."""

    name: str
    higher_is_better: bool
    unit: str = "1"
    by_class: bool = False
    """Whether it compares classes or is a mean over them, so that the subjects of the rarest one limit what is known of
    it; else it is a mean over cases."""

    @property
    def direction(self) -> str:
        return "higher" if self.higher_is_better else "lower"


METRICS = {"score": Metric("score", True)}
"""Every metric a score table of this project can hold: `score`, the unit-free one, and those of every task type."""


@dataclass(frozen=True)
class Score:
    """A metric's value (NaN where undefined) and how many of its terms were undefined and left out."""

    metric: str
    value: float
    n_undefined: int = 0


Quantity = tuple[str, int, float]
"""One row of the table `cases`: quantity, index, value."""

CaseValues = Callable[[str], np.ndarray]
"""Values of a quantity by its name: N cases x K classes or points."""

ArmValues = Mapping[str, np.ndarray]
"""Quantity -> values, A x N x K: A trained models, N cases, K classes or points that the quantity has."""


class _Registry(ABCMeta):
    """`TaskType.DETECTION` and `for task_type in TaskType`: an enumeration that can grow."""

    def __iter__(cls) -> "Iterator[TaskType]":
        return iter(_TYPES.values())

    def __getattr__(cls, name: str) -> "TaskType":
        if name.isupper() and name.lower() in _TYPES:
            return _TYPES[name.lower()]
        raise AttributeError(f"{name}: is no task type; there are {', '.join(_TYPES).upper()}")


class TaskType(str, metaclass=_Registry):
    """A task type: its name as tables and files have it, and everything that tells it from other types."""

    # ---- what it is called

    name: str
    short_names: tuple[str, ...] = ()
    """Other words for it in the column task_name."""

    # ---- its target

    target: TargetField
    classes_given: bool = True
    """Whether num_classes is read; it is 1 else."""
    fewest_classes: int = 1
    """Smallest num_classes."""
    first_class: int | None = None
    """Where num_classes counts classes that should all occur, the first of them: 0, or 1 behind a background."""
    numbered: tuple[str, int] = ("classes", 0)
    """What num_classes counts, and the number that the layout gives the first."""
    needs_two_classes: bool = False
    """Whether a test set of one class cannot be scored."""
    rules: tuple[str, ...] = ()
    """Fields of `TargetRules` that say how its targets are written."""
    mirrors: bool = True
    """Whether a mirrored image keeps its target, where the target does not tell left from right."""

    # ---- its predictions

    prediction: str = ""
    """What a prediction in pixels of the original image is, for people."""
    pixel_shape: tuple[int, ...] = (-1,)
    """Its shape where it is no class map; -1 where that depends on the task."""
    answers: str | None = None
    """The file of a submission to the challenge that has such predictions; class maps are image files of their own."""

    # ---- its scores

    quantities: Mapping[str, str]
    """What the table `cases` holds for each case: name of the quantity -> meaning."""
    metrics: tuple[Metric, ...]
    """The first is the primary one."""
    alternatives: tuple[str, ...] = ()
    """Other metrics under which a verdict is checked, beside the unit-free one."""
    note: str = ""
    """What a reader of the report must know of the unit-free score."""
    case_score: str
    """What `case_scores` is, for people."""
    case_note: str = ""
    """What a reader must know of it, where it is not the metric of a single case."""

    # ---- its network

    network_path: str
    """`module:NAME` of its `Network`, so that torch is loaded only where a network is needed."""
    taught: str = ""
    """What its head reads and predicts, and by which loss, for people; tested against the network's own numbers."""

    def __new__(cls) -> Self:
        return super().__new__(cls, cls.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskType.of, (self.name,)  # copies and other processes get the registered object

    @staticmethod
    def of(name: str) -> "TaskType":
        """The registered type of this name. Raises `ValueError`."""
        if name not in _TYPES:
            raise ValueError(f"{name!r} is no task type; there are {', '.join(_TYPES)}")
        return _TYPES[name]

    @property
    def written(self) -> str:
        """Its name as the challenge's files have it."""
        return self.name

    @property
    def primary(self) -> Metric:
        return self.metrics[0]

    @property
    def unit_free(self) -> str:
        """What the metric `score` is: oriented, in [0, 1], and the only one that may be averaged over types."""
        return self.primary.name

    @property
    def masked(self) -> bool:
        """Whether the target is a class map, which the image cache keeps."""
        return self.target == "mask"

    @property
    def network(self) -> "Network":
        """Head, loss and augmentation of the target. Loads torch."""
        return resolve_name(self.network_path)

    def size(self, classes: int) -> str:
        """What num_classes means, for people."""
        return str(classes)

    @abstractmethod
    def read_target(self, cells: TargetCells) -> Any:
        """The target of a CSV row, for the column `target` of the case table; None where it cannot be read."""

    def classes_shown(self, label: int, mask_values: str) -> tuple[int, ...]:
        """Classes that a case shows, which splits keep balanced; `mask_values` are those of its mask, as in "0,2"."""
        return ()

    def targets(self, cases: "pd.DataFrame") -> np.ndarray:
        """What is learned and compared: N targets that do not depend on the original size of their images.

        Class maps come from the image cache instead, N x S x S.
        """
        raise NotImplementedError(f"{self} targets are class maps of the image cache")

    @abstractmethod
    def floor(self, targets: np.ndarray, classes: int) -> np.ndarray:
        """The trivial predictor: one prediction for every case, from the training targets alone."""

    def in_pixels(self, prediction: np.ndarray, height: int, width: int) -> np.ndarray:
        """A normalised prediction in pixels of its original image of `height` x `width`, the form that is scored and
        kept; probabilities as they are."""
        return prediction

    def cells(self, prediction: np.ndarray) -> dict[str, float | int]:
        """A prediction in original pixels as a row of a table; class maps are image files and have no cells."""
        return {f"value_{index}": value for index, value in enumerate(np.ravel(prediction).tolist())}

    def answer(self, prediction: np.ndarray, height: int, width: int) -> dict[str, Any]:
        """A prediction in original pixels as the challenge's `answers` file has it, beside image_path and task_id."""
        raise NotImplementedError(f"the challenge has no file for {self} predictions")

    @abstractmethod
    def truth(self, reference: Reference, classes: int) -> np.ndarray:
        """The reference in the form of `in_pixels`."""

    @abstractmethod
    def marks(self, in_pixels: np.ndarray) -> list[Mark]:
        """What `in_pixels` or `truth` looks like on the image."""

    @abstractmethod
    def case_quantities(self, in_pixels: np.ndarray, reference: Reference, classes: int) -> list[Quantity]:
        """A prediction in pixels of the original image, beside its reference."""

    @abstractmethod
    def case_scores(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """A score of every case, higher being better, from quantities of ... x N x K: ... x N.

        Its mean over cases is the metric `score` where that is a mean of cases, and stands in for it where it is not.
        """

    def case_classes(self, values: Mapping[str, np.ndarray]) -> list[tuple[int, ...]]:
        """The classes that each of N cases shows by its reference, from quantities of N x K."""
        return [()] * len(next(iter(values.values())))

    def same_answer(self, values: Mapping[str, np.ndarray]) -> bool | None:
        """Whether every case got the same prediction, from quantities of N x K; None where these do not tell, as where
        they hold how good a prediction is and not what it is."""
        return None

    def case_text(self, score: float, diagonal: float) -> str:
        """A case's score in the words and unit of its type; `diagonal` of the original image in pixels."""
        return f"{self.case_score} {score:.2f}"

    @abstractmethod
    def scores(self, values: CaseValues) -> list[Score]:
        """Every metric from the quantities of N cases; `score` first, where it is not the primary one."""

    @abstractmethod
    def weighted_scores(self, values: ArmValues, weights: np.ndarray, count_empty: bool) -> dict[str, np.ndarray]:
        """The same metrics under B x N case weights, float32 for resamples: B x A each, NaN where undefined.

        With `count_empty` a structure that an image lacks counts as the challenge has it, else it is left out.
        """

    @abstractmethod
    def validation_score(self, predictions: np.ndarray, targets: np.ndarray, classes: int, sides: np.ndarray) -> float:
        """The unit-free score at the training resolution, for the learning curve; NaN where undefined.

        `sides` N x 2, width and height of the original images in pixels.
        """


_TYPES: dict[str, TaskType] = {}


def register(task_type: TaskType) -> None:
    """Make a type known by its name, and its metrics by theirs."""
    _TYPES[task_type.name] = task_type
    METRICS.update({metric.name: metric for metric in task_type.metrics})


def find_type(name: str) -> TaskType | None:
    """The registered type of this name; None where a table of another trainer has another type."""
    return _TYPES.get(name)


def read_type(text: str) -> TaskType | None:
    """The type that `text` names, in capitals or by a usual short form (`seg`, `cls`); None where it names none."""
    word = text.strip().lower()
    return next((task_type for task_type in TaskType if word in (task_type.name, *task_type.short_names)), None)


def near_type(text: str) -> TaskType | None:
    """The type that a text with a typing error most likely means; None where it is near none."""
    close = difflib.get_close_matches(text.strip().lower(), list(_TYPES), n=1, cutoff=0.7)
    return _TYPES[close[0]] if close else None
