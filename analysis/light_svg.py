"""The same drawing in a third of the bytes: an SVG of matplotlib as a page carries it.

matplotlib writes numbers to six decimals, an element and a style for every mark, and groups and names that nothing
refers to. What is drawn stays: a mark moves by less than a hundredth of a point, a letter by less than a twentieth.
"""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from string import ascii_letters

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_FEWEST = 4
"""Same marks in a row that become one line with a mark at each of its points."""
_TARGET = re.compile(r"url\(#([^)]+)\)")
_SHIFT = re.compile(r"translate\(([^ )]+) ([^ )]+)\)")
_PART = re.compile(r"[A-Za-z]|[-+.\deE]+")
_NUMBERS = {"M": 2, "L": 2, "Q": 4, "C": 6, "Z": 0}
"""Commands of a path that matplotlib writes, all with absolute places, and how many numbers one has."""
_LETTER, _COARSER = "scale(0.015625)", 16
"""The scale of a letter's outline, which is drawn in 1/64 of a unit of its font: 1/4 is fine enough, since a unit is
less than a tenth of a point."""


def light_svg(svg: str) -> str:
    """The drawing of an SVG that matplotlib has written, lighter; the same text gives the same result."""
    ET.register_namespace("", _SVG.strip("{}"))
    root = ET.fromstring(svg)
    _shorten(root, dict(zip(_referred(root), _short_names(), strict=False)))
    _share_styles(root)
    _unwrap(root)
    _share_marks(root)
    return ET.tostring(root, encoding="unicode").replace(" />", "/>")


def _referred(root: ET.Element) -> list[str]:
    """The names that something refers to, those with most references first, which get the shortest names."""
    found = Counter[str]()
    for part in root.iter():
        for key, value in part.items():
            if key in (_LINK, "href") and value.startswith("#"):
                found[value[1:]] += 1
            found.update(_TARGET.findall(value))
    return [name for name, _ in found.most_common()]


def _short_names() -> Iterator[str]:
    yield from ascii_letters
    yield from (first + second for first in ascii_letters for second in ascii_letters + "0123456789")
    yield from (f"n{number}" for number in range(10**9))


def _shorten(root: ET.Element, names: dict[str, str]) -> None:
    """Names, references and numbers; blanks between the parts."""
    for part in root.iter():
        part.text = part.text if part.tag in (f"{_SVG}style", f"{_SVG}text", f"{_SVG}tspan") else None
        part.tail = None
        old = dict(part.items())
        part.attrib.clear()
        for key, value in old.items():
            if key == "id":
                if value in names:
                    part.set("id", names[value])
            elif key in (_LINK, "href"):
                part.set("href", f"#{names[value[1:]]}" if value.startswith("#") else value)
            elif key == "d":
                part.set("d", _path(value, 100 if old.get("transform") != _LETTER else 1 / _COARSER))
            elif key in ("x", "y"):
                part.set(key, _short(float(value)))
            else:
                value = _TARGET.sub(lambda match: f"url(#{names[match[1]]})", value)
                part.set(key, _SHIFT.sub(_shift, value.replace(_LETTER, "scale(.25)")))
        _placed(part)


def _placed(part: ET.Element) -> None:
    """A letter that is moved along its line has `x` in place of a transform, which says the same; to a whole unit of
    its font, which is less than a tenth of a point."""
    moved = _SHIFT.fullmatch(part.get("transform", ""))
    if part.tag == f"{_SVG}use" and moved and "x" not in part.attrib and "y" not in part.attrib:
        del part.attrib["transform"]
        for key, value in zip("xy", moved.groups(), strict=True):
            if whole := round(float(value)):
                part.set(key, str(whole))


def _shift(match: re.Match[str]) -> str:
    return f"translate({_short(float(match[1]))} {_short(float(match[2]))})"


def _short(number: float) -> str:
    """To two decimals, without zeros that say nothing."""
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return re.sub(r"^(-?)0\.", r"\1.", text) if text != "-0" else "0"


