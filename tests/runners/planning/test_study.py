"""Study files: shipped ones load, every fault is one line naming the field, shared units are found."""

from pathlib import Path

import pytest
import yaml

from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.errors import DataError, StudyError
from aggregation_lab.tasks import CHALLENGE_TASKS
from runners.planning.cost import makespan
from runners.planning.plan import Label, plan_runs, select
from runners.planning.study_file import SHIPPED, find_study, parse_study, read_study_file
from runners.planning.study_schema import BUDGETS, Study
from tests.tiny import STUDY, write_study


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_studies_load_and_say_what_to_expect(file):
    assert read_study_file(file).name == file.stem
    head = file.read_text()
    assert all(f"# {word}" in head for word in ("command:", "expected time:", "expected scores:"))


FAULTS = [
    ({"seedz": 2}, "seedz: unknown field; did you mean seeds?"),
    ({"training": {"lerning_rate": 1}}, "training.lerning_rate: unknown field; did you mean learning_rate?"),
    ({"model": {"moe": {"expert": 2}}}, "model.moe.expert: unknown field; did you mean experts?"),
    ({"data": {"directory": "x"}}, "data.directory: unknown field; it takes root, phantoms, tasks"),
    ({"name": "a/b"}, "name: got 'a/b', it takes letters, digits, dots, dashes and underscores"),
    ({"name": None}, "name: got nothing, it takes text"),
    ({"budget": "huge"}, "budget: got 'huge', it takes 'smoke', 'small' or 'full'"),
    ({"training": 3}, "training: got 3, it takes fields, each `name: value`"),
    ({"training": {"image_size": 100}}, "training.image_size: got 100, it takes a multiple of 16"),
    ({"model": {"head_width": 12}}, "model.head_width: got 12, it takes a multiple of 8"),
    ({"fractions": [0.5, 2]}, "fractions.1: got 2, it takes less than or equal to 1"),
    ({"fractions": [0.5, 0.5]}, "fractions: has the same value twice"),
    ({"seeds": 0}, "seeds: takes a number of seeds of at least 1, or a list of seeds"),
    ({"aggregations": ["TS", "XX"]}, "aggregations: XX has no units"),
    ({"aggregations": ["TS", "TS"]}, "aggregations: has TS twice"),
    ({"aggregations": {"floor": {"a": ["b"]}}}, "aggregations: floor is the name of the trivial predictors"),
    ({"aggregations": {"mine": {"a": "lung"}}}, "aggregations.mine.a: got 'lung', it takes a list"),
    ({"data": {"shares": [0.5, 0.2, 0.2]}}, "data.shares: takes three shares greater than 0 that add up to 1"),
    ({"margins": {"default": -1}}, "margins.default: got -1, it takes greater than or equal to 0"),
    ({"model": {"moe": {"top_k": 2}}}, "model.moe: top_k needs kind: copy"),
    ({"training": {"until": "forever"}}, "training.until: got 'forever', it takes 'budget' or 'converged'"),
    (
        {"training": {"rise": 0.02}},
        "training: rise needs until: converged (a run of until: budget ends after its passes)",
    ),
    (
        {"training": {"until": "converged", "passes": 10, "most_passes": 11}},
        "training: most_passes is 11; it takes 12 or more (a fifth of the 10 passes comes on top, to cool down)",
    ),
    (
        {"training": {"until": "converged", "patience": 1}},
        "training.patience: got 1, it takes less than or equal to 0.9",
    ),
    ({"training": {"until": "converged", "rise": -1}}, "training.rise: got -1, it takes greater than or equal to 0"),
    ({"model": {"frozen_blocks": 6}}, "model: frozen_blocks needs weights: hub or a checkpoint"),
    ({"model": {"frozen_blocks": 6, "weights": "hub"}}, "training: augment must be false with model.frozen_blocks"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS, ids=[message.split(":")[0] for _, message in FAULTS])
def test_faults_name_field_and_what_it_takes(change, message):
    with pytest.raises(StudyError) as caught:
        parse_study({"name": "x"} | change, "my.yaml")
    assert str(caught.value).startswith(f"my.yaml: {message}")
    assert "\n" not in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(StudyError) as caught:
        parse_study({"seeds": 0, "budget": 1}, "my.yaml")
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "line 1"),
        ("name: a\nname: b\n", "line 2: name stands twice"),
        ("- a\n", "a study file holds fields"),
        ("name: !!python/object/apply:os.getcwd []\n", "line 1: the tag .* is not taken"),
    ],
)
def test_files_that_are_no_study(tmp_path, text, message):
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(StudyError, match=message):
        read_study_file(file)


def test_unknown_study_suggests_a_shipped_one():
    with pytest.raises(StudyError, match="did you mean us_mini"):
        find_study("us-mini")


def test_budget_sets_what_the_file_leaves_open():
    study = parse_study({"name": "x", "budget": "smoke", "training": {"passes": 7}}, "s")
    assert study.training.passes == 7
    assert study.training.min_steps == BUDGETS["smoke"]["min_steps"]


def test_resolved_study_reads_back_as_itself(tmp_path):
    study = read_study_file(write_study(tmp_path / "s.yaml"))
    assert Study.model_validate_json(study.model_dump_json()) == study


def test_paths_start_at_the_study_file(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump({"name": "x", "data": {"root": "images"}, "model": {"weights": "w.safetensors"}}))
    study = read_study_file(file)
    assert study.data.root == tmp_path / "images"
    assert Path(study.model.weights) == tmp_path / "w.safetensors"
    assert read_study_file(file, data=Path("elsewhere")).data.root == Path("elsewhere").resolve()


