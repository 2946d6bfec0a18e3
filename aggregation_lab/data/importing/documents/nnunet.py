"""The labels of nnU-Net's dataset.json: what each value of the files is, also where regions overlap.

A region, `"whole": [1, 2]`, is the union of values, and regions overlap; a task of agglab has one class per pixel, so
the values are its classes, and a name says what a value is: `whole without cyst`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aggregation_lab.data.importing.mask_values import MaskValues
from aggregation_lab.data.importing.records import Report
from aggregation_lab.errors import DataError

_MOST = 255


@dataclass(frozen=True)
class Labels:
    """`names` by value of the files; the values of each label, in `regions` those of several; the value to `ignore`."""

    names: tuple[str, ...]
    areas: Mapping[str, frozenset[int]]
    ignore: int | None = None

    @property
    def regions(self) -> dict[str, frozenset[int]]:
        return {name: values for name, values in self.areas.items() if len(values) > 1}

    def classes(self, asked: MaskValues | None) -> tuple[str, ...]:
        """Names by class. Values that --mask-values puts together are the region that they make, or all of their names;
        names are by class where it speaks of other values than dataset.json."""
        known = {*range(len(self.names)), self.ignore}
        if asked is None or asked.colours or not asked.classes or not set(asked.classes) <= known:
            return self.names
        named = []
        for index in range(max(asked.classes.values()) + 1):
            values = frozenset(value for value, each in asked.classes.items() if each == index) - {self.ignore}
            whole = next((name for name, area in self.areas.items() if area == values), None)
            parts = " or ".join(self.names[value] for value in sorted(values))
            named.append(whole or (self.names[0] if index == 0 else parts) or str(index))
        return tuple(named)

    def values(self) -> MaskValues:
        """What values are where --mask-values does not say it."""
        if self.ignore is None:
            return MaskValues()
        classes = {number: number for number in range(len(self.names))}
        return MaskValues(classes, ignored=self.ignore)

    def tell(self, file: str, report: Report) -> None:
        """Note that regions are not classes, and how one of them becomes one."""
        for name, values in list(self.regions.items())[:1]:
            shown = ", ".join(f"{value} {self.names[value]}" for value in range(1, len(self.names)))
            mapping = ",".join(f"{value}={int(value in values)}" for value in range(len(self.names)))
            message = (
                f"names regions, which overlap; the values of the files are taken as classes ({shown}), and scores"
            )
            advice = f"for the region {name} alone, give --mask-values '{mapping}'"
            report.remark(file, f"{message} are of these; {advice}")


def read_labels(file: Path, labels: Any) -> Labels:
    """Raises `DataError` where they are none, or a value between them is not named."""
    if not isinstance(labels, dict) or not labels:
        raise DataError(f"{file}: holds no labels; a data set has 'labels': {{'background': 0, 'name': 1}}")
    areas: dict[str, frozenset[int]] = {}
    ignore = None
    for name, value in labels.items():
        numbers = value if isinstance(value, list) else [value]
        if not numbers or not all(isinstance(each, int) and 0 <= each <= _MOST for each in numbers):
            raise DataError(f"{file}: label {name!r} is {value!r}; it takes a whole number, or a list of them")
        if name == "ignore":
            ignore = numbers[0]
        else:
            areas[str(name)] = frozenset(numbers)
    highest = max((value for area in areas.values() for value in area), default=0)
    named = frozenset[int]().union(*areas.values())
    absent = next((number for number in range(1, highest) if number not in named), None)
    if absent is not None:  # each would be a class that no image shows
        advice = "number the labels without a gap, and say with --mask-values what the files hold, as in 0=0,255=1"
        raise DataError(f"{file}: names no label {absent}, but {highest}; {advice}")
    names = [_name(value, areas) for value in range(highest + 1)]
    unique = [f"{name} (value {value})" if names.count(name) > 1 else name for value, name in enumerate(names)]
    return Labels(tuple(unique), areas, ignore)


def _name(value: int, areas: Mapping[str, frozenset[int]]) -> str:
    """What a value is: the innermost region that holds it, without the regions that take a part of it away."""
    holding = {name: area for name, area in areas.items() if value in area}
    if not holding:
        return str(value)
    least = min(map(len, holding.values()))
    inner = {name: area for name, area in holding.items() if len(area) == least}
    common = frozenset.intersection(*inner.values())
    taken = {name: area for name, area in areas.items() if value not in area and area & common}
    outermost = [name for name, area in taken.items() if not any(area < other for other in taken.values())]
    without = f" without {' or '.join(outermost)}" if outermost else ""
    return " and ".join(inner) + without
