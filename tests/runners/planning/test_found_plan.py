"""`found` in a study file: what a plan is before and after its groups are known, and what is refused, in one line."""

import json

import pytest

from aggregation_lab.data.challenge import Dataset, read_dataset
from aggregation_lab.data.splits.folds import draw_folds
from aggregation_lab.errors import StudyError
from aggregation_lab.training.affinity.settings import AffinitySettings
from runners.planning.plan import PlannedRun, names_found, plan_runs, select
from runners.planning.study_file import parse_study
from tests.made_study import make_finished
from tests.runners.commands.test_cli import agglab
from tests.tiny import STUDY, write_study

SOUGHT = ["TS", "CG", "AU", "found"]
PAIRS = {"unit_1": ["tiny_head", "tiny_kind"], "unit_2": ["tiny_head_axis", "tiny_head_det"]}
MINE = {"mine": {"masks": ["tiny_head", "tiny_head_det"], "others": ["tiny_head_axis", "tiny_kind"]}}
PLAIN = {"model.moe.experts": 0}


@pytest.fixture(scope="module")
def dataset(tiny_original) -> Dataset:
    return read_dataset(tiny_original, groups=STUDY["data"]["groups"])


def study_of(**changes):
    return parse_study(STUDY | {"aggregations": SOUGHT} | changes, "study.yaml")


def plan(dataset, found=None, folds=1, **changes) -> list[PlannedRun]:
    return plan_runs(study_of(**changes), dataset, draw_folds(dataset, folds), found)


def models(runs) -> dict[str, list[PlannedRun]]:
    found: dict[str, list[PlannedRun]] = {}
    for run in runs:
        for label in run.labels:
            found.setdefault(label.model, []).append(run)
    return found


def test_the_runs_of_found_come_once_its_groups_are_known(dataset):
    before, after = plan(dataset), plan(dataset, PAIRS)
    assert {run.id for run in before} == {run.id for run in plan(dataset, aggregations=["TS", "CG", "AU"])}
    new = [run for run in after if run.id not in {run.id for run in before}]
    assert [run.title for run in new] == ["found/unit_1 f1 s0", "found/unit_2 f1 s0"]
    assert all(run.rests_on_found and run.holds_found and not run.is_evidence for run in new)
    assert all(run.is_evidence and not run.rests_on_found for run in before)
    again = [PlannedRun.from_json(json.loads(json.dumps(run.to_json()))) for run in after]
    assert [(run.id, run.is_evidence, run.affinity) for run in again] == [
        (run.id, run.is_evidence, run.affinity) for run in after
    ]


def test_groups_of_one_task_and_of_other_aggregations_are_their_runs(dataset):
    heads = {"unit_1": ["tiny_head", "tiny_head_axis", "tiny_head_det"], "unit_2": ["tiny_kind"]}
    runs = plan(dataset, heads)
    assert len(runs) == len(plan(dataset)) and [run.rests_on_found for run in runs] == [False] * len(runs)
    assert {run.title for run in models(runs)["found"]} == {
        "CG/head = found/unit_1 f1 s0",
        "TS/tiny_kind = CG/tiny_kind = found/unit_2 f1 s0",
    }


def test_evidence_is_of_the_base_arm_at_full_data_without_second_stages(dataset):
    arms = {"small": {}, "plain": PLAIN}
    runs = models(
        plan(
            dataset,
            PAIRS,
            arms=arms,
            compare={"base": {"arm": "plain"}},
            fractions=[0.5, 1.0],
            aggregations=[*SOUGHT, MINE, "AU>TS"],
        )
    )
    evidence = {(name, run.spec.fraction) for name, own in runs.items() for run in own if run.is_evidence}
    assert evidence == {(f"plain/{name}", 1.0) for name in ("TS", "CG", "AU", "mine")}
    assert len(runs["small/found"]) == len(runs["plain/found"]) == 4


def test_joint_evidence_records_affinities_unless_the_study_says_otherwise(dataset):
    def recording(**changes) -> set[str]:
        runs = plan(dataset, PAIRS, fractions=[0.5, 1.0], **changes)
        return {f"{run.labels[0].aggregation} {run.spec.fraction:g}" for run in runs if run.affinity}

    assert recording() == {"CG 1", "AU 1"}
    assert recording(affinity=False) == set()
    assert recording(affinity={"moments": 2}) == {f"{name} {share:g}" for name in SOUGHT[1:] for share in (0.5, 1)}
    assert plan(dataset)[-1].affinity == AffinitySettings()
    assert not any(run.affinity for run in plan(dataset, aggregations=["TS", "CG", "AU"], affinity=False))
    ids = [{run.id for run in plan(dataset, **changes)} for changes in ({}, {"affinity": False})]
    assert ids[0] == ids[1]


