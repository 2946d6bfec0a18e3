"""Pillow without its words on screen and without its own limit on pixels, in whatever threads files are decoded."""

import threading
import warnings

from PIL import Image


class QuietPillow:
    """Context in which Pillow warns of nothing; the last of the threads inside brings its ways back.

    Warnings and the limit belong to the process, so a thread's own context would undo that of another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._warnings, self._limit = warnings.catch_warnings(), Image.MAX_IMAGE_PIXELS
                self._warnings.__enter__()
                warnings.simplefilter("ignore")
                Image.MAX_IMAGE_PIXELS = None
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                Image.MAX_IMAGE_PIXELS = self._limit
                self._warnings.__exit__(None, None, None)
