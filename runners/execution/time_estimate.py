"""The time that the runs of a study will take, estimated from the finished ones."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from runners.execution.device_slots import share_of_cores
from runners.planning import cost as planning_cost
from runners.planning.plan import PlannedRun
from runners.store.run_store import RunStore


@dataclass(frozen=True)
class TimeEstimate:
    """Seconds of a run on one worker: `overhead` + operations / `rate`, fitted to `finished` runs; 0 is a guess."""

    overhead: float
    rate: float
    finished: int

    def cost(self, run: PlannedRun) -> float:
        """The most it takes, where the run decides itself when it ends."""
        return self.overhead + run.flops / self.rate

    def least(self, run: PlannedRun) -> float:
        return self.overhead + run.least * run.flops / self.rate

    def largest_first(self, runs: Iterable[PlannedRun]) -> list[PlannedRun]:
        """Runs by what they and the longest of those that start from them take together, the most first."""
        runs, later = list(runs), dict[str, float]()
        for run in runs:
            if run.start:
                later[run.start] = max(later.get(run.start, 0.0), self.cost(run))
        return sorted(runs, key=lambda run: -self.cost(run) - later.get(run.id, 0.0))

    def makespan(
        self, runs: Iterable[PlannedRun], jobs: int, cost: Callable[[PlannedRun], float] | None = None
    ) -> float:
        """Seconds until `jobs` workers have trained the runs, each by `cost`."""
        each, runs = cost or self.cost, list(runs)
        position = {run.id: index for index, run in enumerate(run for run in runs if not run.start)}
        return planning_cost.makespan(
            (each(run) for run in runs if not run.start),
            jobs,
            [(each(run), position.get(run.start, -1)) for run in runs if run.start],
        )

    def by_model(
        self, runs: Iterable[PlannedRun], cost: Callable[[PlannedRun], float] | None = None
    ) -> dict[str, float]:
        """Seconds of one worker for each aggregation of each arm by `cost`; a run that two share counts for both."""
        cost = cost or self.cost
        total: dict[str, float] = {}
        for run in runs:
            for name in dict.fromkeys(label.model for label in run.labels):
                total[name] = total.get(name, 0.0) + cost(run)
        return total


def learn(store: RunStore, runs: Sequence[PlannedRun], guess: float = 1.0) -> TimeEstimate:
    """Fit the finished runs' seconds; `guess` is the rate, in operations per second, while there are none."""
    states = store.present(runs)
    taken = [(run.flops_of(states[run.id].images), seconds) for run in runs if (seconds := states[run.id].seconds)]
    if not taken:
        return TimeEstimate(0.0, guess, 0)
    overhead, slope = planning_cost.line(taken)
    return TimeEstimate(overhead, 1.0 / slope, len(taken))


def learn_or_guess(
    store: RunStore, runs: Sequence[PlannedRun], device: str, jobs: int, precision: str
) -> tuple[TimeEstimate, str]:
    """What runs take and how that is known: from those that are finished, else from this machine's matrix rate, which
    `jobs` workers share."""
    estimate = learn(store, runs)
    if estimate.finished:
        return estimate, f"by the pace of {estimate.finished} finished runs"
    rate = planning_cost.training_rate(device, share_of_cores(jobs), precision)
    guess = TimeEstimate(0.0, rate if device == "cpu" else rate / jobs, 0)
    return guess, "a rough guess from this machine's matrix rate"
