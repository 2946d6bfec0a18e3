"""Synthetic studies with arms, of which every difference between arms is known (`ArmDesign`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pandas as pd

from aggregation_lab.manifest import Manifest
from aggregation_lab.results import RUNS, TEXT
from analysis.arms.cells import Cell
from analysis.arms.comparisons import Arms
from analysis.gains import TaskScores
from analysis.statistics.resampling import ARM, CaseArrays
from analysis.study import StudyTables
from analysis.validation.cases import auc_cases, keep_arms, mean_cases, score_parts
from analysis.validation.design import Design
from analysis.validation.scenario import MARGIN
from analysis.validation.simulate import Simulated, describe_tasks


@dataclass(frozen=True)
class ArmDesign(Design):
    """A design under several arms, the first one the base arm; parts as in `Design`, and

        score of aggregation a in arm b = base level + gain of a + effect of b + change of a in b + parts

    with a change of 0 in TS and in the base arm."""

    tasks: int = 16
    groups: int = 4
    seeds: int = 3
    subjects: int = 40
    levels: Mapping[str, float] = field(default_factory=lambda: {"AU": 0.0})
    arms: Mapping[str, float] = field(default_factory=lambda: {"plain": 1e6, "wide": 4e6})
    """Parameters of the model in each arm."""
    effects: Mapping[str, float] = field(default_factory=dict)
    """What an arm adds to every score, by arm."""
    changes: Mapping[str, float] = field(default_factory=dict)
    """What an arm adds to the gain of every joint aggregation, by arm."""
    change_sd: float = 0.0
    """Standard deviation over tasks of that change; of a doubling in size where `capacity_slope` is given."""
    capacity_slope: float | None = None
    """Change of the gain per doubling of parameters, instead of `changes`."""
    noise_of: Mapping[str, float] = field(default_factory=dict)
    """Factor on the scatter over seeds, by arm."""
    shares_ts: tuple[str, ...] = ()
    """Arms in which TS is the run of the base arm."""

    @property
    def compared(self) -> Arms:
        """The arms with their aggregations."""
        return Arms({arm: tuple(self.aggregations) for arm in self.arms})

    @property
    def doublings(self) -> dict[str, float]:
        """Doublings of size from the base arm to each."""
        first = next(iter(self.arms.values()))
        return {arm: float(np.log2(size / first)) for arm, size in self.arms.items()}


@dataclass(frozen=True, eq=False)
class ArmStudy(Simulated):
    """One study with arms; `means` has the expected score by task and cell, `runs` the runs of each task's arms."""

    means: Mapping[tuple[str, Cell], float] = field(default_factory=dict)
    runs: Mapping[str, np.ndarray] = field(default_factory=dict)

    def scores(self, draws: int, seed: int) -> list[TaskScores]:
        """As `Simulated.scores`, with a cell in the place of every aggregation."""
        return [
            replace(scores, arms=scores.arms.assign(run=self.runs[scores.task]), margin=MARGIN)
            for scores in super().scores(draws, seed)
        ]

    def gain(self, task: str, joint: Cell, base: Cell) -> float:
        """The true difference of two cells."""
        return self.means[task, joint] - self.means[task, base]

    def tables(self) -> StudyTables:
        """As `Simulated.tables`, of every arm, with a table of runs and arms that differ in their encoder alone."""
        plain = super().tables()
        cells = {cell.label: cell for _, cell in self.means}
        tables = {}
        for name, rows in (("scores", plain.scores), ("cases", plain.cases)):
            assert rows is not None
            found = [cells[label] for label in rows["aggregation"]]
            named = pd.concat([self._named(cases) for cases in self.tasks])
            runs = rows.merge(named, on=["task", *ARM], how="left")["own"].to_numpy()
            labels = {"arm": [cell.arm for cell in found], "aggregation": [cell.aggregation for cell in found]}
            tables[name] = rows.assign(run=runs, **labels)
        settings = {
            "arms": [{"name": arm, "model": {"encoder": f"vit_{arm}"}, "training": {}} for arm in self.design_arms],
            "base_arm": next(iter(self.design_arms)),
        }
        return StudyTables(
            Manifest("simulated", settings=settings),
            tables["scores"],
            tables["cases"],
            runs=self._ledger(tables["scores"]),
        )

    def _ledger(self, scores: pd.DataFrame) -> pd.DataFrame:
        """A table of runs of which only the sizes mean something."""
        rows = scores.drop_duplicates(["run", "arm", "aggregation"], ignore_index=True)
        size = rows["run"].map(self.sizes)
        known = rows.assign(tasks=rows["task"], parameters=size, images_seen=100, flops=600.0 * size)
        lacking = [column for column in RUNS.columns if column.name not in known]
        blank = {column.name: "unknown" if column.type == TEXT else 1 for column in lacking}
        return known.assign(**blank)[[column.name for column in RUNS.columns]]

    def _named(self, cases: CaseArrays) -> pd.DataFrame:
        return cases.arms.assign(task=cases.task, own=self.runs[cases.task])

    @property
    def design_arms(self) -> Mapping[str, float]:
        """Parameters of the model in each arm."""
        assert isinstance(self.design, ArmDesign)
        return self.design.arms

    @property
    def sizes(self) -> dict[str, float]:
        """Parameters of every run."""
        return {run: self.design_arms[run.split("/")[0]] for runs in self.runs.values() for run in runs}


