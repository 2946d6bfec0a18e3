"""LaTeX of a table: a `table*` float that fits the two columns of a paper, in pieces where it is longer than a page."""

import re
from collections.abc import Sequence

from jinja2 import Environment, StrictUndefined

from aggregation_lab.text import printable
from analysis.tables.paper import PaperTable

CHARACTERS = 124
"""Digits that a line of a two-column paper (6.9 in) holds at scriptsize, the gaps between columns included."""

_LONGEST = 10_000
"""Most characters of a cell."""

_LINES = 62
"""Table lines that fit a page beside caption and note."""

_GAP = 1.5
"""Space between columns, in characters."""

_WIDTH = 497.0
"""6.9 in, in points."""

_SYMBOLS = {
    "\\": r"\textbackslash{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_\allowbreak{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "–": r"\textendash{}",
    "↗": r"$\nearrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
    "≈": r"$\approx$",
    "≡": r"$\equiv$",
    "…": r"\ldots{}",
    "†": r"$\dagger$",
}

_TEMPLATE = Environment(
    block_start_string="<%",
    block_end_string="%>",
    variable_start_string="<<",
    variable_end_string=">>",
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
).from_string(
    r"""% needs \usepackage{array,booktabs,amssymb}<% if other %>, and LuaLaTeX or XeLaTeX with a font<% endif +%>
<% for piece in pieces %>
\begin{table*}<% if loop.first %>[tp]<% else %>[p]<% endif +%>
\centering
<% if not loop.first %>
\addtocounter{table}{-1}
<% endif %>
\caption{<< title >><% if not loop.first %> (continued)<% endif %>}
<% if loop.first %>
\label{tab:<< name >>}
<% endif %>
\scriptsize
\setlength{\tabcolsep}{<< gap >>pt}
\begin{tabular}{@{}<< layout >>@{}}
\toprule
<< header >> \\
\midrule
<% for row in piece %>
<< row >> \\
<% endfor %>
\bottomrule
\end{tabular}
\par\smallskip
\parbox{\textwidth}{\scriptsize << note >>}
\end{table*}
<% endfor %>
"""
)


def latex(table: PaperTable) -> str:
    """Booktabs and paragraph columns, widths as shares of the text width; a table never has to be scaled.

    Columns get the width of their longest cell; where that is too much, text wraps (see `column_widths`).
    """
    titles = list(table.frame.columns)
    widths = column_widths(table)
    rows = list(table.frame.itertuples(index=False, name=None))
    heights = [max(-(-len(cell) // int(width)) for cell, width in zip(row, widths, strict=True)) for row in rows]
    fewest = -(-sum(heights) // _LINES)
    pieces: list[list[str]] = [[]]
    lines = 0
    for row, height in zip(rows, heights, strict=True):
        if lines >= sum(heights) / fewest:
            pieces.append([])
            lines = 0
        pieces[-1].append(_row(row))
        lines += height
    layout = "".join(
        rf">{{\{'raggedleft' if title in table.numeric else 'raggedright'}\arraybackslash}}"
        rf"p{{{width / CHARACTERS:.4f}\textwidth}}"
        for title, width in zip(titles, widths, strict=True)
    )
    return _TEMPLATE.render(
        name=table.name,
        title=escape(table.title),
        note=escape(table.note),
        pieces=pieces,
        layout=layout,
        header=_row(titles),
        other=any(_is_foreign(cell) for row in [titles, *rows] for cell in row),
        gap=f"{_GAP * _WIDTH / CHARACTERS / 2:.2f}",
    )


def column_widths(table: PaperTable) -> list[float]:
    """Width of each column in characters; with the gaps, their sum is at most `CHARACTERS` if words are short enough.

    Text gives way before numbers, the widest columns first, and no column becomes narrower than its longest word.
    """
    room = CHARACTERS - _GAP * len(table.frame.columns)
    natural, words = [], []
    for title in table.frame.columns:
        cells = list(table.frame[title])
        words.append(max(_width(word) for cell in [title, *cells] for word in re.split(r"(?<=_)| ", cell)))
        natural.append(max([words[-1], *map(_width, cells)]))
    numbers = [title in table.numeric for title in table.frame.columns]
    least = [wide if number else word for wide, word, number in zip(natural, words, numbers, strict=True)]
    if sum(least) > room:
        least = words
    level = max(natural)
    while sum(widths := [max(low, min(wide, level)) for low, wide in zip(least, natural, strict=True)]) > room:
        if level < 1:
            break
        level -= 0.5
    return widths


def _width(text: str) -> float:
    """Capitals are wider than digits, and so are these signs."""
    return (
        0.5 + len(text) + 0.4 * sum(letter.isupper() for letter in text) + 0.6 * sum(text.count(sign) for sign in "+%")
    )


def _is_foreign(cell: str) -> bool:
    """Whether pdfLaTeX would stop at a letter."""
    return any(letter > "\u017f" and letter not in _SYMBOLS for letter in cell)


def _row(cells: Sequence[str]) -> str:
    """A row; an empty group before it, where a bracket or star would be taken for an argument of the line above."""
    line = " & ".join(map(escape, cells))
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands here, on one line. Letters beyond Latin need LuaLaTeX or XeLaTeX."""
    plain = "".join(_SYMBOLS.get(letter, letter) for letter in printable(text, _LONGEST))
    return re.sub(r"(?<=-)(?=-)|(?<=')(?=')|(?<=,)(?=,)", "{}", plain)  # else one sign is made of two
