"""What a plan says of settings that are not what their writer may take them for: they are not used, an arm has lost
them, two fractions are the same data, or clinical groups are not known."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from aggregation_lab.aggregation import ARROW
from aggregation_lab.config import ModelConfig, TrainingConfig
from aggregation_lab.config_fields import Config
from aggregation_lab.tasks.challenge import CHALLENGE_TASKS
from aggregation_lab.text import listed, printable
from runners.planning.encoder_names import checkpoint_note
from runners.planning.study_schema import BUDGETS, Study

if TYPE_CHECKING:
    from aggregation_lab.data.challenge import Dataset
    from aggregation_lab.data.splits.folds import Folds

_NAMED = 5


def unused_lines(study: Study) -> tuple[str, ...]:
    """A line for every field that was set and is not used, because another field says otherwise.

    An arm that has from the study what another arm uses is not named.
    """
    lines = list[str]()
    if study.data.split is not None and _is_set(study.data, "shares"):
        lines.append("data.shares is not used: data.split says which case is in which part")
    variants = [(f"arms.{name}.", arm.model, arm.training) for name, arm in study.arms.items()]
    variants = variants or [("", study.model, study.training)]
    fields = [(where, *field) for where, model, training in variants for field in _fields(model, training)]
    used = {(name, value) for _, name, value, why_not in fields if not why_not}
    lines += [
        f"{where}{name} is not used: {why_not}"
        for where, name, value, why_not in fields
        if why_not and (name, value) not in used
    ]
    return tuple(lines)


def _fields(model: ModelConfig, training: TrainingConfig) -> Iterator[tuple[str, object, str]]:
    """Fields with another value than their default that depend on another field: name, value, and why it is not used,
    empty where it is."""
    if _is_set(training, "temperature"):
        other = f"training.sampling is {training.sampling}, not temperature"
        yield "training.temperature", training.temperature, "" if training.sampling == "temperature" else other
    for name in ("kind", "blocks"):
        if _is_set(model.moe, name):
            without = "" if model.moe.experts else "model.moe.experts is 0"
            yield f"model.moe.{name}", getattr(model.moe, name), without


def lost_lines(study: Study) -> tuple[str, ...]:
    """A line for every arm that differs from the study not only in a field that it gives, but also in fields that the
    study sets and the arm does not: those of a section that it names, which is set as a whole."""
    lines = []
    for name, arm in study.arms.items():
        lost, others = [], 0
        for section, own, whole in (("model", arm.model, study.model), ("training", arm.training, study.training)):
            for field in type(own).model_fields:
                value, known = getattr(own, field), getattr(whole, field)
                if value == known:
                    continue
                preset = BUDGETS[study.budget].get(field) if section == "training" else None
                is_lost = value == preset if preset is not None else field not in own.model_fields_set
                others += not is_lost
                if is_lost:
                    lost.append(f"{section}.{field} {_shown(value)}, not {_shown(known)}")
        if lost and others:
            what = f"arms.{name} has the default of what the study sets: {listed(lost, _NAMED)}"
            lines.append(f"{what}; a section in an arm is set as a whole, a path such as training.passes is one field")
    return tuple(lines)


def checkpoint_lines(study: Study) -> tuple[str, ...]:
    """A line for every arm of which a local checkpoint fits a part only; one for several arms of the same note."""
    arms: dict[str, list[str]] = {}
    for name, arm in study.variants.items():
        if note := checkpoint_note(arm.model, arm.training):
            arms.setdefault(note, []).append(name)
    several = len(study.variants) > 1
    return tuple(f"arm {listed(names, _NAMED)}: {note}" if several else note for note, names in arms.items())


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else printable(str(value), 40)


def _is_set(section: Config, name: str) -> bool:
    """Whether a field has another value than its default; a study read back from its folder has all fields."""
    return getattr(section, name) != type(section).model_fields[name].default


def compares_groups(study: Study) -> bool:
    """Whether CG is among the aggregations, or a stage of one."""
    return any("CG" in name.split(ARROW) for name in study.aggregations)


def unknown_group_lines(groups: Mapping[str, str], dataset: "Dataset") -> tuple[str, ...]:
    """A line for tasks of which neither `groups`, nor their CSV, nor the challenge knows the clinical group."""
    alone = [name for name, task in dataset.tasks.items() if task.group == name]
    unknown = [printable(name, 60) for name in alone if name not in groups and name not in CHALLENGE_TASKS]
    if not unknown:
        return ()
    return (
        f"no clinical group is known of {listed(unknown, _NAMED)}: each is a group by itself, so its CG model is its "
        "TS model; name groups in data.groups",
    )


def equal_fraction_lines(study: Study, folds: "Folds", dataset: "Dataset") -> tuple[str, ...]:
    """A line for two fractions at which tasks have the very same training cases, of the first fold that has such."""
    lines: dict[str, str] = {}
    for split in folds.splits:
        placed = dataset.cases[["case", "task"]].merge(split.table, on="case")
        ranks = placed[placed["split"] == "train"].groupby("task")["rank"]
        for smaller, larger in zip(study.fractions, study.fractions[1:], strict=False):
            same = [str(task) for task, rank in ranks if not rank.between(smaller, larger, inclusive="left").any()]
            both = f"fractions {smaller:g} and {larger:g}"
            if same:
                tasks = listed([printable(task, 60) for task in same], _NAMED)
                lines.setdefault(both, f"{both} are the same training cases in {len(same)} task(s): {tasks}")
    return tuple(lines.values())
