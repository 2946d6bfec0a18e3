"""What to cite: the study that is implemented, this software, and the sources of the methods text.

The sources stand once, in `sources.csv`: the list of the report and the entries of `citation.bib` are made of it.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aggregation_lab.version import __version__

PAPER: Final = "arXiv 2603.18123"

_OWN: Final = f"""\
@article{{wang2026aggregation,
  title   = {{Understanding Task Aggregation for Generalizable Ultrasound Foundation Models}},
  author  = {{Wang and Akumu and Dang and Jim{{\\'e}}nez-S{{\\'a}}nchez and
             Bai and Silvestre and Lekadir and Curran}},
  journal = {{arXiv preprint arXiv:2603.18123}},
  year    = {{2026}}
}}

@software{{aggregation_lab,
  title   = {{aggregation\\_lab: task-aggregation studies in ultrasound imaging}},
  author  = {{{{The aggregation\\_lab contributors}}}},
  version = {{{__version__}}},
  license = {{Apache-2.0}},
  year    = {{2026}}
}}
"""


@dataclass(frozen=True)
class Source:
    """A source by the words that cite it, `Owen 2007`: surname or surnames, or the first with `et al.`, and the year.

    `kind` is that of BibTeX, `authors` with initials, as BibTeX takes them; `where` is the journal, or the book of a
    conference; `volume` and `pages` as they are printed, empty where there are none.
    """

    name: str
    kind: str
    authors: str
    title: str
    where: str
    volume: str
    pages: str

    @property
    def year(self) -> str:
        """Of publication, four digits."""
        return self.name[-4:]

    @property
    def reference(self) -> str:
        """One line for a list of sources."""
        place = " ".join(filter(None, [self.where, self.volume]))
        return f"{self.name}. {self.title}. {', '.join(filter(None, [place, self.pages]))}."

    @property
    def bibtex(self) -> str:
        """Its entry, called after the first author and the year."""
        first = re.sub(r"\W", "", self.name.split()[0].lower())
        place = {"article": "journal", "inproceedings": "booktitle", "techreport": "institution"}[self.kind]
        fields = {
            "title": f"{{{self.title}}}",  # in two braces: capitals stay as they are
            "author": self.authors,
            place: self.where,
            "volume": self.volume,
            "pages": self.pages.replace("-", "--"),
            "year": self.year,
        }
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
        return f"@{self.kind}{{{first}{self.year},\n{lines}\n}}\n"


def _read() -> tuple[Source, ...]:
    with (Path(__file__).parent / "sources.csv").open(encoding="utf-8", newline="") as lines:
        return tuple(Source(**row) for row in csv.DictReader(lines))


SOURCES: Final = _read()
"""By first author and year."""


def cited(text: str) -> list[Source]:
    """The sources that a text cites, by first author and year."""
    return [source for source in SOURCES if source.name in text]


def bibtex(text: str) -> str:
    """The BibTeX of the study that is implemented, of this software, and of every source that a text cites."""
    return "\n".join([_OWN, *(source.bibtex for source in cited(text))])