def simulate_arms(design: Design, seed: int) -> ArmStudy:
    """Draw one study of an `ArmDesign`. The same design and seed give the same study."""
    assert isinstance(design, ArmDesign)
    random = np.random.default_rng(seed)
    about = describe_tasks(design, random)
    cells = design.compared.cells
    rows = [(cell, 1.0, run) for cell, run in product(cells, range(design.seeds))]
    arms = pd.DataFrame([(cell.label, *rest) for cell, *rest in rows], columns=["aggregation", "fraction", "seed"])
    place = np.repeat(np.arange(len(cells)), design.seeds)
    joint = np.array([cell.aggregation != "TS" for cell, *_ in rows])
    factor = np.array([design.noise_of.get(cell.arm, 1.0) for cell, *_ in rows])
    moved = random.normal(0, design.joint_seed_sd, len(rows)) * joint
    common = random.normal(0, 1, (len(cells), design.subjects)) if design.shared_cases else None
    of_group = {name: random.normal(0, design.group_sd, design.groups) for name in design.levels}
    draw = auc_cases if design.auc else mean_cases
    tasks, means = [], dict[tuple[str, Cell], float]()
    for row in about.to_dict("records"):
        gains = {
            name: level + of_group[name][row["group_index"]] + random.normal(0, design.task_sd)
            for name, level in design.levels.items()
        }
        level, changes = random.uniform(0.6, 0.8), _changes(design, random)
        scores = level + np.array(
            [
                design.effects.get(cell.arm, 0.0)
                + (gains[cell.aggregation] + changes[cell.arm] if cell.aggregation in gains else 0.0)
                for cell in cells
            ]
        )
        means |= {(row["task"], cell): float(score) for cell, score in zip(cells, scores, strict=True)}
        scatter = design.seed_sd_of.get(row["type"], design.seed_sd)
        run = (moved + random.normal(0, scatter, len(rows))) * factor
        parts = score_parts(design, place, random, common)
        tasks.append(draw(design, row["task"], row["type"], arms, scores[place] + run, parts, random))
    runs = {
        cases.task: np.array([_run(design, cell, cases.task, seed_of) for cell, _, seed_of in rows], object)
        for cases in tasks
    }
    tasks = [_with_shared(cases, runs[cases.task]) for cases in tasks]
    if design.missing:
        names = sorted({run for of_task in runs.values() for run in of_task})
        lost = {run for run, missing in zip(names, random.random(len(names)) < design.missing, strict=True) if missing}
        kept = {task: ~np.isin(of_task.astype(str), list(lost)) for task, of_task in runs.items()}
        tasks = [keep_arms(cases, kept[cases.task]) for cases in tasks]
        runs = {task: of_task[kept[task]] for task, of_task in runs.items()}
    return ArmStudy(design, tuple(tasks), about, pd.DataFrame(), means=means, runs=runs)


def _changes(design: ArmDesign, random: np.random.Generator) -> dict[str, float]:
    """What each arm adds to the gains of one task."""
    first, *others = design.arms
    if design.capacity_slope is not None:
        slope = random.normal(design.capacity_slope, design.change_sd)
        return {arm: slope * doublings for arm, doublings in design.doublings.items()}
    return {first: 0.0} | {arm: random.normal(design.changes.get(arm, 0.0), design.change_sd) for arm in others}


def _run(design: ArmDesign, cell: Cell, task: str, seed: int) -> str:
    """A name for a run; its arm stands first."""
    if cell.aggregation != "TS":
        return f"{cell.arm}/{cell.aggregation}/{seed}"
    arm = next(iter(design.arms)) if cell.arm in design.shares_ts else cell.arm
    return f"{arm}/TS-{task}/{seed}"


def _with_shared(cases: CaseArrays, runs: np.ndarray) -> CaseArrays:
    """The cases with the values of a run wherever it counts."""
    _, first, index = np.unique(runs.astype(str), return_index=True, return_inverse=True)
    return replace(cases, quantities={name: values[first[index]] for name, values in cases.quantities.items()})
