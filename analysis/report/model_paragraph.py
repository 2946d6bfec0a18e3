"""What the methods say of the model and its training: the parts that the settings imply, and how a run is trained.

What the model is made of depends on the recipe, too: of tables that do not say theirs, or have an older one, only what
the settings name is said.
"""

import math
from collections.abc import Mapping
from typing import Any

from aggregation_lab.aggregation import ARROW
from aggregation_lab.config import ALLOWED_NOISE, COOLDOWN, MOST_BUDGETS
from aggregation_lab.run import JOINT_CONVERGENCE_RECIPE, SHARED_MAPS_RECIPE
from aggregation_lab.tasks import TaskType, find_type
from aggregation_lab.text import enumerated, exact_per_cent
from analysis.report.citation import PAPER
from analysis.report.words import joined, sentence, setting
from analysis.study import StudyTables

_EXPERTS = ("model.moe.experts", "model.moe.kind", "model.moe.blocks")

IMAGE_PATH = (
    "a convolutional image path (four convolutions of stride 2 and three residual units; 32, 64 and 96 channels at "
    "strides 4, 8 and 16)"
)
AUGMENTATION = (
    "Training images are scaled by up to 15\u00a0%, shifted by up to 8\u00a0% of their side, and changed in contrast "
    "by up to 25\u00a0% and in brightness by up to 10\u00a0% of the range, all at random and with their targets"
)


def has_shared_maps(recipe: int | None) -> bool:
    """Whether models surely had the image path, the maps that heads share, and heads and losses as they are now."""
    return recipe is not None and recipe >= SHARED_MAPS_RECIPE


def task_types(study: StudyTables) -> list[TaskType]:
    """The known types of the study's tasks, by name."""
    return list(filter(None, map(find_type, sorted(set(study.scores["type"])))))


def model(study: StudyTables) -> str:
    """Encoder, experts, and what stands beside and behind them; empty where the settings do not name an encoder."""
    settings = study.manifest.settings
    named = sentence(
        settings, f"M2DINO ({PAPER}) with the encoder {{}}, {{}} weights", "model.encoder", "model.weights"
    )
    if not named:
        return ""
    has_experts = bool(setting(settings, _EXPERTS[0]))
    experts = sentence(settings, " and {} experts ({}) in its last {} blocks", *_EXPERTS) if has_experts else ""
    top = setting(settings, "model.moe.top_k")
    kept = f", of which each token uses the {top} with the largest gates" if has_experts and top else ""
    said = [f"The model is {named}{experts}{kept}."]
    if setting(settings, "model.frozen_blocks"):
        said.append(sentence(settings, "The first {} blocks keep the weights they start with.", "model.frozen_blocks"))
    if setting(settings, "model.drop_path"):
        said.append(sentence(settings, "Stochastic depth has a rate of {:g}.", "model.drop_path"))
    if has_shared_maps(study.manifest.recipe):
        said += [_maps(settings, has_experts), _heads(study)]
    return joined(said)


def _maps(settings: Mapping[str, Any], is_plain_vit: bool) -> str:
    """Image path and pyramid. Only plain ViTs have experts; of another model the encoder alone tells, which is not
    built here."""
    where = (
        "Beside it" if is_plain_vit else "Where the encoder has no maps at strides 4, 8 and 16 of its own, beside it"
    )
    whose = "the encoder's map and those of the path" if is_plain_vit else "these maps"
    pyramid = sentence(
        settings,
        f"A feature pyramid (Lin et al. 2017) fuses {whose} to {{}} channels, which all tasks of a unit share.",
        "model.head_width",
    )
    return joined([f"{where} stands {IMAGE_PATH}, from a random start.", pyramid])


def _heads(study: StudyTables) -> str:
    heads = [f"{task_type}: {task_type.taught}" for task_type in task_types(study) if task_type.taught]
    return f"Each task has a head of its own; heads and losses by type: {'; '.join(heads)}." if heads else ""


