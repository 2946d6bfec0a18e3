"""Arms in a study file: variants by dotted path, what they share, and what is refused."""

import re
from pathlib import Path

import pytest
import yaml

from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.errors import StudyError
from runners.planning.plan import Label, PlannedRun, plan_runs, select
from runners.planning.study_file import parse_study, read_study_file
from tests.tiny import STUDY, write_study

PLAIN = {"model.moe.experts": 0}
WIDE = {"aggregations": ["TS"], "model.encoder": "vit_small_patch16_dinov3"}


def study_of(**changes):
    return parse_study(STUDY | {"data": {}} | changes, "study.yaml")


def plan(dataset, **changes) -> list[PlannedRun]:
    return plan_runs(study_of(**changes), dataset, draw_folds(dataset, 1))


def fault(tmp_path: Path, **changes) -> str:
    """The one line that a study file gives."""
    with pytest.raises(StudyError) as error:
        read_study_file(write_study(tmp_path / "study.yaml", **changes))
    text = str(error.value)
    assert "\n" not in text
    return text.removeprefix(f"{tmp_path / 'study.yaml'}: ")


def test_an_arm_is_the_study_with_a_few_changes():
    study = study_of(arms={"plain": PLAIN, "main": {}, "wide": WIDE})
    assert list(study.variants) == ["plain", "main", "wide"] and study.base_arm == "plain"
    plain, main, wide = study.variants.values()
    assert main.model == study.model and main.training == plain.training == study.training
    assert plain.model == study.model.model_copy(update={"moe": study.model.moe.model_copy(update={"experts": 0})})
    assert wide.aggregations == ("TS",) and wide.model.head_width == study.model.head_width


def test_a_study_without_arms_is_one_arm():
    study = study_of()
    assert list(study.variants) == ["main"] and study.base_arm == "main"
    assert not {"arms", "reference", "compare"} & study.model_dump(mode="json").keys()


@pytest.mark.parametrize("mode", ["json", "python"])
def test_a_study_with_arms_is_read_back_as_it_was(mode):
    converged = STUDY["training"] | {"until": "converged", "rise": 0.02}
    arms = {"plain": PLAIN, "budget": {"training.until": "budget", "training.rise": None}, "wide": WIDE}
    study = study_of(training=converged, arms=arms, compare={"base": {"aggregation": "CG", "arm": "budget"}})
    again = parse_study(study.model_dump(mode=mode), "again")
    assert again == study and list(again.variants) == list(study.variants)


def test_an_empty_value_is_the_default_and_a_section_is_set_as_a_whole():
    study = study_of(
        model=STUDY["model"] | {"drop_path": 0.1, "moe": {"experts": 2, "kind": "copy", "top_k": 1}},
        arms={
            "calm": {"model.drop_path": None},
            "plain": {"model.moe": {"experts": 0}},
            "short": {"training.passes": None},
        },
    )
    assert study.variants["calm"].model.drop_path == 0 and study.variants["calm"].model.moe == study.model.moe
    assert study.variants["plain"].model.moe.top_k is None and study.variants["plain"].model.drop_path == 0.1
    assert study.variants["short"].training.passes == 1  # what budget: smoke sets


def test_the_name_of_an_arm_is_no_part_of_a_run(tiny_dataset):
    alone = {run.labels[0][:2]: run.id for run in plan(tiny_dataset)}
    among = plan(tiny_dataset, arms={"other": {}, "plain": PLAIN})
    assert {run.labels[0][:2]: run.id for run in among if run.labels[0].arm == "other"} == alone
    assert len(among) == 2 * len(alone) and len({run.id for run in among}) == len(among)


def test_what_two_arms_share_is_trained_once(tiny_dataset):
    """A weight of the loss that a unit lacks is no part of its run."""
    weighted = {"training.loss_weights": {"tiny_kind": 2.0}}
    runs = plan(tiny_dataset, arms={"main": {}, "weighted": weighted})
    by_label = {label: run for run in runs for label in run.labels}
    assert by_label["TS", "tiny_head", "main"] is by_label["TS", "tiny_head", "weighted"]
    assert by_label["AU", "all", "main"] is not by_label["AU", "all", "weighted"]
    assert by_label["TS", "tiny_kind", "main"] is not by_label["TS", "tiny_kind", "weighted"]
    assert "main/TS/tiny_head = main/CG/tiny_head = weighted/TS/tiny_head" in by_label["TS", "tiny_head", "main"].title


def test_an_arm_may_be_of_some_aggregations(tiny_dataset):
    runs = plan(tiny_dataset, arms={"main": {}, "wide": WIDE})
    wide = [run for run in runs if run.labels[0].arm == "wide"]
    assert {label.aggregation for run in wide for label in run.labels} == {"TS"} and len(wide) == len(
        tiny_dataset.tasks
    )
    assert all(run.spec.model.encoder == WIDE["model.encoder"] for run in wide)


