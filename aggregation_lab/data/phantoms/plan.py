"""From a configuration to the list of pictures: how many each task has, which subject and frame each one shows."""

import zlib
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from aggregation_lab.data.phantoms.catalogue import SOURCES, TASK_PLANS, Source
from aggregation_lab.errors import DataError
from aggregation_lab.tasks import CHALLENGE_TASKS

DEFAULT_TASKS = (
    "breast_lesion", "breast_3cls", "thyroid_nodule", "thyroid_nodule_det", "lung", "lung_2cls", "lung_disease_3cls",
    "fetal_head", "fetal_head_pos_cls", "FUGC", "fetal_femur",
)  # fmt: skip

FIRST_ROUNDS = 3
"""The first subjects go through all appearances this many times, so that small data sets have every class."""


@dataclass(frozen=True)
class PhantomConfig:
    """What to write: task ids, images per task (`scale` times the challenge's rows, within minimum and maximum), the
    longer side of the images in pixels, and the seed. Raises `DataError` naming the field on a bad value."""

    tasks: tuple[str, ...] = DEFAULT_TASKS
    scale: float = 0.04
    minimum: int = 32
    maximum: int = 160
    image_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(self.tasks))
        unknown = [name for name in self.tasks if name not in TASK_PLANS]
        if unknown or not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise DataError(f"phantoms: tasks: {unknown or self.tasks}: name tasks of the challenge, each once")
        if not self.scale > 0:
            raise DataError(f"phantoms: scale: {self.scale}: give a number above 0")
        if not 1 <= self.minimum <= self.maximum:
            raise DataError(f"phantoms: minimum, maximum: {self.minimum}, {self.maximum}: give 1 <= minimum <= maximum")
        if not 32 <= self.image_size <= 1024:
            raise DataError(f"phantoms: image_size: {self.image_size}: give 32 to 1024 pixels")
        if self.seed < 0:
            raise DataError(f"phantoms: seed: {self.seed}: give 0 or more")

    def images(self, task: str) -> int:
        """Number of rows of `task`: never so few that a class has under three subjects, unless `maximum` says so."""
        plan = TASK_PLANS[task]
        fewest = FIRST_ROUNDS * len(plan.labels) * SOURCES[plan.sources[0][0]].frames
        return min(max(round(CHALLENGE_TASKS[task].rows * self.scale), self.minimum, fewest), self.maximum)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"tasks": list(self.tasks)}


@dataclass(frozen=True)
class Picture:
    """One image file: the source it lies in, the subject and frame it shows (from 0), its visible appearance."""

    source: str
    subject: int
    frame: int
    appearance: str

    @property
    def path(self) -> str:
        """POSIX path relative to the train folder."""
        source = SOURCES[self.source]
        name = source.file.format(
            appearance=self.appearance, subject=self.subject + 1, frame=self.frame + 1,
            number=self.subject * source.frames + self.frame + 1, plane=source.appearances.index(self.appearance) + 1,
        )  # fmt: skip
        return f"{source.folder}/{source.name}/{name}"

    @property
    def mask_path(self) -> str:
        """Where the mask of this picture lies: beside it, or in a folder of masks."""
        path = PurePosixPath(self.path)
        if path.parent.name == "images":
            return str(path.parent.parent / "masks" / f"{path.stem}.png")
        return str(path.with_name(f"{path.stem}_mask.png"))

    @property
    def content(self) -> tuple[str, int, int]:
        """Pictures of equal content are byte-equal files in all folders."""
        return SOURCES[self.source].key, self.subject, self.frame


def random(*parts: int | str) -> np.random.Generator:
    """A generator that depends on the parts alone, not on what was drawn before."""
    return np.random.default_rng([part if isinstance(part, int) else zlib.crc32(part.encode()) for part in parts])


def appearance(source: Source, seed: int, subject: int, frame: int) -> str:
    unit = subject * source.frames + frame if source.mixed else subject
    if unit < FIRST_ROUNDS * len(source.appearances):
        return source.appearances[unit % len(source.appearances)]
    shares = np.array(source.weights) / sum(source.weights)
    return str(random(seed, source.key, "appearance", unit).choice(source.appearances, p=shares))


def pictures(config: PhantomConfig, task: str) -> dict[str, list[Picture]]:
    """The images of a task by source, in file order. Tasks on one source use its first suitable images."""
    plan = TASK_PLANS[task]
    remaining = total = config.images(task)
    chosen: dict[str, list[Picture]] = {}
    for position, (name, share) in enumerate(plan.sources):
        count = remaining if position == len(plan.sources) - 1 else min(remaining, round(total * share))
        remaining -= count
        source, serial = SOURCES[name], 0
        suitable: list[Picture] = []
        while len(suitable) < count:
            subject, frame = divmod(serial, source.frames)
            picture = Picture(name, subject, frame, appearance(source, config.seed, subject, frame))
            if not plan.appearances or picture.appearance in plan.appearances:
                suitable.append(picture)
            serial += 1
        if suitable:
            chosen[name] = suitable
    return chosen