def length(study: StudyTables) -> str:
    """Whether runs were trained to their budget or until they had converged, and by which rule."""
    settings, recipe, done = study.manifest.settings, study.manifest.recipe, lifted_passes(study)
    named = f" (passes of all runs: {done})" if done else ""
    if setting(settings, "training.until") != "converged":
        small = (
            f", but more often in units so small that this takes fewer than {{}} steps, which get as many{named}."
            if done != ""
            else ", with at least {} steps per unit, which none falls short of."
        )
        rule = f"Runs end at a matched budget: every training image is seen {{:g}} times in every aggregation{small}"
        return sentence(settings, rule, "training.passes", "training.min_steps")
    cap = setting(settings, "training.most_passes") or MOST_BUDGETS * settings["training"]["passes"]
    allowed = ""
    if recipe is not None and recipe >= JOINT_CONVERGENCE_RECIPE:
        noise = f"by {ALLOWED_NOISE:g} ln(k) standard deviations of its single scores more"
        allowed = f" (in units of k tasks: {noise}, nor their mean by as much as one task alone)"
    small = "; units that this least number of steps lifts have a cap lifted alike" if done != "" else ""
    return sentence(
        settings,
        "Every unit is trained until it has converged, so compute is not matched: at a constant learning rate until "
        "every training image has been seen {:g} times, with at least {} steps, and on until the unit-free validation "
        f"score of none of its tasks (best running median of three) has risen by more than {{:g}}{allowed} over the "
        "last {:.0%} of the passes done; then the learning rate falls linearly to zero over a further "
        f"1/{COOLDOWN} of the steps, {cap:g} passes in all at most{small}{named}.",
        "training.passes",
        "training.min_steps",
        "training.rise",
        "training.patience",
    )


def lifted_passes(study: StudyTables) -> str | None:
    """Fewest and most passes of the runs of each aggregation, where `min_steps` lifts one of them: `TS 8.0 to 106.7`;
    empty where it lifts none, None where that is not known. Second stages have a length of their own."""
    training = study.manifest.settings.get("training", {})
    passes, least, images = (training.get(name) for name in ("passes", "min_steps", "batch_size"))
    if study.runs is None or study.runs.empty or None in (passes, least, images):
        return None
    runs = study.runs[~study.runs["aggregation"].str.contains(ARROW, regex=False)]
    cases = (runs["images_seen"] / runs["passes"]).round()
    if not ((passes * cases / images).map(math.ceil) < least).any():
        return ""
    spans = runs.groupby("aggregation")["passes"].agg(["min", "max"])
    named = [name for name in study.aggregations if name in spans.index]
    return ", ".join(f"{name} {_span(*spans.loc[name])}" for name in named)


def _span(low: float, high: float) -> str:
    shown = [f"{low:.1f}", f"{high:.1f}"]
    return " to ".join(dict.fromkeys(shown))


def optimisation(study: StudyTables) -> list[str]:
    """Optimiser, learning rate, clipping, weights of losses and augmentation, as far as settings name them."""
    settings = study.manifest.settings
    said = [
        sentence(
            settings,
            "AdamW with a peak learning rate of {:g}, weight decay {:g}, {} images per step; {} sampling of tasks.",
            "training.learning_rate",
            "training.weight_decay",
            "training.batch_size",
            "training.sampling",
        ),
        _rate(settings),
        sentence(settings, "Gradients are clipped to a norm of {:g}.", "training.clip_norm"),
    ]
    if weights := setting(settings, "training.loss_weights"):
        named = enumerated([f"{task} {weight:g}" for task, weight in weights.items()])
        said.append(f"Losses are weighted by task: {named}, others 1.")
    said.append(_augmentation(study))
    return said


def _rate(settings: Mapping[str, Any]) -> str:
    share, slower = (setting(settings, f"training.{name}") for name in ("warmup", "encoder_rate"))
    if share is None:
        return ""
    if setting(settings, "training.until") == "converged":
        rise = f"The learning rate rises linearly over the first {exact_per_cent(share)} of the least steps"
    else:
        rise = (
            f"The learning rate rises linearly over the first {exact_per_cent(share)} of the steps and falls to zero "
            "by a cosine"
        )
    encoder = f"; the encoder has {slower:g} times this rate" if slower not in (None, 1) else ""
    return f"{rise}{encoder}."


def _augmentation(study: StudyTables) -> str:
    augments = setting(study.manifest.settings, "training.augment")
    if augments is None:
        return ""
    if not augments:
        return "Training images are not augmented."
    mirrored = [str(task_type) for task_type in task_types(study) if task_type.mirrors]
    half = f"; of {enumerated(mirrored)} tasks half are mirrored, but for targets that tell left from right"
    return f"{AUGMENTATION}{half if mirrored else ''}."
