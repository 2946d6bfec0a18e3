"""Columns of the frames on single test cases."""

from typing import Final

from analysis.frames.shared import CONTRAST, TASK

CASES: Final = {
    "case_gains": {
        **CONTRAST,
        **TASK,
        "case": "test case",
        "subject": "patient, video or image it comes from",
        "score": "what the scores of its cases are, such as DSC; of a classification the probability of the true "
        "class, because AUC has no value for one case",
        "joint_score": "score under the joint aggregation, mean over seeds",
        "base_score": "score under the base aggregation, mean over the same seeds",
        "gain": "joint minus base, positive where the case gains; no verdict is made from it",
        "seeds": "paired seeds that have tested the case: all of them, or with rotating folds those of its fold",
        "shown_seed": "seed whose gain of the case is nearest to the mean: pictures show its predictions",
        "class": "class of the case, or structures that it shows, joined by +; empty where there is none",
        "source": "folder of its image in the data folder; empty where the case's name says none",
        "image_size": "diagonal of its image in pixels; missing where images were not looked at",
        "target_size": "share of the image that the target covers; missing where images were not looked at, or the "
        "target has no extent",
    },
    "case_parts": {
        **CONTRAST,
        **TASK,
        "by": "what the cases are parted by: class, source, target_size or image_size",
        "name": "the part: a class, a folder, or a third of the sizes with its bounds",
        "cases": "test cases of the part",
        "subjects": "subjects they come from",
        "mean": "mean gain of its cases",
        "median": "median gain",
        "low_decile": "gain that a tenth of its cases stay below",
        "high_decile": "gain that a tenth of its cases are above",
        "losing": "share of its cases that lose",
    },
}
