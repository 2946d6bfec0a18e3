"""Numbers of a table: decimal commas, boxes by width and height, and labels that are numbers or measurements."""

import pytest

from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import agglab, imported, read, refused
from tests.aggregation_lab.data.importing.sources import CASES, write

BOX = ("x_min", "y_min", "x_max", "y_max")


def semicolons(root, columns):
    """A table with semicolons between cells, and with decimal commas."""
    file = sources.table(root, columns)
    write(file, file.read_text().replace(",", ";").replace("#", ","))
    return file


def comma(number: float) -> str:
    return str(number).replace(".", "#")


def test_decimal_commas_of_boxes_are_read(capsys, tmp_path):
    columns = lambda case: dict(zip(BOX, (comma(each + 0.5) for each in case.box), strict=True))  # noqa: E731
    imported(capsys, "csv", semicolons(tmp_path / "s", columns), tmp_path / "out", "--task", "t")
    _, cases = read(tmp_path / "out")
    assert sorted(cases["box"]) == sorted(tuple(each + 0.5 for each in case.box) for case in CASES)


def test_decimal_commas_of_points_in_columns_of_x_and_y_are_read(capsys, tmp_path):
    names = ("point_1_x", "point_1_y")
    columns = lambda case: dict(zip(names, (comma(each + 0.5) for each in case.points[0]), strict=True))  # noqa: E731
    imported(capsys, "csv", semicolons(tmp_path / "s", columns), tmp_path / "out", "--task", "t")
    _, cases = read(tmp_path / "out")
    assert sorted(cases["points"]) == sorted(((x + 0.5, y + 0.5),) for (x, y), _ in (case.points for case in CASES))


def test_decimal_commas_of_labels_are_read_where_all_are_numbers(capsys, tmp_path):
    grades = iter(("0#5", "10#5", "2") * 4)
    text = imported(
        capsys, "csv", semicolons(tmp_path / "s", lambda case: {"label": next(grades)}), tmp_path / "out", "--task", "t"
    )
    assert "classes  0 0.5, 1 2, 2 10.5" in text and "labels: decimal commas are read, 0,5 as 0.5" in text
    kinds = iter(("4#5", "cyst") * 5)
    file = semicolons(tmp_path / "k", lambda case: {"label": next(kinds)})
    assert "classes  0 4,5, 1 cyst" in imported(capsys, "csv", file, tmp_path / "more", "--task", "t")


def test_a_point_with_decimal_commas_in_one_cell_is_refused_by_its_name(capsys, tmp_path):
    """It was said to lack its points."""
    file = semicolons(tmp_path / "s", lambda case: {"point_1_xy": "[1#5# 2#5]"})
    line = refused(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert "point 1 is '[1,5, 2,5]', no two numbers; write a decimal point, as in 12.5, where 12,5 is meant" in line


def test_decimal_commas_in_a_table_of_commas_are_named(capsys, tmp_path):
    columns = lambda case: dict(zip(BOX, (f'"{each},5"' for each in case.box), strict=True))  # noqa: E731
    file = sources.table(tmp_path / "s", columns)
    line = refused(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert "no four numbers, but '" in line and "; write a decimal point, as in 12.5" in line


# ---- width and height ------------------------------------------------------------------------------------------------


def sized(*names: str):
    def columns(case: sources.Drawn) -> dict[str, object]:
        x_min, y_min, x_max, y_max = case.box
        return dict(zip(names, (x_min, y_min, x_max - x_min, y_max - y_min), strict=True))

    return columns


@pytest.mark.parametrize("names", [("x_min", "y_min", "width", "height"), ("left", "top", "w", "h")])
def test_a_corner_with_width_and_height_is_a_box(capsys, tmp_path, names):
    imported(capsys, "csv", sources.table(tmp_path / "s", sized(*names)), tmp_path / "out", "--task", "t")
    assert sorted(read(tmp_path / "out")[1]["box"]) == sorted(case.box for case in CASES)


def test_x_and_y_may_be_the_centre_so_the_line_says_what_works(capsys, tmp_path):
    file = sources.table(tmp_path / "s", sized("x", "y", "w", "h"))
    line = refused(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert "; where x, y is the upper left corner of a box of w and h, give --columns x_min=x,y_min=y;" in line
    assert line.endswith("; where it is the centre, --columns x_center=x,y_center=y")
    imported(capsys, "csv", file, tmp_path / "out", "--task", "t", "--columns", "x_min=x,y_min=y")
    assert sorted(read(tmp_path / "out")[1]["box"]) == sorted(case.box for case in CASES)


def centred(*names: str):
    def columns(case: sources.Drawn) -> dict[str, object]:
        x_min, y_min, x_max, y_max = case.box
        numbers = ((x_min + x_max) / 2, (y_min + y_max) / 2, x_max - x_min, y_max - y_min)
        return dict(zip(names, numbers, strict=True))

    return columns


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("cx", "cy", "w", "h"), ()),
        (("x_center", "y_center", "width", "height"), ()),
        (("x", "y", "w", "h"), ("--columns", "x_center=x,y_center=y")),
    ],
)
def test_a_centre_with_width_and_height_is_a_box(capsys, tmp_path, names, options):
    """It was refused without a remedy, and taken for a corner where --columns called it x_min."""
    file = sources.table(tmp_path / "s", centred(*names))
    imported(capsys, "csv", file, tmp_path / "out", "--task", "t", *options)
    assert sorted(read(tmp_path / "out")[1]["box"]) == sorted(case.box for case in CASES)


