"""Regular expressions that users write: checked when they are read, bounded in the time their searches take.

Python's `re` has no bound: `(a+)+$` on a name of forty letters runs for hours. So the expression has to be one of `re`,
whose language people know, and is searched by the `regex` package, which can be stopped.
"""

import re
import time
import warnings
from typing import Any

import regex

LONGEST = 500
"""Characters of an expression."""
SECONDS = 2.0
"""Processor time that the searches of one expression may take, besides ALLOWANCE for each."""
ALLOWANCE = 1e-4
"""Seconds that each search adds, so that a folder of a million names is no fault of the expression."""


class Expression:
    """A user's regular expression. Raises `ValueError` where it is none."""

    def __init__(self, text: str):
        if len(text) > LONGEST:
            raise ValueError(f"has {len(text)} characters; a regular expression has {LONGEST} at most")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # syntax that a later `re` will read differently, such as [[a]
                re.compile(text)
            self._pattern = regex.compile(text)
        except (re.error, regex.error, OverflowError, RecursionError, Warning) as error:
            raise ValueError(f"{text!r} is no regular expression ({error})") from error
        self._left = SECONDS
        self._searched: set[str] = set()

    def search(self, text: str) -> Any:
        """The match in `text`, as of `re`. Raises `TimeoutError` where the time of the expression is used up.

        A text that was searched once in time is searched again without a limit.
        """
        if text in self._searched:
            return self._pattern.search(text)
        start = time.process_time()
        match = self._pattern.search(text, timeout=max(self._left, ALLOWANCE))
        self._left += ALLOWANCE - (time.process_time() - start)
        self._searched.add(text)
        return match
