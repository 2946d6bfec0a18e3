"""LaTeX of a table: a `table*` float as wide as both columns of a paper, in pieces where it is longer than a page."""

import re
from collections.abc import Sequence

from aggregation_lab.text import printable
from analysis.tables.content import TableContent

WRAPPED, WIDEST = 14, 40
"""Characters: a column with a longer cell wraps, and shares the room by its longest cell, counted up to `WIDEST`."""

_LINES, _LINE = 62, 24
"""Lines of a table that fit a page beside caption and note; characters that a wrapped line holds at least, about."""

_LONGEST = 10_000
"""Most characters of a cell."""

_SYMBOLS = {
    "\\": r"\textbackslash{}", "|": r"\textbar{}", "`": r"\textasciigrave{}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "{": r"\{", "}": r"\}",
    "_": r"\_\allowbreak{}", "<": "$<$", ">": "$>$", "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "∞": r"$\infty$",
    "≈": r"$\approx$", "≡": r"$\equiv$", "–": r"\textendash{}", "…": r"\ldots{}", "†": r"$\dagger$",
    "↗": r"$\nearrow$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
}  # fmt: skip

_FLOAT = r"""\begin{table*}[%(where)s]
\centering%(continued)s
\caption{%(title)s}%(label)s
\scriptsize
\setlength{\tabcolsep}{3pt}
\begin{tabularx}{\textwidth}{@{}%(layout)s@{}}
\toprule
%(header)s
\midrule
%(rows)s
\bottomrule
\end{tabularx}
\par\smallskip
\parbox{\textwidth}{\scriptsize %(note)s}
\end{table*}
"""


def latex(table: TableContent) -> str:
    """Booktabs in tabularx: columns of short cells are as wide as these, others wrap in what is left of the page."""
    titles, rows = list(table.printed.columns), list(table.printed.itertuples(index=False, name=None))
    longest = {title: max(map(len, [title, *table.printed[title]])) for title in titles}
    tallest = -(-max(longest.values()) // _LINE)
    pieces = max(1, -(-len(rows) * tallest // _LINES))
    size = -(-len(rows) // pieces)
    unicode = any(_needs_unicode(cell) for row in [titles, *rows] for cell in row)
    needs = r"% needs \usepackage{amssymb,booktabs,tabularx}" + ", and LuaLaTeX or XeLaTeX with a font" * unicode
    parts = {"layout": _layout(table, longest), "header": _row(titles), "note": escape(table.note)}
    texts = [needs]
    for piece in range(pieces):
        of_piece = {
            "where": "p" if piece else "tp",
            "continued": "\n\\addtocounter{table}{-1}" if piece else "",
            "title": escape(table.title) + " (continued)" * (piece > 0),
            "label": "" if piece else f"\n\\label{{tab:{table.name}}}",
            "rows": "\n".join(map(_row, rows[piece * size : (piece + 1) * size])),
        }
        texts.append(_FLOAT % (parts | of_piece))
    return "\n".join(texts)


def _layout(table: TableContent, longest: dict[str, int]) -> str:
    """The columns: `l` or `r`, and X for those that wrap; the factors of their widths add up to their number."""
    shares = {title: min(count, WIDEST) for title, count in longest.items() if count > WRAPPED}
    shares = shares or {title: WIDEST for title in list(longest)[:1]}
    columns = []
    for title in longest:
        side = "right" if title not in table.numeric else "left"
        factor = shares.get(title, 0) * len(shares) / sum(shares.values())
        wrapped = rf">{{\hsize={factor:.4f}\hsize\ragged{side}\arraybackslash}}X"
        columns.append(wrapped if title in shares else "lr"[title in table.numeric])
    return "".join(columns)


def _needs_unicode(cell: str) -> bool:
    """Whether pdfLaTeX would stop at a letter."""
    return any(letter > "\u017f" and letter not in _SYMBOLS for letter in cell)


def _row(cells: Sequence[str]) -> str:
    """A row; an empty group before it, where a bracket or star would be taken for an argument of the line above."""
    line = " & ".join(map(escape, cells)) + r" \\"
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands here, on one line. Letters beyond Latin need LuaLaTeX or XeLaTeX."""
    plain = "".join(_SYMBOLS.get(letter, letter) for letter in printable(text, _LONGEST))
    return re.sub(r"(?<=-)(?=-)|(?<=')(?=')|(?<=,)(?=,)", "{}", plain)  # else one sign is made of two
