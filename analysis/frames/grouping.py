"""Columns of the frames on grouping: what predictions of gains are worth, partitions, and the groups found."""

from typing import Final

from analysis.frames.shared import SIDES, TASK

GROUPING: Final = {
    "prediction_errors": {
        "predictor": "what the gain of a task in a set of tasks is predicted from",
        "kind": "naive baseline, signal (measured in a joint run), or whole procedure",
        "tasks": "tasks",
        "gains": "gains over TS: one for each task and set that was trained",
        "error_new_set": "root mean square error on sets left out, gains weighed by how surely they are known",
        "error_new_task": "the same on tasks left out, which is what is judged by where one set was trained",
        "skill": "share by which the mean square error on sets (or tasks) left out is below that of no information",
        "skill_error": "standard error of that share over sets (tasks)",
        "used": "whether predictions use it",
        "reason": "why it is used or not",
    },
    "predicted_gains": {
        "aggregation": "aggregation that trained the set",
        "unit": "unit of it",
        **TASK,
        "partners": "tasks that it is trained with, joined by +",
        "gain": "gain over TS on validation cases, mean over seeds",
        "se": "standard error of it by seeds; missing with one",
        "test_gain": "gain over TS on test cases, which no prediction has seen",
        "predicted": "predicted by a model that has not seen the task",
        "low": "lower limit of that prediction, 80 %, jackknife+ over tasks; missing with fewer than four tasks",
        "high": "upper limit",
        "predicted_set": "predicted by a model that has not seen the set; missing with one set",
        "rank_correlation": "Spearman's correlation of gain and predicted over all rows; missing with fewer than "
        "three, and where no affinity is used: a task left out is then given the mean of the others",
        "rank_correlation_set": "the same of gain and predicted_set",
    },
    "found_means": {
        **SIDES,
        "which": "seeds by which the partition was chosen, or later ones",
        "seeds": "number of them that all tasks have",
        "gain": "mean gain over tasks and these seeds at full data",
        "low": "lower 95 % limit, Student's over seeds: for these tasks and test cases; missing with one",
        "high": "upper 95 % limit",
    },
    "partitions": {
        "partition": "name of the aggregation, or what was asked of the partition that was found",
        "trained": "whether it is trained; if not, its gain is a prediction",
        "units": "units",
        "tasks": "tasks of each unit",
        "hours": "worker hours per seed at full data, without those of second stages",
        "hours_guessed": "whether these are a guess: a unit is not trained, and counts by the pace of the joint runs",
        "score": "mean unit-free test score over tasks; of a prediction that of TS and the predicted gain",
        "gain": "mean gain over TS: on test cases where trained, else predicted from validation cases",
        "low": "lower limit of a predicted mean gain, 80 %",
        "high": "upper limit",
        "pareto": "of the trained ones, no other costs less and scores as much; false of a prediction",
    },
    "found_groups": {
        "unit": "unit of the partition that is predicted to gain most, with any number of units",
        **TASK,
        "partners": "tasks that it is grouped with, joined by +",
        "predicted": "predicted gain over TS",
        "low": "lower limit, 80 %, jackknife+ over tasks",
        "high": "upper limit",
        "why": "what the prediction rests on",
    },
}
