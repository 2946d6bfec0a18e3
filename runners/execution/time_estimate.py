"""The time that the runs of a study will take, estimated from those that have finished on the same type of device."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from runners.planning import cost as planning_cost
from runners.planning.plan import PlannedRun
from runners.store.run_store import RunStore


@dataclass(frozen=True)
class Place:
    """`jobs` runs at a time on devices of the type `device`, `sharing` of them on each accelerator, 1 on CPUs, with
    `threads` of their own.

    `measured_on` is the type of device that this machine has: what is guessed before a run has finished is measured
    there. `words` say all of it in a plan.
    """

    device: str
    jobs: int
    sharing: float
    threads: int
    measured_on: str
    words: str
    is_elsewhere: bool = False


@dataclass(frozen=True)
class TimeEstimate:
    """Seconds of a run on one worker: `overhead` + operations / `rate`, fitted to `finished` runs; 0 is a guess.

    Each worker takes `start` seconds before its first run.
    """

    overhead: float
    rate: float
    finished: int
    start: float = 0.0

    def cost(self, run: PlannedRun) -> float:
        """The most it takes, where the run decides itself when it ends."""
        return self.part(run, 1.0)

    def least(self, run: PlannedRun) -> float:
        return self.part(run, run.least)

    def part(self, run: PlannedRun, share: float) -> float:
        """What a share of the most that it takes would."""
        return self.overhead + share * run.flops / self.rate

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
        """Seconds until `jobs` workers have started and trained the runs, each by `cost`; 0 without a run."""
        each, runs = cost or self.cost, list(runs)
        if not runs:
            return 0.0
        position = {run.id: index for index, run in enumerate(run for run in runs if not run.start)}
        return self.start + planning_cost.makespan(
            (each(run) for run in runs if not run.start),
            jobs,
            [(each(run), position.get(run.start, -1)) for run in runs if run.start],
        )

    def fitting(self, runs: Iterable[PlannedRun], jobs: int, seconds: float) -> list[PlannedRun]:
        """Those of the runs, the longest first, that `jobs` workers end within `seconds` if all are started now."""
        found = list[PlannedRun]()
        for run in self.largest_first(runs):
            if self.makespan([*found, run], jobs) <= seconds:
                found.append(run)
        return found

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


def learn(store: RunStore, runs: Sequence[PlannedRun], device: str, guess: float = 1.0) -> TimeEstimate:
    """Fit the seconds of the runs that have finished on `device`, a type such as cuda; `guess` is the rate, in
    operations per second, while there are none.

    The seconds of a run whose result does not name its device, as those of earlier versions, tell nothing.
    """
    states = store.present(runs)
    done = [(run, states[run.id]) for run in runs if states[run.id].seconds and states[run.id].device == device]
    if not done:
        return TimeEstimate(0.0, guess, 0)
    overhead, slope = planning_cost.line([(run.flops_of(status.images), status.seconds) for run, status in done])
    return TimeEstimate(overhead, 1.0 / slope, len(done))


def learn_or_guess(
    store: RunStore, runs: Sequence[PlannedRun], place: Place, precision: str
) -> tuple[TimeEstimate, str]:
    """What runs take at a place and how that is known: from those that are finished, else from this machine's matrix
    rate. A worker's start, and of a guess what does not grow with a run's images, are as they were measured once."""
    estimate = replace(learn(store, runs, place.device), start=planning_cost.START_SECONDS)
    if estimate.finished:
        return estimate, f"by the pace of {estimate.finished} runs finished on {place.device}"
    rate = planning_cost.training_rate(place.measured_on, place.threads, precision)
    of = f"the matrix rate of this machine, on {place.measured_on}, not of the cluster's nodes"
    of = of if place.is_elsewhere else "this machine's matrix rate"
    return replace(estimate, overhead=planning_cost.RUN_SECONDS, rate=rate / place.sharing), f"a rough guess from {of}"