def test_arms_may_see_images_of_other_sizes(tiny_dataset):
    study = study_of(arms={"main": {}, "fine": {"training.image_size": 64}})
    assert study.image_sizes == [32, 64]


@pytest.mark.parametrize(
    ("pattern", "arms"),
    [
        ("TS/*", {"main", "wide"}),
        ("wide", {"wide"}),
        ("wide/*", {"wide"}),
        ("main/TS", {"main"}),
        ("wide/TS/tiny_head/f1/s0", {"wide"}),
        ("tiny_head", {"main", "wide"}),
    ],
)
def test_a_pattern_may_name_the_arm(tiny_dataset, pattern, arms):
    chosen = select(plan(tiny_dataset, arms={"main": {}, "wide": WIDE}), [pattern])
    assert {label.arm for run in chosen for label in run.labels} == arms


def test_a_plan_of_one_arm_is_written_as_before(tiny_dataset):
    one, several = plan(tiny_dataset)[0], plan(tiny_dataset, arms={"main": {}, "wide": WIDE})[0]
    assert one.to_json()["labels"][0] == ["TS", one.labels[0].unit] and "main" not in one.title
    assert several.to_json()["labels"][0] == ["TS", several.labels[0].unit, "main"]
    assert all(PlannedRun.from_json(run.to_json()) == run for run in (one, several))


FAULTS = {
    "unknown section": ({"modell.encoder": "x"}, "arms.a.modell: unknown field; did you mean model?"),
    "unknown field": ({"model.encodr": "x"}, "arms.a.model.encodr: unknown field; did you mean encoder?"),
    "unknown field reset": ({"model.encodr": None}, "arms.a.model.encodr: unknown field; did you mean encoder?"),
    "unknown deeper": ({"model.moe.expert": 0}, "arms.a.model.moe.expert: unknown field; did you mean experts?"),
    "not of an arm": ({"seeds": 3}, "arms.a.seeds: unknown field; it takes aggregations, model, training"),
    "nothing that is no field": (0, "arms.a: got 0, it takes fields, each `name: value`"),
    "no fields": (3, "arms.a: got 3, it takes fields, each `name: value`"),
    "unknown encoder": ({"model.encoder": "vit_x"}, "arms.a.model.encoder: unknown"),
    "value": ({"training.passes": "many"}, "arms.a.training.passes: got 'many', it takes"),
    "below a value": ({"model.encoder.size": 3}, "arms.a.model.encoder: got {'size': 3}, it takes text"),
    "aggregation": ({"aggregations": ["XX"]}, "arms: a.aggregations holds XX; the study has TS, CG, AU"),
    "no aggregation": ({"aggregations": []}, "arms.a.aggregations: got [], it takes at least one entry"),
    "frozen": ({"model.frozen_blocks": 3, "model.weights": "hub"}, "arms.a.training: augment must be false"),
}


