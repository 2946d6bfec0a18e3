"""Subjects (patients, videos) from file names: the challenge has no patient column.

A rule is a name pattern such as `HC18*` and a regular expression. The pattern is compared with the names that go
with an image's source folder: the folder itself, the CSVs and the tasks that use it. Where it fits, the expression is
searched in the image's path relative to the train folder; its first group, or the whole match, is the subject.
Names are looked up per folder, so an image has the same subject in every task. Images of one rule with the same text
are one subject in all folders, because FETAL_PLANES patients appear in two folders of the challenge. So are images with
the same `subject_id`, see `subject_ids`. Ids that are plain numbers in several folders need the folder's name before
them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from aggregation_lab.data.rows.cases import Case, relative_path
from aggregation_lab.data.rows.chosen_tasks import former_name
from aggregation_lab.data.rows.columns import SUBJECT_COLUMN
from aggregation_lab.data.rows.problems import Problems
from aggregation_lab.data.rows.row import Row
from aggregation_lab.data.subjects.regular_expressions import Expression
from aggregation_lab.data.subjects.subject_ids import SubjectIds, report_shared, report_unknown, report_unlisted

BEFORE_LAST_UNDERSCORE = r"([^/]+)_[^/_]*$"

_LISTED = "subject_id/"  # prefix of the ids of the column, as a rule's name is of its texts

_TYPE_FOLDERS = frozenset({"Classification", "Segmentation", "Detection", "Regression"})
_COUNT_FOLDERS = frozenset({"One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten"})


@dataclass(frozen=True)
class SubjectRule:
    """`name` stands in the subject ids; `patterns` say which sources, folders or tasks the expression is for."""

    name: str
    patterns: tuple[str, ...]
    expression: re.Pattern[str] | Expression

    def fits(self, names: Iterable[str]) -> bool:
        pairs = ((name, pattern) for name in names for pattern in self.patterns)
        return any(name == pattern or fnmatchcase(name, pattern) for name, pattern in pairs)  # a name may hold `[`

    def subject(self, image: str) -> str | None:
        match = self.expression.search(image)
        if match is None:
            return None
        text = match.group(1) if match.re.groups else match.group(0)
        return f"{self.name}/{text}" if text else None


CHALLENGE_RULES = (
    SubjectRule("video", ("*",), re.compile(r"([^/]+)\.zhc_")),
    SubjectRule("fetal-planes", ("*",), re.compile(r"([^/]+)_Plane")),
    SubjectRule("hc18", ("HC18*",), re.compile(BEFORE_LAST_UNDERSCORE)),
    SubjectRule("pocus", ("POCUS*",), re.compile(BEFORE_LAST_UNDERSCORE)),
    SubjectRule("gallbladder", ("Gallbladder*",), re.compile(BEFORE_LAST_UNDERSCORE)),
    SubjectRule("lung", ("lung", "lung_2cls", "lung_disease_3cls"), re.compile(BEFORE_LAST_UNDERSCORE)),
)
"""Rules for the challenge's file names. The first one that fits a folder and finds a text is used."""


def source_folder(image: str) -> str:
    """The data set an image lies in: `Segmentation/Two/BUSI/benign/a.png` -> `BUSI`; "" for a bare file."""
    folders = image.split("/")[:-1]
    if folders and folders[0] in _TYPE_FOLDERS:
        folders = folders[1:]
        if folders and folders[0] in _COUNT_FOLDERS:
            folders = folders[1:]
    return folders[0] if folders else ""


def user_rules(subjects: Mapping[str, str], problems: Problems) -> tuple[SubjectRule, ...]:
    """Rules of a study file, pattern -> expression; an expression that does not compile is reported."""
    rules = []
    for pattern, expression in subjects.items():
        try:
            rules.append(SubjectRule(pattern, (pattern,), Expression(expression)))
        except ValueError as error:
            problems.error("subjects", None, pattern, str(error))
    return tuple(rules)


def assign_subjects(
    cases: Iterable[Case], rows: Iterable[Row], rules: tuple[SubjectRule, ...], problems: Problems
) -> dict[str, str]:
    """Subject of every image of `cases`, by path; `rows` are all rows of the folder, also those of other tasks.

    A `subject_id` cell wins and means the same subject in every folder; then come `rules`, then `CHALLENGE_RULES`; an
    image without any is a subject by itself: its path. Reports a rule that fits nothing, two subject ids for one image,
    and what had to be decided about the ids.
    """
    names, listed = _read_names(rows, problems)
    rules = tuple(rule for rule in rules if _searches_end(rule, names, problems))
    for rule in rules:
        fitting = [image for image in sorted(names) if rule.fits(names[image])]
        if not fitting:
            known = "a CSV, source folder or task"
            problems.error("subjects", None, rule.name, f"fits nothing in the data; write the name of {known}")
        silent = [image for image in fitting if image not in listed and rule.subject(image) is None]
        if silent:
            message = (
                f"finds nothing in {len(silent)} of {len(fitting)} file names, first {silent[0]}; correct the rule"
            )
            problems.warning("subjects", None, rule.name, message)
    result = {}
    for image in sorted({case.image for case in cases}):
        texts = (rule.subject(image) for rule in (*rules, *CHALLENGE_RULES) if rule.fits(names[image]))
        result[image] = listed.get(image) or next((text for text in texts if text), image)
    return result


def _searches_end(rule: SubjectRule, names: Mapping[str, Iterable[str]], problems: Problems) -> bool:
    """Whether the searches of a rule end in time; one that takes too long is reported."""
    image = ""
    try:
        for image in sorted(names):
            if rule.fits(names[image]):
                rule.subject(image)
    except TimeoutError:
        advice = "write it without repetitions inside of repetitions"
        problems.error("subjects", None, rule.name, f"its expression searches {image} without end; {advice}")
        return False
    return True


def _read_names(rows: Iterable[Row], problems: Problems) -> tuple[dict[str, frozenset[str]], dict[str, str]]:
    """Names that go with each image, by path, and the subjects that a `subject_id` column gives."""
    rows = list(rows)
    folder_names: dict[str, set[str]] = {}
    folder_of: dict[str, str] = {}
    ids, unlisted = SubjectIds(), set[str]()
    for row in rows:
        image = relative_path(row.cell("image_path") or "")
        if image is None:
            continue
        folder = folder_of.setdefault(image, source_folder(image))
        folder_names.setdefault(folder, {folder}).update((row.source, row.cell("task_id") or "", former_name(row)))
        ids.add(row, image, problems)
        if SUBJECT_COLUMN not in row.cells:
            unlisted.add(image)
    report_unknown(rows, problems)
    ids.report_spellings(problems)
    listed = {image: f"{_LISTED}{ids.name(subject)}" for image, subject in ids.of_image.items()}
    report_shared(listed, folder_of, problems)
    report_unlisted(listed, folder_of, unlisted, problems)
    frozen = {folder: frozenset(names) for folder, names in folder_names.items()}
    return {image: frozen[folder] for image, folder in folder_of.items()}, listed
