"""The analysis of a full-size study: bootstrap and report, and the bootstrap against `scipy.stats.bootstrap`.

27 tasks of four types, three aggregations, five seeds, 8,000 test cases in all, 2,000 draws. scipy recomputes a
statistic draw by draw where a metric is no mean.
"""

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from aggregation_lab.files import write_json
from aggregation_lab.metrics import auc
from aggregation_lab.tasks import TaskType
from analysis.pipeline import analyse
from analysis.report import write_report
from analysis.statistics.resampling import ARM, CaseArrays, draw_weights
from analysis.validation.simulate import Design, simulate
from runners.bench.measuring import GIB, Table, measure_module, ratios, seconds
from runners.bench.setting import Setting

SEEDS, CLASSIFYING = 5, 11 / 27
"""Share of the challenge's tasks that classify, the most expensive to resample."""
GOALS = {
    "bootstrap of a full-size study, seconds": "seconds",
    "its peak memory, GiB": "<= 2",
    "scipy.stats.bootstrap / this, AUC of three classes": ">= 20",
    "time at 4 times the cases / time": "about 4",
    "analysis of a full-size study, three fractions, seconds": "",
    "its report, seconds": "",
    "both, seconds": "<= 60",
}


def analysis(setting: Setting) -> Table:
    """Seconds, memory and ratios of the analysis, in a separate process with one thread."""
    figures, _ = measure_module(__name__, *setting.analysis_size, scratch=setting.scratch, threads=1)
    tasks, cases, draws = setting.analysis_size
    note = f"Made-up scores of {tasks} tasks with {cases:,} test cases in all, {draws:,} resamples, one thread."
    return ratios("Analysis", dict(zip(GOALS, figures, strict=True)), GOALS, note)


def random_cases(task_type: TaskType, cases: int) -> CaseArrays:
    """One task of random predictions: three classes, or the IoU of boxes."""
    random = np.random.default_rng(0)
    arms = pd.DataFrame([(name, 1.0, seed) for name in ("TS", "CG", "AU") for seed in range(SEEDS)], columns=ARM)
    names = np.array([f"c{number}" for number in range(cases)], object)
    if task_type is TaskType.CLASSIFICATION:
        odds = np.exp(random.normal(size=(len(arms), cases, 3)))
        labels = np.broadcast_to(random.integers(0, 3, (1, cases, 1)), (len(arms), cases, 1))
        quantities = {"probability": odds / odds.sum(2, keepdims=True), "label": labels}
    else:
        quantities = {"iou": random.uniform(size=(len(arms), cases, 1))}
    return CaseArrays("bench", str(task_type), arms, names, names, quantities, left_out=0)


def resampling_seconds(cases: CaseArrays, draws: int) -> float:
    """Seconds to score every arm of one task on all resamples, without drawing these."""
    weights = draw_weights(cases.subjects, draws, 0)
    return seconds(lambda: cases.draws(weights, ["score"]))


def bootstrap_all(tasks: int, cases: int, draws: int) -> None:
    """Draw and resample every task."""
    for number in range(tasks):
        task_type = TaskType.CLASSIFICATION if number < CLASSIFYING * tasks else TaskType.DETECTION
        task = random_cases(task_type, cases // tasks)
        task.draws(draw_weights(task.subjects, draws, number), ["score"])


def scipy_seconds(cases: CaseArrays, draws: int, resamples: int = 40) -> float:
    """scipy.stats.bootstrap of the AUC of one arm by some `resamples`, in seconds for all arms and `draws`."""
    probabilities, labels = cases.quantities["probability"][0], cases.quantities["label"][0, :, 0]

    def statistic(index: np.ndarray) -> float:
        return auc(probabilities[index], labels[index])[0]

    def work() -> None:
        data = (np.arange(len(labels)),)
        stats.bootstrap(data, statistic, n_resamples=resamples, vectorized=False, method="percentile", random_state=0)

    return seconds(work) / resamples * draws * len(cases.arms)


def report_seconds(tasks: int, cases: int) -> tuple[float, float]:
    """Seconds of analysis and of the report of a study with three fractions."""
    design = Design(
        tasks=tasks,
        groups=max(1, tasks // 3),
        seeds=SEEDS,
        subjects=cases // tasks,
        levels={"CG": 0.0, "AU": 0.01},
        slopes={"CG": 0.02},
        fractions=(0.25, 0.5, 1.0),
        task_sd=0.02,
    )
    study, made = simulate(design, 0).tables(), []
    analysed = seconds(lambda: made.append(analyse(study)))
    with tempfile.TemporaryDirectory() as name:
        return analysed, seconds(lambda: write_report(made[0], Path(name)))


def main(result: str, *size: str) -> None:
    """Write the figures, in the order of `GOALS`, to the JSON file `result`."""
    tasks, cases, draws = map(int, size)
    small = random_cases(TaskType.CLASSIFICATION, cases // tasks)
    whole = seconds(lambda: bootstrap_all(tasks, cases, draws))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    speed_up = scipy_seconds(small, draws) / resampling_seconds(small, draws)
    four_times, once = (random_cases(TaskType.CLASSIFICATION, count) for count in (cases, cases // 4))
    growth = resampling_seconds(four_times, draws // 10) / resampling_seconds(once, draws // 10)
    analysed, written = report_seconds(tasks, cases)
    write_json(Path(result), [whole, memory, speed_up, growth, analysed, written, analysed + written])


if __name__ == "__main__":
    main(*sys.argv[1:])