@pytest.mark.parametrize(("changes", "line"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_an_arm_names_its_field(tmp_path, changes, line):
    assert fault(tmp_path, arms={"a": changes}).startswith(line)


NAMES = {
    "aggregation": (["TS"], "arms: TS reads as the aggregation TS; choose another name"),
    "floor": (["Floor"], "arms: Floor reads as the name of the trivial predictors; choose another name"),
    "capitals": (["ab", "AB"], "arms: ab differs from AB in capitals alone; choose another name"),
    "blank": (["a b"], "arms.a b: got 'a b', it takes letters, digits, dots, dashes and underscores"),
    "path": (["../a"], "arms.../a: got '../a', it takes letters, digits, dots, dashes and underscores"),
}


@pytest.mark.parametrize(("names", "line"), NAMES.values(), ids=NAMES)
def test_a_name_that_means_something_else_is_refused(tmp_path, names, line):
    assert fault(tmp_path, arms={name: {} for name in names}) == line


def test_a_fault_of_the_study_is_reported_once(tmp_path):
    lines = fault(tmp_path, model={"encoder": 3}, arms={"a": {}, "b": PLAIN})
    assert lines == "model.encoder: got 3, it takes text; put it in quotes"


@pytest.mark.parametrize(
    ("base", "line"),
    [
        ({"arm": "plian"}, "compare: base.arm is plian; the study has plain, wide"),
        ({"aggregation": "BU"}, "compare: base.aggregation is BU; the study has TS, CG, AU"),
        ({"aggregation": "CG", "arm": "wide"}, "compare: base: the arm wide is not trained under CG"),
        ({"fraction": 1}, "compare.base.fraction: unknown field; it takes aggregation, arm"),
    ],
)
def test_a_base_that_nothing_is_compared_with_is_refused(tmp_path, base, line):
    assert fault(tmp_path, arms={"plain": PLAIN, "wide": WIDE}, compare={"base": base}) == line


@pytest.mark.parametrize(
    "arms", [{"a": {}, "b": {}}, {"a": {}, "b": {"aggregations": ["TS"]}}, {"b": {"aggregations": ["TS"]}, "a": {}}]
)
def test_an_arm_that_adds_no_run_is_refused(tiny_dataset, arms):
    with pytest.raises(StudyError, match=r"arms\.b: needs the same runs as a in every unit"):
        plan(tiny_dataset, arms=arms)


def test_two_arms_that_differ_in_nothing_that_is_trained_are_refused(tiny_dataset):
    one_by_one = {"aggregations": ["TS"], "training.loss_weights": {"tiny_kind": 1.0}}
    weighted = {"aggregations": ["TS"], "training.loss_weights": {"tiny_kind": 1.0}, "model.moe.experts": 4}
    with pytest.raises(StudyError, match=r"arms\.b: needs the same runs as a"):
        plan(tiny_dataset, arms={"a": one_by_one, "b": weighted})


def test_weights_of_an_arm_start_at_the_study_file(tmp_path):
    (tmp_path / "other.pt").write_bytes(b"x")
    file = write_study(tmp_path / "study.yaml", arms={"a": {}, "b": {"model.weights": "other.pt"}})
    path = re.escape(str(tmp_path / "other.pt"))
    with pytest.raises(StudyError, match=rf"arms\.b\.model\.weights: {path} is not a checkpoint of weights"):
        read_study_file(file)


def test_a_package_that_an_arm_lacks_is_named_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr("aggregation_lab.method_names.find_spec", lambda name: None)
    file = write_study(tmp_path / "study.yaml", arms={"a": {}, "b": {"training.aggregator": "pcgrad"}})
    with pytest.raises(
        StudyError, match=r"arms\.b\.training\.aggregator: pcgrad needs torchjd, which is not installed"
    ):
        read_study_file(file)


def test_a_checkpoint_that_arms_share_is_read_once(tiny_dataset, monkeypatch):
    read = []
    monkeypatch.setattr("runners.planning.plan.weights_digest", lambda weights: read.append(weights) or "")
    plan(tiny_dataset, arms={"a": {}, "b": PLAIN})
    assert read == ["random"]


def test_tasks_in_an_arm_are_those_of_the_data(tiny_dataset):
    with pytest.raises(
        StudyError, match=r"arms\.a\.training\.loss_weights: unknown task tiny_hed; did you mean tiny_head"
    ):
        plan(tiny_dataset, arms={"a": {"training.loss_weights": {"tiny_hed": 2.0}}})


def test_a_reference_is_an_arm_of_its_own_under_ts(tiny_dataset):
    changes = {"reference": "vit_small_patch16_dinov3", "model": STUDY["model"] | {"drop_path": 0.1}}
    study = study_of(**changes)
    reference = study.variants["vit_small_patch16_dinov3"]
    assert list(study.variants) == ["main", "vit_small_patch16_dinov3"] and study.base_arm == "main"
    assert reference.aggregations == ("TS",) and reference.training == study.training
    assert (reference.model.moe.experts, reference.model.drop_path) == (0, 0) and reference.model.head_width == 8
    assert {run.id for run in plan(tiny_dataset, model=changes["model"])} < {
        run.id for run in plan(tiny_dataset, **changes)
    }


def test_a_reference_may_be_an_arm_of_the_study():
    study = study_of(arms={"wide": WIDE, "main": {}}, reference="wide")
    assert list(study.variants) == ["wide", "main"] and study.base_arm == "main"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"reference": "resnet19x"}, "reference: unknown"),
        ({"reference": "CG"}, "reference: CG reads as the aggregation CG; choose another name"),
        ({"reference": 18}, "reference: got 18, it takes text; put it in quotes"),
        (
            {"reference": "vit_small_patch16_dinov3", "aggregations": ["AU"]},
            "reference: is compared with TS, which the study does not train; add TS to aggregations",
        ),
        (
            {"reference": "a", "arms": {"main": {}, "a": PLAIN | {"aggregations": ["AU"]}}},
            "reference: a is an arm that is not trained under TS; add TS to its aggregations",
        ),
        (
            {"reference": "a", "arms": {"a": PLAIN}},
            "reference: a is the only arm; add the one that it is compared with, such as main: {}",
        ),
        (
            {"reference": "vit_small_patch16_dinov3", "model": STUDY["model"] | {"weights": "mine.pt"}},
            "reference: vit_small_patch16_dinov3 cannot start from model.weights, a checkpoint of another encoder; "
            "name an arm that has weights of its own",
        ),
    ],
)
def test_a_reference_that_cannot_stand_beside_ts_is_refused(tmp_path, changes, line):
    assert fault(tmp_path, **changes).startswith(line)


def test_the_label_of_a_run_is_read_from_older_plans():
    assert Label(*["TS", "lung"]) == Label("TS", "lung", "") and Label("TS", "lung").model == "TS"
    assert Label("TS", "lung", "wide").model == "wide/TS"


def test_arms_are_written_in_the_order_of_the_file(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY, sort_keys=False) + "arms:\n  zeta: {}\n  alpha: {model.moe.experts: 0}\n")
    assert list(read_study_file(file).variants) == ["zeta", "alpha"]