def _path(data: str, grid: float) -> str:
    """The commands of a path with steps in place of places, which are whole multiples of 1/`grid`, or of 1 above that.

    Places are rounded before steps are taken, so that no error adds up.
    """
    parts, written, at, start, before = iter(_PART.findall(data)), list[str](), (0, 0), (0, 0), ""
    unit = max(grid, 1.0)
    for command in parts:
        numbers = [round(float(next(parts)) * grid) for _ in range(_NUMBERS[command.upper()])]
        places = list(zip(numbers[::2], numbers[1::2], strict=True))
        steps = [_short(to / unit) for place in places for to in (place[0] - at[0], place[1] - at[1])]
        # a letter stands once for a row of the same commands, and a minus parts two numbers
        letter = command.lower() if command.lower() != before else " "
        written.append((letter + " ".join(steps)).replace(" -", "-"))
        at = places[-1] if places else start
        start = at if command == "M" else start
        before = command.lower() if command != "M" else "l"
    return "".join(written)


def _share_styles(root: ET.Element) -> None:
    """A style that several marks have is a class, written once."""
    counted = Counter(part.get("style", "") for part in root.iter() if "style" in part.attrib)
    classes = {style: f"s{number}" for number, (style, often) in enumerate(counted.most_common()) if often > 1}
    for part in root.iter():
        style = part.get("style", "")
        if style in classes:
            del part.attrib["style"]
            part.set("class", classes[style])
    rules = "".join(f".{name}{{{style.replace(': ', ':').replace('; ', ';')}}}" for style, name in classes.items())
    sheet = next(root.iter(f"{_SVG}style"), None)
    if sheet is None:
        sheet = ET.Element(f"{_SVG}style")
        root.insert(0, sheet)
    sheet.text = (sheet.text or "") + rules


def _unwrap(part: ET.Element) -> None:
    """Groups that say nothing give way to their content, and neighbours that are cut off alike are one; empty groups,
    and words on the file, go."""
    kept = list[ET.Element]()
    for child in part:
        _unwrap(child)
        if child.tag == f"{_SVG}metadata" or child.tag in (f"{_SVG}g", f"{_SVG}defs") and not len(child):
            continue
        if child.tag != f"{_SVG}g":
            kept.append(child)
        elif not child.attrib:
            kept += child
        elif kept and kept[-1].tag == child.tag and kept[-1].attrib == child.attrib and child.keys() == ["clip-path"]:
            kept[-1].extend(child)
        else:
            kept.append(child)
    part[:] = kept


def _share_marks(root: ET.Element) -> None:
    """Marks that are alike, one after the other, become an invisible line that has the mark at each of its points."""
    number = 0
    for parent in list(root.iter()):
        rows = list[list[ET.Element]]()
        for child in parent:
            if rows and _alike(rows[-1][-1], child):
                rows[-1].append(child)
            else:
                rows.append([child])
        kept = list[ET.Element]()
        for row in rows:
            if len(row) < _FEWEST:
                kept += row
                continue
            name, number = f"mark{number}", number + 1
            places = [(round(100 * float(each.get("x", 0))), round(100 * float(each.get("y", 0)))) for each in row]
            kept += _marked_line(name, row[0], places)
        parent[:] = kept


def _alike(one: ET.Element, other: ET.Element) -> bool:
    if one.tag != f"{_SVG}use" or other.tag != f"{_SVG}use" or {"x", "y"} - {*one.keys(), *other.keys()}:
        return False
    rest = [{key: value for key, value in each.items() if key not in ("x", "y")} for each in (one, other)]
    return rest[0] == rest[1]


def _marked_line(name: str, mark: ET.Element, places: list[tuple[int, int]]) -> list[ET.Element]:
    """The definition of a mark, and the line; places are in hundredths."""
    look = {key: value for key, value in mark.items() if key not in ("x", "y")}
    defined = ET.Element(f"{_SVG}marker", {"id": name, "overflow": "visible", "markerUnits": "userSpaceOnUse"})
    ET.SubElement(defined, f"{_SVG}use", look)
    steps = [(x - before[0], y - before[1]) for before, (x, y) in pairwise([(0, 0), *places])]
    data = "m" + " ".join(f"{_short(x / 100)} {_short(y / 100)}" for x, y in steps).replace(" -", "-")
    return [defined, ET.Element(f"{_SVG}path", {"d": data, "fill": "none", "style": f"marker:url(#{name})"})]
