"""Columns of the frames across arms: gains in every arm, how they change from arm to arm, and with capacity."""

from typing import Final

from analysis.frames.shared import CONTRAST, TASK

_ARMS: Final = {"arm": "arm", "base_arm": "arm that it is compared with"}
_DATA: Final = {
    **TASK,
    "unit": "unit of the values; 1 where they are unit-free",
    "n_train": "training cases of the task",
    "seeds": "seeds, or replicates, that all compared runs have",
    "subjects": "test subjects resampled, of the cases that all arms have; 0 without cases",
}
_INTERVAL: Final = {
    "low": "lower 95 % limit",
    "high": "upper 95 % limit",
    "se": "standard error: seeds and test cases together",
    "df": "degrees of freedom of the t with the same tails (`analysis.statistics.matched_t`)",
    "basis": "what the interval covers, as in `gains`",
    "family": "verdicts that are corrected together: full data, or smaller fractions",
    "repeats": "the row above whose test this is, as both compare the same runs of the task (contrast, arm and base "
    "arm; with a minus before it the other way round): one estimate, counted once in the family; else empty",
    "margin": "largest loss, or change, that counts as none, in the unit of the values",
    "p": "two-sided p of no difference",
    "p_adjusted": "the same, corrected over the family",
    "low_adjusted": "lower limit of the interval that decides",
    "high_adjusted": "upper limit of the interval that decides",
}
_KIND: Final = {"kind": "gain, difference of gains (between arms), or effect of the arm (within an aggregation)"}
_TREND: Final = {
    **CONTRAST,
    "series": "arms that differ in capacity alone",
    "measure": "how size is counted: parameters, or operations per image",
}

ARMS: Final = {
    "arm_gains": {
        **CONTRAST,
        **_ARMS,
        **_DATA,
        "joint_score": "unit-free score of the joint model, mean over seeds",
        "base_score": "unit-free score of the base model, mean over seeds",
        "gain": "joint minus base; positive favours the joint aggregation",
        **_INTERVAL,
        "p_loss": "one-sided p of a loss as large as the margin",
        "p_loss_adjusted": "the same, corrected",
        "verdict": "harm, benefit, no meaningful loss, undecided, or same model",
        "exceeds_margin": "a benefit that is shown to be larger than the margin: its adjusted interval lies above it",
        "supported_margin": "smallest margin for which the data support `no meaningful loss`",
        "learned_nothing": "neither model's mean is above its floor, so that the verdict is undecided",
        "base_improving": "the base model was still improving when its training ended; missing if unknown",
        "runs": "runs behind it",
    },
    "arm_changes": {
        **_KIND,
        **CONTRAST,
        **_ARMS,
        **_DATA,
        "in_arm": "gain in the arm; for the effect of an arm the score",
        "in_base_arm": "the same in the base arm",
        "change": "in the arm minus in the base arm",
        **_INTERVAL,
        "p_equivalent": "larger one-sided p of a rise and a fall as large as the margin",
        "p_equivalent_adjusted": "the same, corrected",
        "verdict": "larger, smaller, no meaningful change, undecided, or same model (all runs are shared)",
        "learned_nothing": "no model's mean is above its floor, so that the verdict is undecided",
        "base_improving": "a base model was still improving when its training ended; missing if unknown",
        "runs": "runs behind it, without those that both arms share and that cancel",
    },
    "arm_means": {
        **_KIND,
        **CONTRAST,
        **_ARMS,
        "level": "overall, type or group",
        "name": "which type or group; all for overall",
        "tasks": "tasks in the mean",
        "same_model": "tasks left out because the runs are the same",
        "learned_nothing": "tasks in the mean of which no model's mean is above the floor",
        "base_improving": "tasks in the mean whose base was still improving",
        "gain": "mean gain, difference of gains or effect over tasks, on the unit-free score",
        "low": "lower 95 % limit",
        "high": "upper 95 % limit",
        "p": "two-sided p, for these very tasks",
        "gaining": "tasks in the mean whose estimate is above 0",
        "median": "median over tasks",
        "low_new": "lower 95 % limit of the median of tasks of this kind, the tasks being a sample",
        "high_new": "upper 95 % limit of the median of tasks of this kind",
        "p_new": "two-sided p of a median of 0 in tasks of this kind",
        "sd_tasks": "standard deviation over tasks",
    },
    "capacity": {
        **_TREND,
        "level": "task or pooled",
        "name": "task id, all, or a task type",
        "type": "task type; all for pooled",
        "group": "clinical group; all for pooled",
        "tasks": "tasks",
        "arms": "arms that the line goes through",
        "slope": "change of gain per doubling of the model's size",
        "low": "lower 95 % limit of the slope",
        "high": "upper 95 % limit of the slope",
        "p": "two-sided p of no slope",
        "size_min": "smallest size seen",
        "size_max": "largest size seen",
        "base_improving": "a base model was still improving in one of the arms",
    },
    "capacity_gains": {
        **_TREND,
        "arm": "arm",
        "size": "size of the joint model, geometric mean over tasks",
        "tasks": "tasks in the mean, the same in every arm",
        "gain": "mean gain over these tasks in the arm",
        "low": "lower 95 % limit",
        "high": "upper 95 % limit",
    },
    "capacity_line": {
        **_TREND,
        "size": "size of the joint model",
        "fit": "gain on the pooled line",
        "low": "lower limit of the 95 % band",
        "high": "upper limit of the 95 % band",
    },
}
