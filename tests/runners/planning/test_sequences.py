"""Sequential aggregations in a study file: what AU>TS makes of a plan, what it leaves alone, and what is refused."""

from pathlib import Path

import pytest

from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.errors import StudyError
from aggregation_lab.run import RunSpec
from runners.planning.cost import makespan
from runners.planning.plan import PlannedRun, plan_runs, select
from runners.planning.study_file import parse_study, read_study_file
from tests.tiny import STUDY, write_study

HEADS = ("tiny_head", "tiny_head_axis", "tiny_head_det")
PLAIN = {"model.moe.experts": 0}
MINE = {"mine": {"masks": ["tiny_head", "tiny_kind"], "others": ["tiny_head_axis", "tiny_head_det"]}}


@pytest.fixture(scope="module")
def dataset(tiny_original) -> Dataset:
    """The heads are a group, the kind is one by itself."""
    return read_dataset(tiny_original, groups=STUDY["data"]["groups"])


def study_of(**changes):
    return parse_study(STUDY | changes, "study.yaml")


def plan(dataset, **changes) -> list[PlannedRun]:
    return plan_runs(study_of(**changes), dataset, draw_folds(dataset, 1))


def by_label(runs: list[PlannedRun]) -> dict[tuple[str, str, int], PlannedRun]:
    return {(label.aggregation, label.unit, run.spec.seed): run for run in runs for label in run.labels}


def fault(tmp_path: Path, **changes) -> str:
    """The one line that a study file gives."""
    with pytest.raises(StudyError) as error:
        read_study_file(write_study(tmp_path / "study.yaml", **changes))
    text = str(error.value)
    assert "\n" not in text
    return text.removeprefix(f"{tmp_path / 'study.yaml'}: ")


def test_every_unit_starts_from_the_unit_that_holds_it_at_its_seed(dataset):
    runs = by_label(plan(dataset, aggregations=["AU>TS", "TS", "AU", MINE, "mine>TS", "TS>TS"], seeds=[3, 5]))
    for seed in (3, 5):
        for task in (*HEADS, "tiny_kind"):
            assert runs["AU>TS", task, seed].start == runs["AU", "all", seed].id
            assert runs["TS>TS", task, seed].start == runs["TS", task, seed].id
            assert runs["AU>TS", task, seed].spec.tasks == runs["TS", task, seed].spec.tasks
        assert runs["mine>TS", "tiny_kind", seed].start == runs["mine", "masks", seed].id
        assert runs["mine>TS", "tiny_head_det", seed].start == runs["mine", "others", seed].id
    ids = [run.id for run in runs.values()]
    assert len(ids) == len(set(ids)) == 2 * (4 + 1 + 2 + 3 * 4)


def test_the_runs_that_were_there_before_keep_their_ids(dataset):
    before = {run.id: run.labels for run in plan(dataset)}
    after = {run.id: run.labels for run in plan(dataset, aggregations=["TS", "CG", "AU", "AU>TS"])}
    assert {run: after[run] for run in before} == before and len(after) == len(before) + 4


def test_a_start_comes_before_the_runs_that_start_from_it(dataset):
    runs = plan(dataset, aggregations=["AU>TS", "AU", "TS"])
    places = {run.id: place for place, run in enumerate(runs)}
    assert all(places[run.start] < places[run.id] for run in runs if run.start)
    assert sum(run.start is not None for run in runs) == 4


def test_first_stages_alone_leave_weights_whatever_the_study_keeps(dataset):
    for keep in ({}, {"keep": {"models": "best"}}):
        runs = plan(dataset, aggregations=["TS", "CG", "AU", "AU>TS"], **keep)
        leaving = {run.labels[0].aggregation for run in runs if "last" in run.leaves.models}
        assert leaving == {"AU"} and not any("last" in run.keep.models for run in runs)
        assert [PlannedRun.from_json(run.to_json()).leaves for run in runs] == [run.leaves for run in runs]


def test_what_two_sequences_share_is_trained_once(dataset):
    """Under CG the kind is a unit of its own: its model is that of TS, and so is what starts from it."""
    runs = by_label(plan(dataset, aggregations=["TS", "CG", "CG>TS", "TS>TS"]))
    assert runs["CG>TS", "tiny_kind", 0] is runs["TS>TS", "tiny_kind", 0]
    assert runs["CG>TS", "tiny_head", 0] is not runs["TS>TS", "tiny_head", 0]


def test_an_arm_that_changes_joint_runs_shares_the_others(dataset):
    arms = {"main": {}, "weighted": {"training.weighting": "uncertainty"}}
    runs = plan(dataset, aggregations=["TS", "AU", "AU>TS", "TS>TS"], arms=arms)
    of = {label: run for run in runs for label in run.labels}
    assert of["TS", "tiny_kind", "main"] is of["TS", "tiny_kind", "weighted"]
    assert of["TS>TS", "tiny_kind", "main"] is of["TS>TS", "tiny_kind", "weighted"]
    first, second = (of["AU>TS", "tiny_kind", arm] for arm in arms)
    assert first.id != second.id and first.spec.training == second.spec.training
    assert (first.start, second.start) == tuple(of["AU", "all", arm].id for arm in arms)


def test_the_second_stage_is_trained_as_the_study_says(dataset):
    runs = by_label(
        plan(
            dataset,
            aggregations=["TS", "AU", "AU>TS"],
            specialise={"passes": 2.0, "learning_rate": 1e-4, "min_steps": None},
        )
    )
    second, single = (runs[name, "tiny_kind", 0].spec.training for name in ("AU>TS", "TS"))
    assert (second.passes, second.learning_rate, second.min_steps) == (2.0, 1e-4, 4)  # 4 is what budget: smoke sets
    changed = {"passes": 2.0, "learning_rate": 1e-4, "min_steps": 4}
    assert second.model_dump() == single.model_dump() | changed
    assert runs["TS", "tiny_kind", 0].id == by_label(plan(dataset))["TS", "tiny_kind", 0].id


