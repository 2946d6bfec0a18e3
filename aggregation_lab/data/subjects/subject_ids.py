"""The `subject_id` column: which cells name a patient, and which cells name the same one.

One rule for every CSV of a folder. Blanks around an id, capitals, and what spreadsheets do to whole numbers mean
nothing: `3`, `3.0` and `003` are one subject, as are `P1` and `p1`. A cell for a missing value (empty, NA, unknown,
- ...) names none. The same id in two CSVs is the same subject: two patients who share an id by
accident make the split coarser, one patient under two ids would leak.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aggregation_lab.data.rows.columns import SUBJECT_COLUMN
from aggregation_lab.data.rows.csv_rows import UNKNOWN
from aggregation_lab.data.rows.problems import Problems, lines
from aggregation_lab.data.rows.row import Row
from aggregation_lab.naming import clean_name

_LONG_NUMBER = re.compile(r"\d(\.\d+)?e\+?\d+", re.ASCII)  # 1.2E+11: a spreadsheet has thrown digits away


@dataclass
class SubjectIds:
    """Subject of each image that has one in the column, by path, and warnings about the ids."""

    of_image: dict[str, str] = field(default_factory=dict)
    _spellings: dict[str, set[str]] = field(default_factory=dict)

    def add(self, row: Row, image: str, problems: Problems) -> None:
        """Take the row's cell; two subjects for one image are an error."""
        text = row.cells.get(SUBJECT_COLUMN)
        subject = "" if text is None else subject_key(text)
        if text is None or not subject:
            return
        spelling = re.sub(r"^(\d+)\.0+$", r"\1", clean_name(text), flags=re.ASCII)
        if self.of_image.setdefault(image, subject) != subject:
            other = min(self._spellings[self.of_image[image]])
            message = f"is {spelling} but another row of {image} has {other}"
            problems.row_error(row, SUBJECT_COLUMN, message)
        self._spellings.setdefault(subject, set()).add(spelling)

    def name(self, subject: str) -> str:
        """The subject as it is written; the shortest way where there are several."""
        return min(self._spellings[subject], key=lambda text: (len(text), text))

    def report_spellings(self, problems: Problems) -> None:
        """Warn of ids of one subject in several spellings, and of ids that may be one subject and count as two."""
        several = [sorted(spellings) for _, spellings in sorted(self._spellings.items()) if len(spellings) > 1]
        if several:
            more = f" and {len(several) - 1} more such" if len(several) > 1 else ""
            message = f"{' and '.join(several[0])}{more} are read as one subject; write each subject's id in one way"
            problems.warning("subjects", None, SUBJECT_COLUMN, message)
        close: dict[str, list[str]] = {}
        for subject in sorted(self._spellings):
            # one sign for all separators, and no zeros before a number
            plain = re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\s_.\-]+", "-", subject), flags=re.ASCII)
            close.setdefault(plain, []).append(self.name(subject))
        doubtful = [names for names in close.values() if len(names) > 1]
        if doubtful:
            more = f" and {len(doubtful) - 1} more such" if len(doubtful) > 1 else ""
            message = (
                f"{', '.join(doubtful[0][:4])}{more} differ only in zeros, blanks or dashes and count as different"
            )
            advice = "write the id in one way if they are one, or the same patient leaks"
            problems.warning("subjects", None, SUBJECT_COLUMN, f"{message} patients; {advice}")


def subject_key(text: str) -> str:
    """What all spellings of one id share; "" where the cell names no subject."""
    plain = clean_name(text).casefold()
    if plain in UNKNOWN:
        return ""
    whole = re.fullmatch(r"0*(\d+)(\.0+)?", plain, re.ASCII)
    return whole[1] if whole else plain


def report_unknown(rows: Iterable[Row], problems: Problems) -> None:
    """Warn once per CSV of rows of a `subject_id` column that name no subject, and of ids that are cut numbers."""
    files: dict[str, list[Row]] = {}
    for row in rows:
        if SUBJECT_COLUMN in row.cells:
            files.setdefault(row.file, []).append(row)
    for file, members in files.items():
        unknown = [row for row in members if not subject_key(row.cells[SUBJECT_COLUMN])]
        if unknown:
            written = sorted({row.cells[SUBJECT_COLUMN] for row in unknown} - {""})
            shown = ", ".join(map(repr, written[:5])) + (
                " or empty" if any(not row.cells[SUBJECT_COLUMN] for row in unknown) else ""
            )
            count = f"{len(unknown)} of {len(members)} rows name no subject ({shown.removeprefix(' or ')})"
            so = "each such image counts as a subject of its own unless a rule finds one in its name"
            problems.warning(file, unknown[0].line, SUBJECT_COLUMN, f"{count}; {so}")
        cut = [row for row in members if _LONG_NUMBER.fullmatch(row.cells[SUBJECT_COLUMN].lower())]
        if cut:
            where = lines([row.line for row in cut])
            message = (
                f"a spreadsheet has cut long numbers ({cut[0].cells[SUBJECT_COLUMN]}, {where}); write them as text"
            )
            problems.warning(file, cut[0].line, SUBJECT_COLUMN, message)


def report_shared(of_image: Mapping[str, str], folder_of: Mapping[str, str], problems: Problems) -> None:
    """Warn of ids that occur in more than one source folder."""
    folders: dict[str, set[str]] = {}
    for image, subject in of_image.items():
        folders.setdefault(subject, set()).add(folder_of[image])
    shared = sorted(subject for subject, sources in folders.items() if len(sources) > 1)
    if shared:
        sources = sorted(set().union(*(folders[subject] for subject in shared)))
        ids = f"{len(shared)} ids stand" if len(shared) > 1 else "an id stands"
        message = (
            f"{ids} in more than one source folder ({', '.join(sources[:5])}; first {shared[0].partition('/')[2]}) and "
            "count as the same patients; put the data set's name before the ids if they are not"
        )
        problems.warning("subjects", None, SUBJECT_COLUMN, message)


def report_unlisted(
    of_image: Mapping[str, str], folder_of: Mapping[str, str], unlisted: Iterable[str], problems: Problems
) -> None:
    """Warn of source folders with `unlisted` images, of CSVs without the column, beside images with an id."""
    listed = {folder_of[image] for image in of_image}
    bare: dict[str, list[str]] = {}
    for image in sorted(set(unlisted) - set(of_image)):
        bare.setdefault(folder_of[image], []).append(image)
    for folder in sorted(listed & set(bare)):
        message = (
            f"{len(bare[folder])} images of {folder or 'the folder'} have none, first {bare[folder][0]}, while others "
            f"have one; the same patient may count as two; give each CSV of these images the column {SUBJECT_COLUMN}"
        )
        problems.warning("subjects", None, SUBJECT_COLUMN, message)
