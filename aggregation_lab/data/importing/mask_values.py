"""What the values or colours of mask files mean: `--mask-values`, or what is certain without it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from aggregation_lab.config import value_span
from aggregation_lab.data.images.decode import decoded_file
from aggregation_lab.data.images.masks import MOST_VALUES, read_mask
from aggregation_lab.data.images.palettes import indices_of, renumbered
from aggregation_lab.data.importing.records import Report
from aggregation_lab.data.interpretation.mask_classes import FULL, white_meaning
from aggregation_lab.data.progress import Progress
from aggregation_lab.errors import DataError
from aggregation_lab.files import read_bytes
from aggregation_lab.text import printable

_COLOUR = re.compile(r"#([0-9a-fA-F]{6})")
_SHOWN = 8
_MOST_CLEAR = 64
"""More values than these are greys, not classes, unless --mask-values says otherwise."""
_OUTLINE = 4
"""An outline and what it surrounds have at least so many times its pixels; the wall of a vessel has fewer."""
_PHOTOGRAPH = "shows greys of every kind, as an image does, and is no mask"


@dataclass(frozen=True)
class MaskValues:
    """Class by value of a mask file, or by colour (0xRRGGBB) where `colours`; None for classes as they are.

    `text` is what --mask-values gave; `ignored` is a value that the source names as one without a class.
    """

    classes: dict[int, int] | None = None
    colours: bool = False
    text: str = ""
    ignored: int | None = None

    def __str__(self) -> str:
        return self.text

    def read(self, file: Path) -> np.ndarray:
        """H x W class indices of a mask file. Raises `ValueError` where a value has no class, or it is no mask."""
        if self.colours:
            return self.apply(_colours(read_bytes(file)))
        mask = read_mask(read_bytes(file))
        if self.classes is None and mask.is_photograph:
            raise ValueError(_PHOTOGRAPH)
        return self.apply(mask.pixels)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """H x W class indices for the values of a mask. Raises `ValueError` where a value has no class."""
        if self.classes is None:
            return pixels
        values, inverse = np.unique(pixels, return_inverse=True)
        unknown = [int(value) for value in values if int(value) not in self.classes]
        if unknown:
            raise ValueError(self._without_class(unknown))
        table = np.array([self.classes[int(value)] for value in values], np.int64)
        return table[inverse].reshape(pixels.shape)

    def _without_class(self, unknown: Sequence[int]) -> str:
        if self.ignored is not None and self.ignored in unknown and self.classes is not None:
            mapping = _written({**self.classes, self.ignored: 0})
            said = f"its mask holds {self.ignored}, which is the label `ignore` and no class"
            return f"{said}; to take such areas as background, give --mask-values '{mapping}'"
        shown = ", ".join(self.written(value) for value in unknown[:_SHOWN])
        why = "to which --mask-values gives no class" if self.text else "which is no class of the source"
        return f"its mask holds {shown}, {why}"

    def written(self, value: int) -> str:
        return f"#{value:06x}" if self.colours else str(value)


def parse_mask_values(text: str) -> MaskValues:
    """`0=0,255=1`, with ranges `128-255=1`, or colours `#000000=0,#ff0000=1`. Raises `ValueError`."""
    classes: dict[int, int] = {}
    kinds = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        value, _, index = (piece.strip() for piece in part.partition("="))
        colour = _COLOUR.fullmatch(value)
        kinds.add(bool(colour))
        if not re.fullmatch(r"\d{1,3}", index) or int(index) > 255:
            raise ValueError(f"{printable(part, 40)!r} gives no class; write VALUE=CLASS, as in 0=0,255=1")
        for number in [int(colour[1], 16)] if colour else value_span(value):
            if classes.setdefault(number, int(index)) != int(index):
                raise ValueError(f"names {value} twice; each value has one class")
    if not classes:
        raise ValueError("is empty; write VALUE=CLASS, as in 0=0,255=1")
    if len(kinds) > 1:
        raise ValueError("mixes numbers and colours; write all as #rrggbb where the masks have colours")
    return MaskValues(classes, kinds.pop(), text)


def _colours(data: bytes) -> np.ndarray:
    """H x W colours of a file as 0xRRGGBB. Raises `ValueError` where it is no image."""
    with decoded_file(data) as opened:
        red, green, blue = np.moveaxis(np.asarray(opened.image.convert("RGB"), np.int64), -1, 0)
    return (red << 16) | (green << 8) | blue


@dataclass(frozen=True)
class Held:
    """What mask files hold: their values, the colour of each in a palette ("1:ff0000,..."), whether they are lossy, and
    whether one of several holds both 1 and white."""

    values: Iterable[int]
    palette: str = ""
    lossy: bool = False
    one_and_white: bool = False


def held_by(file: Path) -> Held:
    """What a mask file holds; no values of one that is a photograph. Raises `OSError` and `ValueError`."""
    mask = read_mask(read_bytes(file))
    return Held(() if mask.is_photograph else mask.values[: MOST_VALUES + 1], mask.palette, mask.lossy)


def held_by_all(
    files: Sequence[Path], report: Report, progress: Progress, look: Callable[[Path], Held] = held_by
) -> Held:
    """What the masks of a task hold together; `look` reads a file. Files that are no masks are left to the writer.

    Raises `DataError` for masks in colours, and where palettes number their colours unlike.
    """
    used: set[int] = set()
    palettes: dict[Path, str] = {}
    lossy: list[Path] = []
    one_and_white = False
    for done, file in enumerate(files, start=1):
        try:
            held = look(file)
        except (OSError, ValueError) as error:
            if "coloured" in str(error):
                advice = _advice(np.unique(_colours(read_bytes(file))).tolist())
                raise DataError(f"{file}: is a mask in colours; {advice}") from error
            continue
        values = set(held.values)
        used |= values
        one_and_white |= 1 in values and not values.isdisjoint(FULL)
        lossy += [file] if held.lossy and values else []
        palettes[file] = held.palette
        progress("reading masks", done, len(files))
    clash = renumbered(palettes)
    if clash is not None:
        colours = {int(colour, 16) for palette in palettes.values() for _, colour in indices_of(palette)}
        said = f"has colour #{clash.colour} as {clash.index}, {clash.first} as {clash.first_index}"
        raise DataError(f"{clash.file}: {said}; {_advice(sorted(colours))}")
    for file in lossy:
        report.remark(file.name, "is a mask compressed with loss, which changes classes at borders")
    return Held(sorted(used), lossy=bool(lossy), one_and_white=one_and_white)


def _advice(
    values: Sequence[int], written: Callable[[int], str] = "#{:06x}".format, background: int | None = None
) -> str:
    """What to write for values, or colours; `background` is a further value that means 0."""
    guess = ",".join(f"{written(value)}={index}" for index, value in enumerate(values[:_SHOWN]))
    guess += "" if background is None else f",{background}=0"
    more = f", and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return f"say what they mean, as in --mask-values '{guess}'{more}"


def certain_values(files: Sequence[Path], held: Held, report: Report, background: int | None = None) -> MaskValues:
    """What the values of a task's masks mean where the caller does not say it.

    Values from 0 on are classes; 0 with 255 (or 65535) alone is background and foreground; `background` is a value
    that the format takes as 0. Raises `DataError` where other values need --mask-values, as those of masks that were
    smoothed or compressed with loss do.
    """
    values = [value for value in held.values if value != background]
    white = [value for value in values if value in FULL] if background is None else []
    if white and set(values) <= {0, *FULL}:
        if 0 in values:
            shown = ", ".join(map(str, [0, *white[:-1]])) + f" and {white[-1]}"
            report.remark("masks", f"the values {shown} are read as the classes 0 and 1")
        return MaskValues(dict.fromkeys(values[: -len(white)], 0) | dict.fromkeys(white, 1))
    if values and (_unlike_classes(values) or held.lossy):
        shown = ", ".join(map(str, values[:_SHOWN])) + (" ..." if len(values) > _SHOWN else "")
        advice = _advice(values, str, background)
        if len(values) > _SHOWN and 127 < values[-1] < 256:
            advice = "say what they mean, as in --mask-values '0-127=0,128-255=1'"
        if white and not held.lossy and not _unlike_classes(classes := values[: -len(white)]):
            meaning = white_meaning(classes, white, apart=not held.one_and_white)
            advice = f"{meaning[1]} --mask-values '{_written(meaning[0])}'" if meaning else advice
        raise DataError(f"{files[0].parent}: the masks hold the values {shown}; {advice}")
    if background is not None:
        report.remark("masks", f"the value {background} (void) is read as background")
        return MaskValues({number: number for number in range(background)} | {background: 0})
    return MaskValues()


def _written(classes: Mapping[int, int]) -> str:
    """Classes by value as --mask-values takes them."""
    return ",".join(f"{value}={index}" for value, index in classes.items())


def _unlike_classes(values: Sequence[int]) -> bool:
    """Whether values, in their order, are too large or too many to be classes."""
    return bool(values) and (values[-1] > 2 * len(values) + 8 or len(values) > _MOST_CLEAR)


def is_outline(classes: np.ndarray) -> bool:
    """Whether what an H x W class map marks is a line around a much larger area, as a drawn outline is."""
    from scipy.ndimage import binary_fill_holes  # slow to import

    marked = classes > 0
    return bool(binary_fill_holes(marked).sum() > _OUTLINE * marked.sum())


@dataclass(frozen=True)
class FileMap:
    """The `load` of a `ClassMap` that reads a mask file; equal for the same file and values."""

    file: Path
    values: MaskValues

    def __call__(self, width: int, height: int) -> np.ndarray:
        try:
            return self.values.read(self.file)
        except OSError as error:
            raise ValueError(f"its mask cannot be read ({error.strerror})") from error
        except ValueError as error:
            text = str(error)
            raise ValueError(text if text.startswith("its mask") else f"its mask {text}") from error


def encoded(classes: np.ndarray) -> Image.Image:
    """A class map as an image of 8 bits."""
    return Image.fromarray(np.ascontiguousarray(classes, np.uint8))
