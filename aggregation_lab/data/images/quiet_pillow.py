"""Pillow without warnings and without its limit on pixels, safe with threads."""

import threading
import warnings

from PIL import Image


class QuietPillow:
    """Context in which Pillow warns of nothing; the last thread to leave restores its settings.

    Warnings and the limit belong to the process, so a context per thread would undo that of another.
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