def test_a_centre_by_its_name_is_no_corner(capsys, tmp_path):
    file = sources.table(tmp_path / "s", centred("cx", "cy", "w", "h"))
    line = refused(capsys, "import", "csv", file, tmp_path / "out", "--columns", "x_min=cx,y_min=cy")
    assert "the column cx is a centre by its name, and x_min a corner; give --columns x_center=cx, or rename" in line


def test_sides_of_the_box_and_of_the_image_are_not_mixed_up(capsys, tmp_path):
    columns = lambda case: {**sized("left", "top", "w", "h")(case), "width": case.size[0], "height": case.size[1]}  # noqa: E731
    file = sources.table(tmp_path / "s", columns)
    line = refused(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert "has the columns width and w, which differ; say which counts, as in --columns width=width" in line
    imported(capsys, "csv", file, tmp_path / "out", "--task", "t", "--columns", "width=w,height=h")
    assert sorted(read(tmp_path / "out")[1]["box"]) == sorted(case.box for case in CASES)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("x", "y", "w", "h"),
            "x, y, w, h look like a box, and are not read; where x, y is the upper left corner of a",
        ),
        (("bbox", "a", "b", "c"), "bbox looks like a box, and is not read; write x_min, y_min, x_max and y_max"),
    ],
)
def test_boxes_beside_labels_are_said_to_be_unread(capsys, tmp_path, names, said):
    file = sources.table(tmp_path / "s", lambda case: {"label": case.label, **sized(*names)(case)})
    assert f"columns: {said}" in imported(capsys, "csv", file, tmp_path / "out", "--task", "t")
    chosen = imported(capsys, "csv", file, tmp_path / "more", "--task", "t", "--type", "classification")
    assert "like a box" not in chosen


def test_width_and_height_beside_two_corners_are_of_the_image(capsys, tmp_path):
    columns = lambda case: {**dict(zip(BOX, case.box, strict=True)), "width": case.size[0], "height": case.size[1]}  # noqa: E731
    imported(capsys, "csv", sources.table(tmp_path / "s", columns), tmp_path / "out", "--task", "t")
    assert sorted(read(tmp_path / "out")[1]["box"]) == sorted(case.box for case in CASES)


def test_a_column_for_each_class_is_named_with_what_to_write(capsys, tmp_path):
    file = sources.table(tmp_path / "s", lambda case: {"benign": case.label, "malignant": 1 - case.label})
    line = refused(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert "benign, malignant mark one class each; write one column `label` that holds the name of the marked" in line


# ---- labels ----------------------------------------------------------------------------------------------------------


def test_numbers_with_a_point_are_ordered_by_their_value(capsys, tmp_path):
    """They stood in the order of the alphabet, but for the whole ones."""
    texts = iter(("0.00", "37.00", "4.5", "11.10", "4.50") * 2)
    file = sources.table(tmp_path / "s", lambda case: {"label": next(texts)})
    code, text = agglab(capsys, "import", "csv", file, tmp_path / "out", "--task", "t")
    assert code == 0 and "classes  0 0, 1 4.5, 2 11.1, 3 37\n" in text
    rows = (tmp_path / "out/train/csv_files/Cls-t.csv").read_text().splitlines()[1:]
    assert [row.split(",")[4] for row in rows] == ["0", "3", "1", "2", "1"] * 2


@pytest.mark.parametrize(("classes", "told"), [(10, True), (6, True), (5, False), (2, False)])
def test_a_class_for_most_cases_is_said_to_be_a_measurement_or_a_name(capsys, tmp_path, classes, told):
    values = iter([3.7 * (number % classes) for number in range(len(CASES))])
    file = sources.table(tmp_path / "s", lambda case: {"label": f"{next(values):.2f}"})
    code, text = agglab(capsys, "import", "csv", file, tmp_path / "out", "--task", "t", "--dry-run")
    said = f"classes: {classes} classes in 10 cases, so most are a class of their own: if it is a measurement"
    assert code == 0 and (said in text) == told


def test_a_folder_for_each_patient_is_said_to_be_no_class(capsys, tmp_path):
    for case in CASES:
        sources.save(tmp_path / "s" / f"patient {case.name}" / "image.png", case.pixels)
    code, text = agglab(capsys, "import", "folder", tmp_path / "s", tmp_path / "out", "--task", "t", "--dry-run")
    assert code == 0 and "most are a class of their own" in text


def test_signs_make_other_numbers(capsys, tmp_path):
    signs = iter(("1", "-1", "-1", "1") * 3)
    file = sources.table(tmp_path / "s", lambda case: {"label": next(signs)})
    text = imported(capsys, "csv", file, tmp_path / "out", "--task", "t")
    assert "classes  0 -1, 1 1" in text and "alike" not in text
