"""What is compared across arms: gains in every arm, how they differ between arms, and what an arm itself changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.arms.cells import Cell
from analysis.arms.differences import difference
from analysis.contrasts import Contrast, contrasts
from analysis.gains import PairedGain, TaskScores
from analysis.pairing import pair_all

GAIN, CHANGE, EFFECT = "gain", "difference of gains", "effect of the arm"
"""A joint aggregation against a base; such a gain in an arm minus that in the base arm; one aggregation in an arm
against the same in the base arm."""


@dataclass(frozen=True)
class ArmContrast:
    """One comparison across arms. `contrast` has the aggregations, both the same for the effect of an arm."""

    kind: str
    contrast: Contrast
    arm: str
    base_arm: str

    @property
    def columns(self) -> dict[str, str]:
        """What a row of a frame says of it."""
        same = self.contrast.joint == self.contrast.base
        named = self.contrast.columns | ({"contrast": self.contrast.joint} if same else {})
        return {"kind": self.kind, **named, "arm": self.arm, "base_arm": self.base_arm}

    @property
    def title(self) -> str:
        """`AU-TS, wide against plain`: how another row names it."""
        apart = "" if self.arm == self.base_arm else f" against {self.base_arm}"
        return f"{self.columns['contrast']}, {self.arm}{apart}"


Compared = dict[tuple[ArmContrast, float], list[PairedGain]]
"""Pairs of every comparison at every fraction of the study."""


@dataclass(frozen=True)
class Arms:
    """The arms of a study in their order, the base arm first, each with its aggregations in theirs.

    `base`: the one cell that gains are over; without it every arm has its own, its first aggregation.
    """

    aggregations: Mapping[str, Sequence[str]]
    base: Cell | None = None

    @property
    def first(self) -> str:
        """The base arm."""
        return next(iter(self.aggregations))

    @property
    def others(self) -> list[str]:
        """All arms but the base arm."""
        return list(self.aggregations)[1:]

    @property
    def cells(self) -> list[Cell]:
        """Every aggregation under every arm that has it."""
        return [Cell(name, arm) for arm, names in self.aggregations.items() for name in names]


def gains_within(scores: Sequence[TaskScores], arms: Arms, fractions: Sequence[float]) -> Compared:
    """Gains over the arm's own base, as `analysis.contrasts.contrasts` lists them, in every arm."""
    asked = [
        (ArmContrast(GAIN, contrast, arm, arm), Cell(contrast.joint, arm), Cell(contrast.base, arm))
        for arm, names in arms.aggregations.items()
        if len(names) > 1
        for contrast in contrasts(names)
    ]
    return _paired(scores, asked, fractions)


def gains_over(scores: Sequence[TaskScores], arms: Arms, base: Cell, fractions: Sequence[float]) -> Compared:
    """Gains of every other cell over one base."""
    asked = [
        (ArmContrast(GAIN, Contrast(cell.aggregation, base.aggregation), cell.arm, base.arm), cell, base)
        for cell in arms.cells
        if cell != base
    ]
    return _paired(scores, asked, fractions)


def effects(scores: Sequence[TaskScores], arms: Arms, fractions: Sequence[float]) -> Compared:
    """Every arm against the base arm, within each aggregation that both have."""
    asked = [
        (ArmContrast(EFFECT, Contrast(name, name), arm, arms.first), Cell(name, arm), Cell(name, arms.first))
        for arm in arms.others
        for name in arms.aggregations[arms.first]
        if name in arms.aggregations[arm]
    ]
    return _paired(scores, asked, fractions)


def changes(within: Compared, arms: Arms) -> Compared:
    """The gains of `gains_within` in every arm minus those in the base arm, for contrasts that both have."""
    found: Compared = {}
    for (compared, fraction), later in within.items():
        before = within.get((ArmContrast(GAIN, compared.contrast, arms.first, arms.first), fraction))
        if compared.arm == arms.first or before is None:
            continue
        by_task = {pair.task: pair for pair in before}
        both = [difference(pair, by_task[pair.task]) for pair in later if pair.task in by_task]
        pairs = [pair for pair in both if pair is not None]
        found[ArmContrast(CHANGE, compared.contrast, compared.arm, arms.first), fraction] = pairs
    return found


def _paired(
    scores: Sequence[TaskScores], asked: Sequence[tuple[ArmContrast, Cell, Cell]], fractions: Sequence[float]
) -> Compared:
    return {
        (about, fraction): pair_all(scores, cell.against(base), fraction)
        for about, cell, base in asked
        for fraction in fractions
    }
