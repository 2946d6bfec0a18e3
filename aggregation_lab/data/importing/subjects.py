"""The subject of each image: what the format knows, what --subject finds in its path, or none.

In an OUT with DICOM files patients are hashed, those of other formats too: who is in several is one subject.
"""

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.records import ReadTask, Record, Report
from aggregation_lab.data.rows.csv_rows import UNKNOWN
from aggregation_lab.data.subjects.subject_ids import subject_key
from aggregation_lab.errors import DataError
from aggregation_lab.naming import clean_name
from aggregation_lab.text import printable

_VERSION = re.compile(r"([^/]+)\.rf\.[0-9a-zA-Z]{8,}\.[^/.]+$")
"""What Roboflow calls the versions of an image that it makes by augmentation."""

_PATIENT = re.compile(r"(?<![a-z])((?:patient|pat|subject|subj|sub|p)[-_]?)\d+", re.IGNORECASE)
"""What often names a patient in a path: `patient0001`, `sub-12`, `p3`."""

_LEAK = "or the same patient may leak"


def hashed(key: bytes, text: str) -> str:
    """Twelve hex digits that nobody finds the text for without the secret of OUT; "" for no text."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:12] if text else ""


def with_files(records: Sequence[Record], of_file: Sequence[str]) -> list[Record]:
    """Records of a table without a subject of their own, with that which their file names, as `of_file` says; or with
    the one that the table names for other files of that patient."""
    told: dict[str, set[str]] = {own: set() for own in of_file}
    for record, own in zip(records, of_file, strict=True):
        told[own] |= {record.subject} - {""}
    filled = []
    for record, own in zip(records, of_file, strict=True):
        if not record.subject and own:
            one = len(told[own]) == 1
            record = replace(record, subject=min(told[own]) if one else own, unit="" if one else record.unit)
        filled.append(record)
    return filled


class Subjects:
    """Finds subjects; reports images in whose path --subject finds none, and whose patient nothing names.

    `there` are the subjects of the tables in OUT. With a key in the options, subjects are hashed; a plain one that is
    in OUT already stays plain, but `always` hashes it nevertheless.
    """

    def __init__(self, options: ImportOptions, report: Report, there: Collection[str] = (), *, always: bool = False):
        self._options, self._report = options, report
        self._there, self._always = frozenset(map(subject_key, there)), always
        self._noted: set[str] = set()
        self._hashed = False

    def of(self, record: Record) -> tuple[str, str]:
        """The subject of a record, "" where none is known, and its unit, as of `Record`.

        Raises `DataError` where the expression never ends, and where OUT would hold the patient under two names.
        """
        text, unit = record.subject, record.unit
        if self._options.subject is not None:
            found = self._found(record.picture.where)
            text, unit = (found, "") if found else (text, unit)
            if not text:
                self._report.remark(record.picture.where, "--subject finds nothing in its path")
        text = clean_name(text)
        if text.casefold() in UNKNOWN:
            return "", ""
        if unit and text not in self._noted:
            self._noted.add(text)
            advice = f"where a patient has several, give --subject, {_LEAK}"
            self._report.remark(
                record.picture.where, f"names no patient, so its {unit} counts as the subject; {advice}"
            )
        return self._named(text), unit

    def _named(self, text: str) -> str:
        """A subject as OUT names it: hashed where OUT has a key and does not hold it otherwise."""
        prefix, key = self._options.subject_prefix, self._options.key
        plain = f"{prefix}{text}"
        if not key:
            return plain
        digest = f"{prefix}{hashed(key, subject_key(text))}"
        if subject_key(plain) not in self._there:
            self._hashed = True
            return digest
        if self._always or subject_key(digest) in self._there:
            advice = (
                "import DICOM files first, then the others, into a new OUT; --subject-prefix keeps two patients apart"
            )
            said = f"OUT holds the patient {printable(plain, 60)} by this plain id, and would by a hashed one, too"
            raise DataError(f"{said}, so one patient would be two subjects; {advice}")
        return plain

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

    def note_patients(self, task: str, unknown: Collection[str]) -> None:
        """Say where the names of volumes and the like, or the paths of images without a subject, all hold a word that
        often names a patient, and some share it."""
        for names in (sorted(self._noted), unknown):
            words = [match for match in map(_PATIENT.search, names) if match]
            patients = sorted({match[0] for match in words})
            forms = {match[1] for match in words}
            if len(words) == len(names) and len(forms) == 1 and len(patients) < len(names):
                message = f"the names hold {len(patients)} words such as {patients[0]}; where these are patients"
                expression = rf"(?<![a-zA-Z]){words[0][1]}\d+"
                self._report.remark(f"task {task}", f"{message}, give --subject '{expression}', {_LEAK}")

    def words(self, task: ReadTask, known: int, unknown: int, images: int, units: int) -> str:
        """Where the subjects of a task are from, in one line; `units` of them are no patients that something names."""
        origin = f"--subject {self._options.subject_text}" if self._options.subject else task.subjects
        if not known:
            advice = f"give --subject REGEX, which finds the patient in the path, {_LEAK}"
            return f"no subject is known, so each image counts as a subject of its own; {advice}"
        rest = f", and {unknown} images without one count as subjects of their own" if unknown else ""
        if known == images:  # so it is where what was found names images, or visits, and not patients
            rest = ", each of one image; see that they are patients"
        if units:
            rest = f", {'none' if units == known else known - units} of them named as a patient{rest}"
        if self._hashed:
            rest = f"{rest}; hashed with the secret of OUT"
        return f"{known} subjects from {origin or 'an earlier import of the same images'}{rest}"