def test_an_arm_of_the_same_runs_records_for_the_base_arm(dataset):
    """TS and CG are the same in both arms, which differ in joint training; whichever arm comes first."""
    arms = {"other": {"training.weighting": "uncertainty"}, "main": {}}
    runs = plan(dataset, arms=arms, compare={"base": {"arm": "main"}}, aggregations=["TS", "AU", "found"])
    shared = [run for run in runs if len({label.arm for label in run.labels}) == 2]
    assert len(shared) == 4 and all(run.is_evidence for run in shared)
    assert [run.labels[0].model for run in runs if run.affinity] == ["main/AU"]


def test_with_rotating_folds_every_fold_is_evidence_and_is_trained(dataset):
    runs = plan(dataset, PAIRS, folds=3, data=STUDY["data"] | {"folds": 3}, seeds=3)
    assert sum(run.is_evidence for run in runs) == 18
    assert [(run.spec.seed, run.fold) for run in models(runs)["found"]] == [(s, s) for s in (0, 1, 2)] * 2


def test_sequences_with_found_wait_for_it_and_their_starts_keep_weights(dataset):
    names = [*SOUGHT, "AU>found", "found>TS", "found>found"]
    before = plan(dataset, aggregations=names)
    assert not any(">" in label.aggregation for run in before for label in run.labels)
    assert {run.labels[0].aggregation for run in before if run.is_start} == {"AU"}
    after = models(plan(dataset, PAIRS, aggregations=names))
    assert {run.start for run in after["AU>found"]} == {after["AU"][0].id}
    assert {run.start for run in after["found>TS"]} == {run.id for run in after["found"]}
    assert [len(after[name]) for name in names[3:]] == [2, 2, 4, 2] and all(run.is_start for run in after["found"])


def test_patterns_of_found_are_known_before_its_runs_are(dataset):
    runs = plan(dataset)
    asked = {"found": True, "found/*": True, "main/found/unit_1": True, "*": True, "found>TS/a": True, "f*": True}
    assert {name: names_found(name) for name in asked} == asked
    assert not any(map(names_found, ("TS/*", "AU", "s0", "TS/found_here")))
    assert select(runs, ["found/*"], unknown_found=True) == []
    assert len(select(runs, ["found/*", "TS"], unknown_found=True)) == 4
    with pytest.raises(StudyError, match="--only found/\\*: fits no run"):
        select(runs, ["found/*"])


def test_a_study_is_read_back_as_it_was():
    for changes in ({}, {"found": {"units": 2}}, {"affinity": False}, {"found": {"within": 3.5}, "affinity": {}}):
        study = study_of(**changes)
        assert parse_study(study.model_dump(mode="json"), "again") == study
    assert not {"found", "affinity"} & study_of().model_dump().keys()


def test_a_partition_of_that_name_by_hand_is_one_as_before(dataset):
    runs = plan(dataset, aggregations=["TS", "AU", {"found": PAIRS}, "found>TS"])
    assert len(models(runs)["found"]) == 2 and not any(run.is_evidence or run.affinity for run in runs)


