"""Options of an import, the same for all formats; each format says which of them it takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aggregation_lab.data.importing.mask_values import MaskValues
from aggregation_lab.data.subjects.regular_expressions import Expression
from aggregation_lab.tasks import TaskType

Slices = Literal["all", "labelled", "largest", "middle"]


@dataclass(frozen=True)
class ImportOptions:
    """What the caller decides. None, or empty, leaves it to the format."""

    task: str | None = None
    """Name of the task; the source's where not given."""
    group: str | None = None
    """Clinical group of the task."""
    subject: Expression | None = None
    """Finds the subject in an image's path relative to the source: first group, or the whole match."""
    subject_text: str | None = None
    """`subject` as it was written."""
    subject_prefix: str = ""
    """Stands before every subject, where ids of several sources would meet."""
    type: TaskType | None = None
    """Type of the task, where the source can be read as several."""
    classes: tuple[str, ...] = ()
    """Names of the classes that count, in their order; of points for regression."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What a table calls a column: image, label, subject, mask, frame -> its name."""
    labels: Path | None = None
    """A table of labels for files that carry none: image, label or another target, subject, frame."""
    images: Path | None = None
    """The folder that image names of an annotation file start from."""
    mask_values: MaskValues | None = None
    """Class by value or colour of the source's masks."""
    each_box: bool = False
    """Every box is a case of its own; else the largest of an image is taken."""
    step: int | None = None
    """Every how many-th frame or slice is taken."""
    slices: Slices | None = None
    """Which slices of a volume are taken."""
    channel: int | None = None
    """The channel of nnU-Net's images that is taken."""
    crop: bool = True
    """Whether DICOM images are cut to their ultrasound region."""
    copy: bool = False
    """Whether image files are copied also where they could be linked."""

    key: bytes = b""
    """Secret of OUT with which identities are hashed."""

    def shown(self) -> dict[str, Any]:
        """Those that differ from their defaults, as a receipt keeps them."""
        texts: dict[str, Any] = {}
        for name, default in vars(ImportOptions()).items():
            value = getattr(self, name)
            if value != default and name not in ("subject", "key"):
                plain = value if isinstance(value, int | tuple | dict) else str(value)
                texts["subject" if name == "subject_text" else name] = plain
        return texts
