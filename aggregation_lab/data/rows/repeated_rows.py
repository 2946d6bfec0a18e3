"""Rows that repeat another row: they count once."""

from collections.abc import Sequence

from aggregation_lab.data.rows.cases import Case
from aggregation_lab.data.rows.problems import Problems, lines


def without_repeats(cases: Sequence[Case], problems: Problems) -> list[Case]:
    """The cases, each once: rows with the same task, files and target are one case, in all CSVs.

    Says, per CSV, which rows repeat others, and where all of them do, of which CSV it is a copy. Of two CSVs with the
    same rows the one with the shorter name is kept: `x.csv`, not `x (1).csv`.
    """
    first: dict[tuple, Case] = {}
    repeated: dict[str, list[tuple[Case, Case]]] = {}
    sizes: dict[str, int] = {}
    for case in sorted(cases, key=lambda case: (len(case.row.file), case.row.file, case.row.line)):
        sizes[case.row.file] = sizes.get(case.row.file, 0) + 1
        original = first.setdefault((case.task, case.image, case.mask, case.label, case.box, case.points), case)
        if original is not case:
            repeated.setdefault(case.row.file, []).append((case, original))
    for file, pairs in sorted(repeated.items()):
        others = sorted({original.row.file for _, original in pairs})
        if len(pairs) == sizes[file] and others != [file]:
            copy = f"is a copy: all its rows are in {' and '.join(others)} too and count once"
            problems.warning(file, None, None, f"{copy}; take one of the files away")
            continue
        case, original = pairs[0]
        where = lines([case.row.line for case, _ in pairs])
        what = f"{len(pairs)} rows repeat others" if len(pairs) > 1 else "a row repeats another"
        message = f"{what} and count{'' if len(pairs) > 1 else 's'} once ({where}; {case.image} of task {case.task} "
        message += f"has the same target in {original.row.file} line {original.row.line}); keep one row"
        problems.warning(file, case.row.line, None, message)
    kept = set(map(id, first.values()))
    return [case for case in cases if id(case) in kept]
