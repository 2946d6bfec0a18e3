"""What a part of the benchmarks found: a table in Markdown, to be read on screen and copied into docs/."""

from dataclasses import dataclass

Cell = str | int | float


@dataclass(frozen=True)
class Table:
    """Rows under a title; `note` says what was run and how to read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __str__(self) -> str:
        cells = [self.columns, *([_text(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[place]) for row in cells) for place in range(len(self.columns))]
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
                 for row in cells]  # fmt: skip
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join([f"### {self.title}", "", *lines, *(["", self.note] if self.note else [])])


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}" if abs(cell) < 0.1 else f"{cell:.2f}"


def ratios(title: str, figures: dict[str, float], goals: dict[str, str], note: str = "") -> Table:
    """A table of ratios beside their goals."""
    rows = tuple((label, value, goals.get(label, "")) for label, value in figures.items())
    return Table(title, ("ratio", "measured", "goal"), rows, note)
