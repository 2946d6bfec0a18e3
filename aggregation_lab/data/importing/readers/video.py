"""Video files: frames at a step, the subject is the video. Decoded by FFmpeg's libraries (PyAV)."""

from functools import lru_cache, partial
from pathlib import Path

import av
import numpy as np
from PIL import Image

from aggregation_lab.data.importing.files import Opened, Opener, as_subject
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.readers.labelled import read_labelled
from aggregation_lab.data.importing.records import Picture, ReadTask, Report
from aggregation_lab.data.importing.source_files import without_ending
from aggregation_lab.data.progress import Progress

STEP = 10
"""Every how many-th frame is taken where nothing is said: neighbours show nearly the same."""

_LONGEST = 1_000_000  # frames


def read(source: Path, options: ImportOptions, report: Report, progress: Progress) -> list[ReadTask]:
    """One task, labelled by a table or by a folder per class."""
    if options.step is None:
        report.remark("videos", f"every {STEP}th frame is taken (--step says otherwise)")
    return read_labelled(source, options, report, progress, _VideoOpener(options))


class _VideoOpener(Opener):
    endings = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".m4v", ".gif")
    what = "videos (.mp4, .avi, .mov, ...)"
    or_labels = ", or a table with --labels"
    subjects = "the videos"

    def __init__(self, options: ImportOptions):
        self._step = options.step or STEP

    def open(self, file: Path, where: str, frame: int | None) -> list[Opened]:
        count = _frame_count(file)
        if frame is not None and frame >= count:
            raise ValueError(f"has no frame {frame}; it has {count}, counted from 0")
        name = without_ending(where)
        numbers = [frame] if frame is not None else range(0, count, self._step)
        return [
            Opened(
                Picture(f"{where} frame {number}", f"{name}_f{number:05d}", load=partial(_image, file, number)),
                as_subject(name),
                "video",
            )
            for number in numbers
        ]


def _frame_count(file: Path) -> int:
    """The number of frames, counted by decoding: what a file says of itself may be wrong."""
    count = 0
    for _ in _frames(file):
        count += 1
        if count > _LONGEST:
            raise ValueError(f"has more than {_LONGEST:,} frames; divide it")
    if not count:
        raise ValueError("holds no frame")
    return count


def _frames(file: Path):  # noqa: ANN202
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise ValueError("holds no video")
            yield from container.decode(container.streams.video[0])
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"is no video that can be decoded ({error.strerror or 'broken'})") from error


class _Reading:
    """Frames of one video, one after the other; going back starts anew."""

    def __init__(self, file: Path):
        self._file, self._next, self._iterator = file, 0, _frames(file)

    def frame(self, number: int) -> np.ndarray:
        if number < self._next:
            self._next, self._iterator = 0, _frames(self._file)
        for each in self._iterator:
            self._next += 1
            if self._next == number + 1:
                return each.to_ndarray(format="rgb24")
        raise ValueError(f"has no frame {number}")


@lru_cache(maxsize=1)
def _reading(file: Path) -> _Reading:
    return _Reading(file)


def _image(file: Path, number: int) -> Image.Image:
    """The frame; grey where its three channels are equal."""
    pixels = _reading(file).frame(number)
    grey = (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))
