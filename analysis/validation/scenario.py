"""A simulated condition, what is counted on it, and the bounds within which the figures must lie."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.contrasts import Contrast
from analysis.gains import PairedGain
from analysis.validation.design import Design
from analysis.validation.simulate import Simulated, simulate

MARGIN = 0.02
DRAWS = 300
CONTRAST = Contrast("AU", "TS")
BASE = Design(levels={"AU": 0.0})
"""27 tasks, five seeds, no effect."""


@dataclass(frozen=True)
class Scenario:
    """A design, and what is counted on it: a function of one simulated study and its seed that returns figures.

    `bounds` has the least and largest mean that a figure may have; `draw` makes a study of the design and a seed.
    """

    name: str
    design: Design
    count: Callable[[Simulated, int], dict[str, float]]
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    draw: Callable[[Design, int], Simulated] = simulate

    def figures(self, seed: int) -> dict[str, float]:
        """The figures of one simulated study."""
        return self.count(self.draw(self.design, seed), seed)


def simulate_thinned(design: Design, seed: int) -> Simulated:
    """A study of which a quarter of all scores is missing, see `Simulated.thinned`."""
    return simulate(design, seed).thinned(seed)


def run_scenario(scenario: Scenario, studies: int) -> pd.DataFrame:
    """A row of figures per simulated study."""
    return pd.DataFrame(list(map(scenario.figures, range(studies))))


def true_gains(simulated: Simulated, pairs: Sequence[PairedGain], fraction: float) -> np.ndarray:
    """The true gain of every pair of `CONTRAST`."""
    truth = simulated.truth
    of_task = truth[(truth["contrast"] == CONTRAST.name) & (truth["fraction"] == fraction)].set_index("task")["gain"]
    return of_task.loc[[pair.task for pair in pairs]].to_numpy()


def share(flags: np.ndarray) -> float:
    """Share of flags that are set; NaN of none."""
    return float(np.mean(flags)) if len(flags) else np.nan


def mean_of_known(values: Sequence[float]) -> float:
    """Mean of the values that are known; NaN of none."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else np.nan