FAULTS = {
    "no TS": (
        {"aggregations": ["AU", "found"]},
        "aggregations: found is sought by gains over TS, which the study does",
    ),
    "nothing joint": ({"aggregations": ["TS", "found"]}, "of which the study trains none; add AU, or CG"),
    "options alone": ({"aggregations": ["TS", "AU"], "found": {}}, "found: has options, and found is not among the"),
    "twice": ({"aggregations": [*SOUGHT, {"found": PAIRS}]}, "aggregations: has found twice"),
    "by hand": (
        {"aggregations": ["TS", "AU", {"found": PAIRS}], "found": {"units": 2}},
        "found: has options for a partition that the grid finds, and aggregations gives found units by hand",
    ),
    "options within": (
        {"aggregations": ["TS", "AU", {"found": {"units": 2}}]},
        "aggregations: found has no options here; write found alone, and them as a field, found: {units: 4}",
    ),
    "an unknown option": ({"found": {"unit": 2}}, "found.unit: unknown field; did you mean units?"),
    "no units": ({"found": {"units": 0}}, "found.units: got 0, it takes greater than or equal to 1"),
    "no hours": ({"found": {"within": 0}}, "found.within: got 0, it takes greater than 0"),
    "inside a group": ({"aggregations": [*SOUGHT, "CG>found"]}, "aggregations: CG>found needs units inside units"),
    "around a group": ({"aggregations": [*SOUGHT, "found>CG"]}, "it goes with AU>found, found>TS and found>found"),
    "a base arm without TS": (
        {"arms": {"a": {"aggregations": ["AU", "found"]}, "b": PLAIN}},
        "found: is sought by gains over TS, which the base arm, a, does not train; add TS",
    ),
    "recording that is none": ({"affinity": True}, "affinity: got True, it takes fields"),
    "an unknown field of recording": ({"affinity": {"momments": 2}}, "affinity.momments: unknown field; did you mean"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line_before_anything_is_read(fault):
    changes, said = FAULTS[fault]
    with pytest.raises(StudyError) as refused:
        study_of(**changes)
    assert said in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("tasks", "changes", "said"),
    [
        (["tiny_head"], {}, "aggregations: found takes 4 tasks or more, the study has 1; take found out"),
        (None, {"found": {"units": 5}}, "found.units: is 5, the study has 4 tasks; it takes 1 to 4"),
        (
            None,
            {"aggregations": ["TS", "CG", "found"], "data": {}},
            "aggregations: found is sought from units of several tasks, and none has several; add AU",
        ),
    ],
)
def test_what_the_data_cannot_give_is_one_line(tasks, changes, said, tiny_original):
    dataset = read_dataset(tiny_original, tasks=tasks)
    with pytest.raises(StudyError) as refused:
        study_of(**{"data": {}} | changes).partitions(dataset.tasks)
    assert str(refused.value) == said


def test_the_plan_bounds_what_nobody_knows_yet(tiny_original, tmp_path, capsys):
    file = write_study(tmp_path / "study.yaml", aggregations=SOUGHT, seeds=2)
    words = ("plan", file, "--data", tiny_original, "--out", tmp_path / "out", "--device", "cpu")
    code, text, _ = agglab(capsys, *words)
    assert code == 0 and "12 runs (" in text and "affinity: 4 runs of several tasks record it" in text
    assert (
        "found: its groups, and so its runs, are known once the 12 runs that they are found from are finished" in text
    )
    code, text, _ = agglab(capsys, *words, "--only", "found/*", "--json")
    found = json.loads(text)
    single = [run for run in found["runs"] if run["title"].startswith("TS/")]
    assert code == 0 and found["found"]["found_from"] == len(found["runs"]) == 12
    assert found["found"]["images_at_most"] == sum(run["images"] for run in single)
    assert found["found"]["worker_seconds_at_most"] == pytest.approx(
        sum(run["seconds"] for run in single), rel=1e-9, abs=0
    )


@pytest.mark.parametrize(
    "training",
    [{}, {"passes": 7.3, "min_steps": 1}, {"passes": 1.1, "min_steps": 9}, {"until": "converged", "min_steps": 7}],
)
def test_no_partition_takes_more_than_the_bound(dataset, training):
    changes = {"training": STUDY["training"] | training}
    bound = [run for run in plan(dataset, {name: [name] for name in dataset.tasks}, **changes) if run.holds_found]
    partitions = [PAIRS, {"all": sorted(dataset.tasks)}, {"a": ["tiny_kind"], "b": [*sorted(dataset.tasks)[:3]]}]
    for partition in partitions:
        runs = models(plan(dataset, partition, **changes))["found"]
        assert sum(run.images for run in runs) <= sum(run.images for run in bound)


def test_status_and_page_speak_of_groups_that_are_not_known(tiny_original, tmp_path, capsys):
    out = make_finished(tmp_path, tiny_original, aggregations=SOUGHT)
    code, text, _ = agglab(capsys, "status", out)
    assert code == 0 and "pending  found  (the 6 runs that it is found from are finished; the next run-grid" in text
    assert "tiny: 6 runs: 6 done; those of found are not known yet" in text
    code, text, _ = agglab(capsys, "status", out, "--json")
    seen = json.loads(text)
    (row,) = seen["unfinished"]
    assert code == 0 and (row["id"], row["state"]) == ("found", "pending") and seen["states"] == {"done": 6}
    assert any(note.startswith("found: the 6 runs") and "in no figure here" in note for note in seen["notes"])
    code, text, _ = agglab(capsys, "scores", out)
    assert code == 0 and "note: found has no scores yet: the 6 runs that it is found from are finished" in text
