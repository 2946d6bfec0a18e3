"""Markdown and HTML of a table."""

import math
import re
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined

from aggregation_lab.text import printable
from analysis.tables.content import TableContent

_HTML = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined).from_string(
    """\
<figure class="table" id="table-{{ table.name }}">
<table>
<caption>{{ table.title }}</caption>
<thead>
<tr>
{% for title in titles %}
<th scope="col"{% if title in table.numeric %} class="number"{% endif %} title="{{ table.meanings[title] }}">\
{{ title }}</th>
{% endfor %}
</tr>
</thead>
<tbody>
{% for row in rows %}
<tr>
{% for title, text, value in row %}
{% set tag = 'th' if loop.first else 'td' %}
<{{ tag }}{% if loop.first %} scope="row"{% endif %}{% if title in table.numeric %} class="number"{% endif %} \
data-sort="{{ value }}">{{ text }}</{{ tag }}>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
<figcaption>{{ table.note }}</figcaption>
</figure>
"""
)


def html(table: TableContent) -> str:
    """A `<figure>` with one semantic table. `data-sort` of a cell is its unrounded value, empty where missing; `title`
    of a header says what the column means."""
    titles = list(table.frame.columns)
    values = table.sort.to_dict("records")
    rows = [
        [(title, text[title], sort_value(value[title])) for title in titles]
        for text, value in zip(table.frame.to_dict("records"), values, strict=True)
    ]
    return _HTML.render(table=table, titles=titles, rows=rows)


def sort_value(value: Any) -> str:
    """A value for a script to sort by, unrounded; empty where missing or infinite."""
    if pd.isna(value) or (isinstance(value, float) and math.isinf(value)):
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)


_ACTIVE = re.compile(r"[\\`|$<&]|~~|\*(?=\S)|(?<=\S)\*|(?<!\w)_|_(?!\w)")
"""What Markdown would take for more than text, in a cell of a table."""


def _plain(cell: str) -> str:
    """A cell that Markdown shows as it stands here, on one line."""
    return _ACTIVE.sub(lambda match: _ENTITIES.get(match[0], f"\\{match[0]}"), printable(cell, 10_000))


_ENTITIES = {"<": "&lt;", "&": "&amp;", "\\": "&#92;", "|": "\\|", "~~": "\\~\\~"}


def markdown(table: TableContent) -> str:
    """Title, pipe table and note."""

    def line(cells: list[str]) -> str:
        return f"| {' | '.join(map(_plain, cells))} |"

    titles = list(table.frame.columns)
    rule = ["---:" if title in table.numeric else "---" for title in titles]
    rows = [line(list(row)) for row in table.frame.itertuples(index=False, name=None)]
    return "\n".join([f"**{table.title}**", "", line(titles), line(rule), *rows, "", table.note, ""])
