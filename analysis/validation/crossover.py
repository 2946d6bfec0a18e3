"""Crossovers of strong, weak and absent slopes: how often one is reported, and whether its limits hold the true one."""

import numpy as np

from analysis.validation.design import Design
from analysis.validation.scale import holds, scale_frames, task_crossings
from analysis.validation.scenario import Scenario, mean_of_known
from analysis.validation.simulate import Simulated

DRAWS = 60


def count_crossovers(simulated: Simulated, seed: int) -> dict[str, float]:
    """Across tasks, of the pooled line within tasks, and of single tasks; with the coverage of the slopes."""
    across, within, _ = scale_frames(simulated, DRAWS, seed)
    slope = simulated.design.slopes["AU"]
    mixed = across[(across["scope"] == "all") & (across["method"] == "mixed model")].to_dict("records")
    pooled = within[(within["level"] == "pooled") & (within["name"] == "all")].to_dict("records")
    single = within[within["level"] == "task"].to_dict("records")
    star, of_task = simulated.design.n_ref if slope else np.nan, task_crossings(simulated)
    figures = {}
    for name, lines, stars in (
        ("across", mixed, [star]),
        ("pooled", pooled, [star]),
        ("task", single, [of_task[line["name"]] for line in single]),
    ):
        figures[f"reported_{name}"] = float(np.mean([np.isfinite(line["n_star"]) for line in lines]))
        figures[f"holds_{name}"] = mean_of_known(list(map(holds, lines, stars)))
        figures[f"slope_{name}"] = float(np.mean([line["low"] <= slope <= line["high"] for line in lines]))
    return figures


def scenarios() -> list[Scenario]:
    """Slopes of 0 to 0.02 per doubling, with few and many seeds and tasks."""
    base = Design(
        levels={"AU": 0.0},
        fractions=(0.25, 0.5, 1.0),
        types=("segmentation",),
        group_sd=0.01,
        task_sd=0.02,
        subjects=40,
        seeds=3,
    )
    bounds = {name: (0.93, 1.0) for name in ("holds_across", "holds_pooled", "holds_task")}
    sloped = [
        Scenario(
            f"crossover: {slope} per doubling, {seeds} seeds, {tasks} tasks",
            base.with_(slopes={"AU": slope}, seeds=seeds, tasks=tasks, groups=groups),
            count_crossovers,
            bounds,
        )
        for slope, seeds, tasks, groups in (
            *((slope, 3, 27, 8) for slope in (0.005, 0.01, 0.02)),
            *((0.01, seeds, 10, 4) for seeds in (2, 5)),
            *((0.02, seeds, 6, 3) for seeds in (2, 5)),
        )
    ]
    none = {name: (0.0, 0.1) for name in ("reported_across", "reported_pooled", "reported_task")}
    flat = base.with_(slopes={"AU": 0.0}, tasks=10, groups=4)
    return [*sloped, Scenario("crossover: no slope, 10 tasks", flat, count_crossovers, none)]
