"""The next runs: those that are expected to decide most undecided verdicts per hour of training.

A step adds some seeds to one contrast at one fraction, for the tasks for which that is worth it: a joint unit serves
all its tasks, a unit of one task that one alone. Its worth is the sum over all undecided verdicts, those of other
contrasts that share its runs among them, of the chance that they are decided; its price are the runs that are not there
yet. The best step is taken, then the best one after it, while hours last.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

from analysis.contrasts import Contrast
from analysis.deciding.open_verdicts import MOST_ADDED, OpenVerdict
from analysis.deciding.units import Side, Unit

SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20)
"""Numbers of seeds that a step may add."""

LEAST = 0.1
"""Expected verdicts below which a step is not worth naming."""

MOST_STEPS = 100
"""Steps that are taken; steps of one kind are named as one."""

Runs = Mapping[Unit, frozenset[int]]
"""Seeds of units that are to be trained."""


@dataclass(frozen=True)
class Step:
    """Runs that are trained together, `about` the largest unit that they share, or one task. `decided` is the expected
    number of verdicts, `chances` are those of the verdicts that they bear on, with all that is planned so far."""

    contrast: Contrast
    fraction: float
    about: Unit | str
    runs: Runs
    hours: float
    decided: float
    chances: Mapping[OpenVerdict, float]

    @property
    def per_hour(self) -> float:
        """Verdicts expected per worker hour."""
        return self.decided / self.hours

    @property
    def units(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and seeds of each unit, as its contrast calls it where it is a part of that."""
        sides = (f"{self.contrast.joint}/", f"{self.contrast.base}/")
        named = [(next((n for n in unit.names if n.startswith(sides)), unit.names[0]), unit) for unit in self.runs]
        return [(name, tuple(sorted(self.runs[unit]))) for name, unit in named]

    def then(self, later: "Step") -> "Step":
        """This step and a later one of the same kind as one."""
        return replace(
            self,
            runs=_joined(self.runs, later.runs),
            hours=self.hours + later.hours,
            decided=self.decided + later.decided,
            chances={**self.chances, **later.chances},
        )


def next_steps(
    units: Sequence[Unit], verdicts: Sequence[OpenVerdict], seeds: Sequence[int], hours: float = float("inf")
) -> list[Step]:
    """The best steps in their order, within `hours` on one worker; `seeds` are those of the study, in whose order they
    are added and after which new ones follow. None where nothing is worth its hours, or fits."""
    state, left, taken = _State(units, verdicts, tuple(sorted(seeds))), hours, 0
    steps: dict[tuple[object, ...], Step] = {}
    while taken < MOST_STEPS:
        fitting = [step for step in state.candidates() if step.hours <= left and step.decided >= LEAST]
        if not fitting:
            break
        best = max(fitting, key=lambda step: (step.per_hour, -step.hours))
        state.take(best)
        taken += 1
        left -= best.hours
        kind = best.contrast, best.fraction, best.about
        steps[kind] = steps[kind].then(best) if kind in steps else best
    return list(steps.values())


