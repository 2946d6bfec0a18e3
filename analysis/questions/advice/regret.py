"""What the guideline is worth: the score it loses on tasks and groups that it was not fitted to.

Each task (or each clinical group) is left out in turn, advised at its full size by the rule of `guidelines`
fitted to the others, and the score of the advised aggregation is compared with the best in hindsight:

    regret = max over aggregations of the mean score - mean score of the aggregation advised

Leaving out is cross-validation (Stone 1974). Hindsight picks the largest of several noisy means, so every rule's regret
is a little too large, and alike for all.
Intervals take the tasks as a sample nested in clinical groups (`analysis.questions.means.mean_over_tasks`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.frames import at_full, frame
from analysis.gains import TaskScores
from analysis.questions.advice.guidelines import FEWEST_TASKS, UNDECIDED, Rule, fit_rule
from analysis.questions.means import mean_over_tasks
from analysis.statistics.uncertainty import t_interval

_SETS = 100
"""Most rules that are fitted for the tasks left out."""


def regret_table(rows: pd.DataFrame, scores: Sequence[TaskScores], aggregations: Sequence[str]) -> pd.DataFrame:
    """The frame `regret`: the rule left-one-out, and always one aggregation, against the best in hindsight.

    Where the rule abstains, the base is taken. Tasks that lack an aggregation are left out.
    """
    truth = _full_scores(scores, aggregations)
    rows, truth = rows.copy(), truth[truth.index.isin(rows["task"])]
    if len(truth) < FEWEST_TASKS:
        return frame("regret", [])
    about = rows.sort_values("n_train").groupby("task").last()
    base = str(rows["base"].iloc[0])
    table = []
    for scheme, key in (_by_task(rows), ("leave one group out", "group")):
        advised = {}
        for name in sorted(set(rows[key])):
            rule = fit_rule(rows[rows[key] != name])
            for task in sorted(set(rows.loc[rows[key] == name, "task"]) & set(truth.index)):
                row = about.loc[task]
                advised[task] = _advice(rule, row) if rule else UNDECIDED
        choices = {"guideline": pd.Series(advised)} | {
            f"always {name}": pd.Series(name, index=truth.index) for name in aggregations
        }
        for label, choice in choices.items():
            table.append({"scheme": scheme, "rule": label} | _regret(truth, choice, about["group"], base))
    return frame("regret", table)


def _by_task(rows: pd.DataFrame) -> tuple[str, str]:
    """Name and column of leaving tasks out one by one; very many are left out in sets, a new column of `rows`."""
    order = {name: index for index, name in enumerate(sorted(set(rows["task"])))}
    if len(order) <= _SETS:
        return "leave one task out", "task"
    rows["set"] = [order[name] % _SETS for name in rows["task"]]
    return f"leave one of {_SETS} sets of tasks out", "set"


def _advice(rule: Rule, row: pd.Series) -> str:
    """Advice at the task's size, moved to the nearest size the rule has seen: a largest task would always abstain."""
    low, high = rule.sizes(str(row["type"])) if row["type"] in rule.types else (row["n_train"], row["n_train"])
    return rule.recommend(float(np.clip(row["n_train"], low, high)), row["type"], row["group"]).advice


def _full_scores(scores: Sequence[TaskScores], aggregations: Sequence[str]) -> pd.DataFrame:
    """Mean score over seeds at the largest fraction: tasks x aggregations, complete rows only."""
    table = {}
    for task in scores:
        if task.unit == "1":
            arms = at_full(task.arms.assign(value=task.values))
            table[task.task] = arms.groupby("aggregation")["value"].mean()
    return pd.DataFrame(table).T.reindex(columns=list(aggregations)).dropna()


def _regret(truth: pd.DataFrame, choice: pd.Series, groups: pd.Series, base: str) -> dict[str, object]:
    abstained = choice == UNDECIDED
    taken = choice.where(~abstained, base).reindex(truth.index)
    chosen = np.array([truth.at[task, name] for task, name in taken.items()])
    loss = truth.max(axis=1).to_numpy() - chosen
    value, se, df = mean_over_tasks(loss, groups.reindex(truth.index).to_numpy(str))
    low, high = t_interval(value, se, df)
    return {
        "tasks": len(loss),
        "regret": value,
        "low": max(0.0, low) if np.isfinite(low) else low,
        "high": high,
        "worst": float(loss.max()),
        "abstained": float(abstained.mean()),
    }
