"""The subject of each image: what the format knows, what --subject finds in its path, or none."""

import re
from collections import Counter
from collections.abc import Iterable

from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import ReadTask, Record, Report
from aggregation_lab.data.rows.csv_rows import UNKNOWN
from aggregation_lab.errors import DataError
from aggregation_lab.naming import clean_name

_VERSION = re.compile(r"([^/]+)\.rf\.[0-9a-zA-Z]{8,}\.[^/.]+$")
"""What Roboflow calls the versions of an image that it makes by augmentation."""


class Subjects:
    """Finds subjects; reports images in whose path --subject finds none."""

    def __init__(self, options: ImportOptions, report: Report):
        self._options, self._report = options, report

    def of(self, record: Record) -> str:
        """The subject of a record, "" where none is known. Raises `DataError` where the expression never ends."""
        text = record.subject
        if self._options.subject is not None:
            text = self._found(record.picture.where) or text
            if not text:
                self._report.remark(record.picture.where, "--subject finds nothing in its path")
        text = clean_name(text)
        return f"{self._options.subject_prefix}{text}" if text.casefold() not in UNKNOWN else ""

    def _found(self, where: str) -> str:
        expression = self._options.subject
        assert expression is not None
        try:
            match = expression.search(where)
        except TimeoutError as error:
            advice = "write it without repetitions inside of repetitions"
            raise DataError(f"--subject: searches {where} without end; {advice}") from error
        if match is None:
            return ""
        return (match.group(1) if match.re.groups else match.group(0)) or ""

    def note_versions(self, task: str, unknown: Iterable[str]) -> None:
        """Say where images without a subject, given by their paths, are versions of fewer images."""
        bases = Counter(match[1] for match in map(_VERSION.search, unknown) if match)
        versions = sum(count for count in bases.values() if count > 1)
        if versions:
            advice = r"give --subject '([^/]+)\.rf\.', or a part of that which is the patient"
            message = f"{versions} images are versions of others by their names, and may lie in two parts of a split"
            self._report.remark(f"task {task}", f"{message}; {advice}")

    def words(self, task: ReadTask, known: int, unknown: int, images: int) -> str:
        """Where the subjects of a task are from, in one line."""
        origin = f"--subject {self._options.subject_text}" if self._options.subject else task.subjects
        if not known:
            advice = "give --subject REGEX, which finds the patient in the path, or the same patient may leak"
            return f"no subject is known, so each image counts as a subject of its own; {advice}"
        rest = f", and {unknown} images without one count as subjects of their own" if unknown else ""
        if known == images:  # so it is where what was found names images, or visits, and not patients
            rest = ", each of one image; see that they are patients"
        return f"{known} subjects from {origin or 'an earlier import of the same images'}{rest}"
