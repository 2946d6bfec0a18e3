"""`make bench`, the analysis: the bootstrap of a full-size study, and its report.

27 tasks of four types, three aggregations, five seeds, 8,000 test cases in all, 2,000 draws. The ratio compares with
`scipy.stats.bootstrap` on the same statistic, which it recomputes draw by draw where a metric is no mean.
"""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from aggregation_lab.metrics import auc
from aggregation_lab.tasks import TaskType
from analysis.pipeline import analyse
from analysis.report import write_report
from analysis.statistics.resampling import ARM, CaseArrays, draw_weights
from analysis.validation.simulate import Design, simulate

TASKS, SEEDS, CASES, DRAWS = 27, 5, 8000, 2000
AGGREGATIONS = ("TS", "CG", "AU")


def classification(cases: int, seeds: int = SEEDS) -> CaseArrays:
    """One three-class task of random predictions, the most expensive type to resample."""
    random = np.random.default_rng(0)
    arms = pd.DataFrame([(name, 1.0, seed) for name in AGGREGATIONS for seed in range(seeds)], columns=ARM)
    logits = random.normal(size=(len(arms), cases, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    labels = np.broadcast_to(random.integers(0, 3, (1, cases, 1)), (len(arms), cases, 1))
    names = np.array([f"c{number}" for number in range(cases)], object)
    quantities = {"probability": probabilities, "label": labels}
    return CaseArrays("bench", str(TaskType.CLASSIFICATION), arms, names, names, quantities, left_out=0)


def means(cases: int, seeds: int = SEEDS) -> CaseArrays:
    """One detection task of random IoUs."""
    random = np.random.default_rng(0)
    arms = pd.DataFrame([(name, 1.0, seed) for name in AGGREGATIONS for seed in range(seeds)], columns=ARM)
    names = np.array([f"c{number}" for number in range(cases)], object)
    quantities = {"iou": random.uniform(size=(len(arms), cases, 1))}
    return CaseArrays("bench", str(TaskType.DETECTION), arms, names, names, quantities, left_out=0)


def seconds_of(cases: CaseArrays, draws: int = DRAWS) -> float:
    """Seconds to score every arm of one task on all resamples, without drawing these."""
    weights = draw_weights(cases.subjects, draws, 0)
    start = time.perf_counter()
    cases.draws(weights, ["score"])
    return time.perf_counter() - start


def bootstrap_all() -> float:
    """Seconds to draw and resample every task: eleven of 27 classify, as in the challenge."""
    start = time.perf_counter()
    each = CASES // TASKS
    for number in range(TASKS):
        cases = classification(each) if number < 11 else means(each)
        cases.draws(draw_weights(cases.subjects, DRAWS, number), ["score"])
    return time.perf_counter() - start


def scipy_seconds(cases: CaseArrays, draws: int) -> float:
    """scipy.stats.bootstrap of the AUC of one arm, in seconds for all arms and DRAWS draws."""
    probabilities, labels = cases.quantities["probability"][0], cases.quantities["label"][0, :, 0]

    def statistic(index: np.ndarray) -> float:
        return auc(probabilities[index], labels[index])[0]

    start = time.perf_counter()
    data = (np.arange(len(labels)),)
    stats.bootstrap(data, statistic, n_resamples=draws, vectorized=False, method="percentile", random_state=0)
    return (time.perf_counter() - start) / draws * DRAWS * len(cases.arms)


def report_seconds() -> tuple[float, float]:
    """Seconds of analysis and of the report of a full-size study with three fractions."""
    design = Design(
        tasks=TASKS,
        groups=9,
        seeds=SEEDS,
        subjects=CASES // TASKS,
        levels={"CG": 0.0, "AU": 0.01},
        slopes={"CG": 0.02},
        fractions=(0.25, 0.5, 1.0),
        task_sd=0.02,
    )
    study = simulate(design, 0).tables()
    start = time.perf_counter()
    analysis = analyse(study)
    middle = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        write_report(analysis, Path(name))
    return middle - start, time.perf_counter() - middle


def main() -> None:
    """Measure and print the table for docs/benchmarks.md."""
    small = classification(CASES // TASKS)
    whole = bootstrap_all()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    ratio = scipy_seconds(small, 40) / seconds_of(small)
    growth = seconds_of(classification(8000), 200) / seconds_of(classification(2000), 200)
    analysed, written = report_seconds()
    rows = [
        ("bootstrap of a full-size study, seconds", whole, "seconds"),
        ("its peak memory, GiB", memory, "<= 2"),
        ("scipy.stats.bootstrap / this, AUC of three classes", ratio, ">= 20"),
        ("time at 4 times the cases / time", growth, "about 4"),
        ("analysis of a full-size study, three fractions, seconds", analysed, ""),
        ("its report, seconds", written, ""),
        ("both, seconds", analysed + written, "<= 60"),
    ]
    print(f"\n| {'analysis':<56} | measured | goal    |\n|{'-' * 58}|----------|---------|")
    for label, value, goal in rows:
        print(f"| {label:<56} | {value:8.2f} | {goal:<7} |")


if __name__ == "__main__":
    main()
