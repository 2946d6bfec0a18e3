"""What a table says, apart from the forms it is written in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True, eq=False)
class TableContent:
    """`frame` holds text under human column names; `sort` the values of the same cells to sort by; `raw` the rows of
    the result frame, unrounded; `note` what marks and intervals mean; `meanings` a hint per column; `numeric` the
    columns that are set flush right.
    """

    name: str
    title: str
    frame: pd.DataFrame
    raw: pd.DataFrame
    note: str
    sort: pd.DataFrame
    meanings: Mapping[str, str] = field(default_factory=dict)
    numeric: frozenset[str] = frozenset()
    on_screen: frozenset[str] = frozenset()
    """Columns that a printed page has no room for: LaTeX leaves them out."""

    @property
    def printed(self) -> pd.DataFrame:
        """The columns that a printed page has room for."""
        return self.frame[[title for title in self.frame if title not in self.on_screen]]