def test_the_spec_of_a_second_stage_is_read_back(dataset):
    for run in plan(dataset, aggregations=["TS", "AU", "AU>TS"]):
        again = RunSpec.from_json(run.spec.to_json())
        assert again.id == run.id and again.start == run.spec.start
        assert PlannedRun.from_json(run.to_json()).key == run.key


def test_second_stages_draw_otherwise_than_first_ones_and_alike_among_themselves(dataset):
    runs = by_label(plan(dataset, aggregations=["TS", "AU", "AU>TS", "TS>TS"], seeds=2))
    draws = {key: run.spec.draws for key, run in runs.items()}
    assert draws["TS", "tiny_kind", 1] == 1 == draws["AU", "all", 1]
    assert draws["AU>TS", "tiny_kind", 1] == draws["TS>TS", "tiny_kind", 1]
    assert len({draws[name, "tiny_kind", seed] for name in ("TS", "TS>TS") for seed in (0, 1)}) == 4


def test_patterns_name_sequences(dataset):
    runs = plan(dataset, aggregations=["TS", "AU", "AU>TS"])
    assert {run.labels[0].aggregation for run in select(runs, ["AU>TS/*"])} == {"AU>TS"}
    assert {run.labels[0].aggregation for run in select(runs, ["TS"])} == {"TS"}
    assert select(runs, ["AU>TS/tiny_kind/f1/s0"])[0].title == "AU>TS/tiny_kind f1 s0"
    assert not any(">" in run.folder_name for run in runs)


def test_a_study_without_a_second_stage_is_written_as_before():
    assert "specialise" not in study_of().model_dump(mode="json")


def test_a_study_with_one_is_read_back_as_it_was():
    study = study_of(aggregations=["TS", "AU", "AU>TS"], specialise={"passes": 2.0, "sampling": "uniform"})
    assert parse_study(study.model_dump(mode="json"), "again") == study


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"aggregations": ["TS", "AU>TS"]},
            "aggregations: AU>TS starts from the models of AU, which the study does not train; add AU",
        ),
        (
            {"aggregations": ["TS", "AU", "AU>CG>TS"]},
            "aggregations: AU>CG>TS has 3 stages; a sequential aggregation has two, as AU>TS",
        ),
        (
            {"aggregations": ["TS", "AU", "AU>nine"]},
            "aggregations: AU>nine names nine, which is no aggregation; its stages may be TS, CG, AU",
        ),
        (
            {"aggregations": ["TS", "AU", {"AU>TS": {"a": ["tiny_kind"]}}]},
            "aggregations: AU>TS takes no units, its stages have them; choose a name without >",
        ),
        (
            {"aggregations": ["TS", "AU", "AU >TS"]},
            "aggregations.AU >TS: got 'AU >TS', it takes letters, digits, dots, dashes and underscores, or two such "
            "names with > between, as in AU>TS",
        ),
        (
            {"aggregations": ["TS", "AU", "AU>TS"], "arms": {"a": {}, "b": {**PLAIN, "aggregations": ["TS", "AU>TS"]}}},
            "arms: b.aggregations: AU>TS starts from the models of AU, which the arm does not train; add AU",
        ),
        (
            {"specialise": {"passes": 2}},
            "specialise: is of a second stage, and no aggregation has one; add one such as AU>TS",
        ),
        (
            {"aggregations": ["TS", "AU", "AU>TS"], "specialise": {"pases": 2}},
            "specialise.pases: unknown field; did you mean passes?",
        ),
        (
            {"aggregations": ["TS", "AU", "AU>TS"], "specialise": {"passes": 0}},
            "specialise.passes: got 0, it takes greater than 0",
        ),
        (
            {"aggregations": ["TS", "AU", "AU>TS"], "specialise": {"image_size": 64}},
            "specialise: image_size cannot be changed, the weights of the first stage are of its size of images; take "
            "it out",
        ),
        (
            {
                "aggregations": ["TS", "AU", "AU>TS"],
                "specialise": {"rise": 0.1},
                "arms": {"open": {"training.until": "converged"}, "main": {}},
            },
            "specialise: does not go with the arm main: rise needs until: converged (a run of until: budget ends after "
            "its passes)",
        ),
    ],
)
def test_one_line_each_before_anything_is_trained(tmp_path, changes, line):
    assert fault(tmp_path, **changes) == line


@pytest.mark.parametrize("name", ["TS>AU", "mine>CG"])
def test_a_unit_has_to_lie_in_one_unit_of_the_first_stage(dataset, name):
    with pytest.raises(
        StudyError, match=f"aggregations.{name}: unit .* must lie in one unit of {name.split('>')[0]}"
    ) as error:
        plan(dataset, aggregations=["TS", "CG", "AU", MINE, name])
    assert "\n" not in str(error.value)


def test_a_weight_of_an_unknown_task_is_refused(dataset):
    with pytest.raises(StudyError, match=r"specialise.loss_weights: unknown task tiny_kin; did you mean tiny_kind\?"):
        plan(dataset, aggregations=["TS", "AU", "AU>TS"], specialise={"loss_weights": {"tiny_kin": 2.0}})


def test_time_counts_that_second_stages_wait():
    assert makespan([6, 1], 2, later=[(2, 0), (2, 0)]) == 8  # both at once, after the six
    assert makespan([6, 1], 1, later=[(2, 0), (2, 0)]) == 11
    assert makespan([], 2, later=[(2, -1), (2, -1), (1, -1)]) == 3