@dataclass
class _State:
    units: Sequence[Unit]
    verdicts: Sequence[OpenVerdict]
    order: tuple[int, ...]
    taken: dict[Unit, frozenset[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.unit_of: dict[Side, Unit] = {side: unit for unit in self.units for side in unit.sides}
        known = [verdict for verdict in self.verdicts if all(side in self.unit_of for side in _sides(verdict))]
        self.verdicts = known
        self.of_unit: dict[Unit, list[OpenVerdict]] = {}
        for verdict in known:
            for unit in {self.unit_of[side] for side in _sides(verdict)}:
                self.of_unit.setdefault(unit, []).append(verdict)

    def take(self, step: Step) -> None:
        """Count the runs of a step as there."""
        for unit, seeds in step.runs.items():
            self.taken[unit] = self.taken.get(unit, frozenset()) | seeds

    def candidates(self) -> Iterator[Step]:
        """The best step of each kind and size."""
        for about, members in self._together():
            for size in SIZES:
                if (step := self._best_part(about, members, size)) is not None:
                    yield step

    def _together(self) -> list[tuple[Unit | str, list[OpenVerdict]]]:
        """The verdicts of each contrast and fraction, those apart that share no unit of several tasks."""
        groups: dict[tuple[Contrast, float, Unit | str], list[OpenVerdict]] = {}
        for verdict in self.verdicts:
            shared = [unit for side in _sides(verdict) if len((unit := self.unit_of[side]).tasks) > 1]
            largest = max(shared, key=lambda unit: len(unit.tasks)) if shared else verdict.task
            groups.setdefault((verdict.contrast, verdict.fraction, largest), []).append(verdict)
        return [(about, members) for (_, _, about), members in groups.items()]

    def _best_part(self, about: Unit | str, members: Sequence[OpenVerdict], size: int) -> Step | None:
        """`size` seeds for those of the verdicts that together are decided soonest per hour."""
        runs = {verdict: self._missing(verdict, size) for verdict in members}
        worth = {verdict: self._rise(verdict, runs[verdict]) for verdict in members}
        chosen = [verdict for verdict in members if worth[verdict] > 0]
        if not chosen:
            return None

        def alone(verdict: OpenVerdict) -> float:
            own = {unit: seeds for unit, seeds in runs[verdict].items() if len(unit.tasks) == 1}
            return _hours(own) / worth[verdict]

        chosen.sort(key=alone)
        best, best_rate, joined, gained = None, 0.0, dict[Unit, frozenset[int]](), 0.0
        for verdict in chosen:
            joined, gained = _joined(joined, runs[verdict]), gained + worth[verdict]
            if gained / _hours(joined) > best_rate:
                best, best_rate = joined, gained / _hours(joined)
        return None if best is None else self._step(members[0], about, best)

    def _step(self, of: OpenVerdict, about: Unit | str, runs: Runs) -> Step:
        """The step with its worth over all verdicts that have a part in it."""
        touched = dict.fromkeys(chain.from_iterable(self.of_unit.get(unit, ()) for unit in runs))
        rises = {verdict: self._rise(verdict, runs) for verdict in touched}
        chances = {verdict: self._chance(verdict, runs) for verdict, rise in rises.items() if rise > 0}
        return Step(of.contrast, of.fraction, about, runs, _hours(runs), sum(rises.values()), chances)

    def _missing(self, verdict: OpenVerdict, size: int) -> Runs:
        """The runs that give a verdict so many more pairs of seeds."""
        sides = [self.unit_of[side] for side in _sides(verdict)]
        held = [self._held(unit) for unit in sides]
        seeds: list[int] = []
        for seed in self._in_order():
            if len(seeds) == size:
                break
            if not all(seed in have for have in held):
                seeds.append(seed)
        runs: dict[Unit, frozenset[int]] = {}
        for unit in sides:
            link: Unit | None = unit
            while link is not None:  # what it starts from has to be there, too
                new = frozenset(seeds) - self._held(link)
                runs = _joined(runs, {link: new} if new else {})
                link = link.start
        return runs

    def _held(self, unit: Unit) -> frozenset[int]:
        """The seeds that a unit has, or has in steps that are taken."""
        return unit.seeds | self.taken.get(unit, frozenset())

    def _in_order(self) -> Iterator[int]:
        return chain(self.order, count(max(self.order, default=-1) + 1))

    def _rise(self, verdict: OpenVerdict, runs: Runs) -> float:
        return self._chance(verdict, runs) - self._chance(verdict, {})

    def _chance(self, verdict: OpenVerdict, runs: Runs) -> float:
        units = [self.unit_of[side] for side in _sides(verdict)]
        joint, base = (self._held(unit) | runs.get(unit, frozenset()) for unit in units)
        added = len((joint & base) - (units[0].seeds & units[1].seeds))
        return float(verdict.chances[min(added, MOST_ADDED)])


def _sides(verdict: OpenVerdict) -> tuple[Side, Side]:
    names = verdict.contrast.joint, verdict.contrast.base
    joint, base = ((name, verdict.fraction, verdict.task) for name in names)
    return joint, base


def _hours(runs: Runs) -> float:
    return sum(unit.hours * len(seeds) for unit, seeds in runs.items())


def _joined(one: Runs, other: Runs) -> dict[Unit, frozenset[int]]:
    return {unit: one.get(unit, frozenset()) | other.get(unit, frozenset()) for unit in {**one, **other}}


def all_runs(steps: Iterable[Step]) -> dict[Unit, frozenset[int]]:
    """The runs of several steps together."""
    runs: dict[Unit, frozenset[int]] = {}
    for step in steps:
        runs = _joined(runs, step.runs)
    return runs
