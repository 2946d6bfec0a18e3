"""One case as it is shown: the image, its target, and what each aggregation predicts, ready for a page or for paper."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

from PIL import Image

from aggregation_lab.tasks.marks import Mark

SIDE = 208
"""Pixels of the longer side of a picture on a page, which shows it at 150 to 180; smaller images keep their size."""
_QUALITY = 50
"""Of WebP: what it blurs is speckle, not an edge, see docs/gallery.md."""


@dataclass(frozen=True, eq=False)
class Panel:
    """What one aggregation predicts, and its score of the case in words; `marks` is None where none is kept."""

    name: str
    text: str
    marks: Sequence[Mark] | None


@dataclass(frozen=True, eq=False)
class Strip:
    """A case: its row of `case_gains`, the image in its original size, the target, and a panel for each aggregation."""

    row: Mapping[str, Any]
    image: Image.Image
    truth: Sequence[Mark]
    panels: Sequence[Panel]

    @cached_property
    def picture(self) -> bytes:
        """The image as a small WebP without metadata, its aspect ratio kept."""
        shrink = min(1.0, SIDE / max(self.image.size))
        size = (max(1, round(self.image.width * shrink)), max(1, round(self.image.height * shrink)))
        stream = BytesIO()
        small = self.image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        small.save(stream, "WEBP", quality=_QUALITY, method=6)
        return stream.getvalue()

    @property
    def file_name(self) -> str:
        """Named by its content: a case that several contrasts show is one file, and no name tells a patient."""
        return f"{hashlib.sha256(self.picture).hexdigest()[:16]}.webp"

    @property
    def data_uri(self) -> str:
        """The picture as text, for a page without files."""
        return f"data:image/webp;base64,{base64.b64encode(self.picture).decode()}"
