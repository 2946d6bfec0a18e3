"""The frame `found_means`: mean gains of the partition that a grid has found, with the seeds it was chosen by and with
later ones.

A seed's value is the mean over the tasks of its gains, and the interval is Student's over these values: it covers
other seeds, for these very tasks and test cases. With one seed there is none. Seeds that some task lacks are left out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from aggregation_lab.aggregation import FOUND
from analysis.contrasts import Contrast
from analysis.frames import frame
from analysis.gains import PairedGain, common_seeds
from analysis.questions.means import poolable
from analysis.statistics.uncertainty import t_interval
from analysis.study import StudyTables

OF_CHOICE, LATER = "of the choice", "later"
"""Which seeds a row is of."""


def found_means(study: StudyTables, pairs: Mapping[tuple[Contrast, float], Sequence[PairedGain]]) -> pd.DataFrame:
    """Two rows for every contrast of the partition at full data; empty where the grid has found none."""
    about, rows = study.manifest.found, []
    for (contrast, fraction), compared in pairs.items():
        if about is None or fraction != study.full or FOUND not in (contrast.joint, contrast.base):
            continue
        of_seed = _means(compared)
        chosen = set(about["seeds"])
        for which, values in (
            (OF_CHOICE, [value for seed, value in of_seed.items() if seed in chosen]),
            (LATER, [value for seed, value in of_seed.items() if seed not in chosen]),
        ):
            if values:
                rows.append(contrast.columns | {"which": which, "seeds": len(values)} | _interval(np.array(values)))
    return frame("found_means", rows)


def _means(pairs: Sequence[PairedGain]) -> dict[int, float]:
    """Mean over tasks, by seed: of seeds that all tasks have, since a seed that lacks some would be of other tasks."""
    used = poolable(pairs)
    return {
        seed: float(np.mean([pair.by_seed[pair.seeds.index(seed)] for pair in used])) for seed in common_seeds(used)
    }


def _interval(values: np.ndarray) -> dict[str, float]:
    count, value = len(values), float(values.mean())
    se = float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    low, high = t_interval(value, se, count - 1.0)
    return {"gain": value, "low": low, "high": high}