def test_margin_of_task_type_and_default():
    study = parse_study({"name": "x", "margins": {"lung": 0.1, "segmentation": 0.05}}, "s")
    tasks = [CHALLENGE_TASKS[name].task for name in ("lung", "cervix", "lung_2cls")]
    assert [study.margin(task) for task in tasks] == [0.1, 0.05, 0.02]


def plan(dataset, **changes):
    raw = {"name": "tiny", "data": STUDY["data"], "training": STUDY["training"]} | changes
    return plan_runs(parse_study(raw, "s"), dataset, draw_folds(dataset, 1))


def test_equal_units_are_one_run_counted_twice(tiny_dataset):
    runs = plan(tiny_dataset, seeds=2)
    # the tiny data know no groups of the study, so every task is its own group: CG equals TS
    assert len(runs) == 2 * (4 + 1)
    shared = [run for run in runs if len(run.labels) == 2]
    assert {run.labels for run in shared} == {(Label("TS", name), Label("CG", name)) for name in tiny_dataset.tasks}
    assert len({run.id for run in runs}) == len(runs)


def test_matched_budget_in_the_plan(tiny_dataset):
    runs = plan(tiny_dataset, aggregations=["TS", "AU"], training={"passes": 20, "min_steps": 1, "batch_size": 4})
    by_aggregation = {name: sum(run.images for run in runs if run.labels[0][0] == name) for name in ("TS", "AU")}
    assert by_aggregation["TS"] == pytest.approx(by_aggregation["AU"], rel=0.02, abs=0)


def test_the_plan_tells_units_that_the_floor_of_steps_lifts(tiny_dataset):
    matched = plan(tiny_dataset, training={"passes": 2, "min_steps": 1, "batch_size": 4})
    assert not any(run.lifted for run in matched)
    assert all(2 <= run.passes < 2 + 4 / run.n_train for run in matched)
    least = min(run.steps for run in matched)
    lifted = [run for run in plan(tiny_dataset, training={"passes": 2, "min_steps": least + 1, "batch_size": 4})]
    assert {run.labels for run in lifted if run.lifted} == {run.labels for run in matched if run.steps == least}


CONVERGED = {"passes": 2, "min_steps": 1, "batch_size": 4, "until": "converged"}


def test_a_plan_of_runs_that_end_by_themselves_has_the_most_and_the_least(tiny_dataset):
    budget = plan(tiny_dataset, training={"passes": 2, "min_steps": 1, "batch_size": 4})
    for before, run in zip(budget, plan(tiny_dataset, training=CONVERGED), strict=True):
        least, most = run.spec.training.span(run.n_train)
        assert least == before.steps + -(-before.steps // 5) and run.steps == most
        assert run.images == 4 * most and run.least == pytest.approx(least / most, rel=1e-12, abs=0)
        assert 10 - 3 * 4 / run.n_train < run.passes <= 10 + 4 / run.n_train  # five times the passes
        assert not run.lifted and run.id != before.id
    assert all(run.least == 1 and not run.is_open for run in budget)


def test_the_cap_of_a_unit_that_the_floor_of_steps_lifts_is_lifted_alike(tiny_dataset):
    runs = plan(tiny_dataset, training=CONVERGED | {"min_steps": 40, "most_passes": 6})
    assert all(run.lifted and run.steps == 120 and run.least == 48 / 120 for run in runs if run.n_train < 80)


def test_run_identity_follows_what_defines_the_result(tiny_dataset):
    def ids(**changes):
        return {run.labels[0]: run.id for run in plan(tiny_dataset, **changes)}

    plain = ids()
    assert ids(margins={"default": 0.5}, name="other") == plain
    assert set(ids(training={"learning_rate": 1e-4}).values()).isdisjoint(plain.values())
    weighted = ids(training=STUDY["training"] | {"loss_weights": {"tiny_kind": 2.0}})
    changed = {label for label in plain if plain[label] != weighted[label]}
    assert changed == {Label("TS", "tiny_kind"), Label("AU", "all")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aggregations": {"mine": {"a": ["tiny_kind"]}}}, "aggregations.mine: misses task tiny_head"),
        ({"aggregations": {"mine": {"a": ["tiny_kind", "lung"]}}}, "aggregations.mine: unknown task lung"),
        ({"margins": {"lung": 0.1}}, "margins: unknown task lung"),
        ({"training": {"loss_weights": {"lung": 2}}}, "training.loss_weights: unknown task lung"),
    ],
)
def test_studies_that_do_not_fit_the_data(tiny_dataset, change, message):
    with pytest.raises(StudyError, match=message):
        plan(tiny_dataset, **change)


def test_a_fraction_without_training_cases_is_refused(tiny_dataset):
    with pytest.raises(DataError, match="fraction 0.001"):
        plan(tiny_dataset, fractions=[0.001])


def test_select_by_pattern(tiny_dataset):
    runs = plan(tiny_dataset, seeds=2)
    assert len(select(runs, ["AU"])) == 2
    assert len(select(runs, ["CG/tiny_kind"])) == 2  # trained as TS/tiny_kind, counted in both
    assert len(select(runs, ["*/f1/s1"])) == 5
    assert len(select(runs, ["TS/tiny_kind/f1/s0", "AU"])) == 3
    assert select(runs, []) == runs
    with pytest.raises(StudyError, match="--only nothing: fits no run"):
        select(runs, ["AU", "nothing"])


def test_makespan_hands_out_the_largest_first():
    assert makespan([1, 1, 1, 3], 2) == 3
    assert makespan([], 2) == 0
