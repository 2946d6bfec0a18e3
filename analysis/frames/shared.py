"""Columns that several frames have, and what they mean."""

from typing import Final

SIDES: Final = {
    "contrast": "joint aggregation minus base",
    "joint": "joint aggregation",
    "base": "aggregation it is compared with",
}
CONTRAST: Final = {**SIDES, "fraction": "share of the training components"}
TASK: Final = {"task": "task id", "type": "task type", "group": "clinical group"}
GAIN: Final = {
    "gain": "mean gain on the unit-free score; positive favours the joint aggregation",
    "low": "lower 95 % limit",
    "high": "upper 95 % limit",
}
