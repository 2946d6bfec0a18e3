"""Cases with their pictures: which are shown, what stands beneath them, and what is said where something is missing."""

import json
import re
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aggregation_lab import EXAMPLES
from aggregation_lab.errors import DataError, ResultsError
from aggregation_lab.run import DONE, MASKS, PREDICTIONS
from aggregation_lab.storage.sealed_json import read_sealed, write_sealed
from analysis.external import read_scores
from analysis.gallery import Cases, cases
from analysis.gallery.blocks import LEFT_OUT, MOST_BLOCKS, ends, of_tasks, verdicts_to_show, write_gallery
from analysis.gallery.figures import MOST_DOTS, caption, case_figure
from analysis.gallery.paper import strips_figure
from analysis.gallery.strips import SIDE
from analysis.gallery.study_cases import NO_FOLDER, NO_RUNS
from analysis.report.gallery import report_gallery, write_gallery_page
from analysis.result import Analysis
from analysis.statistics.verdicts import BENEFIT, HARM, UNDECIDED
from analysis.study import load_study
from tests.fake_analysis import fake_analysis

pytestmark = pytest.mark.slow  # the fixture takes ten seconds

TASKS = ("tiny_head", "tiny_head_axis", "tiny_head_det", "tiny_kind")


@pytest.fixture(scope="module")
def shown(analysed: Analysis) -> Cases:
    return cases(analysed)


@pytest.fixture
def copied(predicted: Path, tmp_path: Path) -> Path:
    """The output folder, for a test that changes it."""
    return Path(shutil.copytree(predicted, tmp_path / "out"))


@pytest.mark.parametrize("task", TASKS)
def test_worst_median_and_best_come_in_the_order_of_their_gains(shown, task):
    rows = shown.of("AU-TS", task)
    assert rows["gain"].is_monotonic_increasing and len(rows) == len(set(rows["case"]))
    for chosen, expected in (
        (shown.worst("AU-TS", task, 2), rows.head(2)),
        (shown.best("AU-TS", task, 2), rows[::-1].head(2)),
        (shown.median("AU-TS", task), rows[(len(rows) - 1) // 2 :].head(1)),
    ):
        assert chosen.frame["case"].tolist() == expected["case"].tolist()
        assert [strip.row["case"] for strip in chosen.strips] == expected["case"].tolist()
    assert len(shown.worst("AU-TS", task, 1000)) == len(rows)


@pytest.mark.parametrize("task", TASKS)
def test_a_panel_has_the_score_of_the_seed_that_is_shown(shown, analysed, task):
    """Each from the study's own table of cases."""
    strip = shown.worst("AU-TS", task, 1).strips[0]
    assert [panel.name for panel in strip.panels] == ["TS", "CG", "AU"]
    table, task_type = analysed.study.cases, shown.images.tasks[task].type
    for panel in strip.panels:
        rows = table[(table["case"] == strip.row["case"]) & (table["aggregation"] == panel.name)]
        rows = rows[(rows["seed"] == strip.row["shown_seed"]) & (rows["task"] == task)]
        values = {name: own.sort_values("index")["value"].to_numpy()[None] for name, own in rows.groupby("quantity")}
        diagonal = float(np.hypot(*strip.image.size))
        assert panel.text == task_type.case_text(float(task_type.case_scores(values)[0]), diagonal)
        assert panel.marks is not None


def test_the_picture_is_small_keeps_its_aspect_ratio_and_holds_no_metadata(shown):
    strip = shown.worst("AU-TS", "tiny_head", 1).strips[0]
    with Image.open(BytesIO(strip.picture)) as image:
        assert max(image.size) <= SIDE and not image.getexif() and image.format == "WEBP"
        assert image.width / image.height == pytest.approx(strip.image.width / strip.image.height, rel=0.02, abs=0)
    large = replace(strip, image=Image.new("L", (1200, 900)))
    with Image.open(BytesIO(large.picture)) as image:
        assert image.size == (SIDE, SIDE * 3 // 4)


def test_sizes_are_those_of_image_and_target(shown):
    rows = shown.of("AU-TS", "tiny_head_det")
    about = shown.images.cases.loc[rows["case"].iloc[0]]
    left, top, right, bottom = about["box"]
    share = (right - left) * (bottom - top) / (about["height"] * about["width"])
    assert rows["target_size"].iloc[0] == pytest.approx(share, rel=1e-9, abs=0)
    assert rows["image_size"].iloc[0] == pytest.approx(np.hypot(about["height"], about["width"]), rel=1e-9, abs=0)
    assert shown.of("AU-TS", "tiny_kind")["target_size"].isna().all()
    assert shown.of("AU-TS", "tiny_head")["target_size"].between(0.01, 0.9).all()


def test_a_notebook_shows_rows_and_pictures(shown):
    html = shown.worst("AU-TS", "tiny_kind", 2)._repr_html_()
    assert html.count("data:image/webp;base64,") == 2 and "<table" in html and 'class="share"' in html
    assert "tiny_kind, AU-TS: cases that lose most" in repr(shown.worst("AU-TS", "tiny_kind", 2))


@pytest.mark.parametrize(
    ("contrast", "task", "said"),
    [
        ("AU-TX", "tiny_head", "no cases of the contrast AU-TX; did you mean AU-TS"),
        ("AU-TS", "tiny_haed", "no cases of the task tiny_haed under AU-TS; did you mean tiny_head"),
    ],
)
def test_a_wrong_name_is_one_line(shown, contrast, task, said):
    with pytest.raises(ResultsError, match=re.escape(said)):
        shown.worst(contrast, task)


def test_score_tables_alone_give_rows_and_say_why_there_are_no_pictures():
    found = cases(replace(load_study(EXAMPLES / "us_mini_scale"), folder=None))
    worst = found.worst("AU-TS", "breast_lesion", 3)
    assert len(worst) == 3 and worst.strips == [] and NO_FOLDER in repr(worst) and NO_FOLDER in worst._repr_html_()
    with pytest.raises(ResultsError, match="^no pictures: the scores come from tables alone"):
        worst.figure()


def test_a_folder_of_score_tables_says_that_it_holds_no_runs():
    found = cases(load_study(EXAMPLES / "us_mini_scale"))
    assert found.images is None and found.why_no_images == NO_RUNS


def test_scores_without_cases_have_none(tmp_path):
    file = tmp_path / "scores.csv"
    rows = [("a", name, seed, 0.5 + 0.1 * seed) for name in ("TS", "AU") for seed in (0, 1)]
    pd.DataFrame(rows, columns=["task", "aggregation", "seed", "value"]).to_csv(file, index=False)
    with pytest.raises(ResultsError, match="have scores of single cases with a common seed"):
        cases(read_scores(file))


# ---- what cannot be shown ------------------------------------------------------------------------------------------


def without_kept(out: Path, *aggregations: str) -> list[str]:
    """Make runs as they were before predictions were kept; their ids."""
    scores = load_study(out).scores
    runs = scores.loc[scores["aggregation"].isin(aggregations), "run"].unique()
    for run in runs:
        (folder,) = (out / "runs").glob(f"*-{run}")
        done = read_sealed(folder / DONE)
        done.pop("kept", None)
        write_sealed(folder / DONE, done)
        for name in (PREDICTIONS, MASKS):
            (folder / name).unlink(missing_ok=True)
    return sorted(runs)


def test_runs_without_predictions_are_named_with_the_remedy(copied, analysed, tmp_path):
    without_kept(copied, "CG")
    study = replace(analysed.study, folder=copied)
    gallery = report_gallery(replace(analysed, study=study), tmp_path, images=True)
    lines = [note for note in gallery.notes if "kept no predictions" in note]
    assert lines and all("--rerun unkept" in line for line in lines)
    assert any("no prediction was kept" in block for block in gallery.blocks)
    assert any("<img" in block and 'class="said"' in block for block in gallery.blocks)


def test_a_study_that_was_finished_before_has_figures_and_no_pictures(copied, analysed, tmp_path):
    runs = without_kept(copied, "TS", "CG", "AU")
    gallery = report_gallery(replace(analysed, study=replace(analysed.study, folder=copied)), tmp_path, images=True)
    assert gallery.blocks and not list(tmp_path.rglob("*.webp")) and list(tmp_path.rglob("*.svg"))
    named = set(re.findall(r"[0-9a-f]{12}", " ".join(gallery.notes)))
    assert named and named <= set(runs)


def test_damage_is_named_and_the_rest_is_shown(copied, analysed, tmp_path):
    study = replace(analysed.study, folder=copied)
    scores = study.scores[(study.scores["task"] == "tiny_head") & (study.scores["aggregation"] == "TS")]
    for run in scores["run"].unique():
        (folder,) = (copied / "runs").glob(f"*-{run}")
        (folder / MASKS).write_bytes((folder / MASKS).read_bytes()[:-30])
    analysis = replace(analysed, study=study)
    gallery = write_gallery(cases(analysis), of_tasks(analysis, TASKS, ["AU-TS"]), tmp_path)
    (note,) = gallery.faults
    assert gallery.notes == [] and str(copied) not in "".join(gallery.blocks)
    assert MASKS in note and "content has changed" in note and len(note.splitlines()) == 1
    assert len(gallery.blocks) == 4 and sum("<img" in block and "webp" in block for block in gallery.blocks) == 3


def test_images_that_were_moved_are_found_where_the_caller_says(copied, analysed, tiny_data, tmp_path):
    tasks = json.loads((copied / "prepared" / "tasks.json").read_text())
    tasks.pop("digest")
    write_sealed(copied / "prepared" / "tasks.json", {**tasks, "root": str(tmp_path / "gone")})
    study = replace(analysed.study, folder=copied)
    with pytest.raises(DataError, match=r"cannot be read \(No such file or directory\); .*--data"):
        cases(study).worst("AU-TS", "tiny_kind", 1)
    assert cases(study, tiny_data).worst("AU-TS", "tiny_kind", 1).strips
    here = report_gallery(replace(analysed, study=study), tmp_path, images=True, data=tiny_data)
    assert not here.faults and any("<img" in block and "webp" in block for block in here.blocks)
    (changed,) = (tiny_data / "train").rglob("kind 00.png")
    Image.new("L", (64, 48)).save(changed)
    with pytest.raises(DataError, match="has changed since the study was run"):
        cases(study, tiny_data).worst("AU-TS", "tiny_kind", 1000)


def test_without_images_no_name_of_a_case_a_subject_or_a_folder_leaves(analysed, tmp_path):
    gallery = report_gallery(analysed, tmp_path, images=False)
    assert gallery.blocks and gallery.said == [LEFT_OUT]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".svg", ".csv"}
    names = {*analysed.case_gains["case"], *analysed.case_gains["subject"], "HC18_tiny", ".png"}
    text = "\n".join([*gallery.blocks, *(path.read_text(encoding="utf-8") for path in files)])
    assert [name for name in names if name in text] == []


# ---- what is chosen ------------------------------------------------------------------------------------------------


def with_verdicts(analysis: Analysis, verdicts: dict[str, str]) -> Analysis:
    gains = analysis.gains.assign(verdict=[verdicts.get(task, UNDECIDED) for task in analysis.gains["task"]])
    return replace(analysis, frames={**analysis.frames, "gains": gains})


def test_harm_comes_before_benefit_and_undecided_tasks_are_not_shown():
    whole = fake_analysis()
    one, other = dict.fromkeys(whole.case_gains["task"])
    chosen, heading = verdicts_to_show(with_verdicts(whole, {one: BENEFIT, other: HARM}))
    verdicts = [row["verdict"] for row in chosen]
    assert verdicts == sorted(verdicts, reverse=True) and set(verdicts) == {HARM, BENEFIT}
    assert {row["fraction"] for row in chosen} == {1.0} and heading.startswith("Cases behind every verdict")


def test_without_a_verdict_the_largest_absolute_gains_are_shown():
    whole = fake_analysis()
    chosen, heading = verdicts_to_show(with_verdicts(whole, {}))
    gains = [abs(row["gain"]) for row in chosen]
    known = whole.gains.merge(whole.case_gains[["contrast", "task"]].drop_duplicates())
    largest = known.loc[known["fraction"] == 1.0, "gain"].abs().max()
    assert gains == sorted(gains, reverse=True) and gains[0] == largest and "No task has a verdict" in heading
    assert len(chosen) > 1 and len({row["task"] for row in chosen}) == len(chosen)


def test_very_many_verdicts_are_cut_and_the_rest_is_counted():
    whole = fake_analysis()
    task = whole.case_gains["task"].iloc[0]
    rows = whole.gains[(whole.gains["task"] == task) & (whole.gains["fraction"] == 1.0)].iloc[[0]]
    many = pd.concat([rows.assign(task=f"t{number}", verdict=HARM) for number in range(MOST_BLOCKS + 5)])
    names = many[["contrast", "joint", "base", "fraction", "task"]].merge(
        whole.case_gains.iloc[[0]].drop(columns=["contrast", "joint", "base", "fraction", "task"]), how="cross"
    )
    frames = {**whole.frames, "gains": many, "case_gains": names}
    chosen, heading = verdicts_to_show(replace(whole, frames=frames))
    assert len(chosen) == MOST_BLOCKS and "shows the other 5" in heading


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7, 50])
def test_the_ends_and_the_middle_hold_no_case_twice(count):
    rows = pd.DataFrame({"case": [f"c{place}" for place in range(count)], "gain": np.linspace(-0.5, 0.4, count)})
    parts = ends(rows, 3)
    shown = [case for _, part in parts for case in part["case"]]
    assert len(shown) == len(set(shown)) and "c0" in shown and f"c{count - 1}" in shown
    assert len(shown) == min(7, count if count % 2 or count < 3 else count - 1)


def test_an_end_that_only_gains_is_not_called_a_loss():
    rows = pd.DataFrame({"case": list("abc"), "gain": [0.1, 0.2, 0.3]})
    assert [title for title, _ in ends(rows, 1)] == ["Gain least", "In the middle", "Gain most"]
    assert [title for title, _ in ends(rows.assign(gain=[-3, -2, -1]), 1)][-1] == "Lose least"


# ---- what is written -----------------------------------------------------------------------------------------------


def test_a_page_of_its_own_and_figures_for_a_paper(analysed, tmp_path):
    page, notes = write_gallery_page(analysed, tmp_path / "gallery", TASKS, ["AU-TS"], each=1, pdf=True)
    text = page.read_text(encoding="utf-8")
    assert notes == [] and text.count("<article") == 4
    linked = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert linked and all((page.parent / link).is_file() for link in linked)
    assert len(list(page.parent.glob("*.pdf"))) == 4
    figures = [path.read_text(encoding="utf-8") for path in page.parent.rglob("*.svg")]
    fonts = [font for figure in figures for font in re.findall(r"font-family:([^;}]*)", figure)]
    assert len(figures) == 4 and fonts and all(font.endswith("sans-serif") for font in fonts)
    again, _ = write_gallery_page(analysed, tmp_path / "again", TASKS, ["AU-TS"], each=1, pdf=True)
    for path in page.parent.rglob("*"):
        if path.is_file():
            assert (again.parent / path.relative_to(page.parent)).read_bytes() == path.read_bytes(), path.name


def test_a_figure_for_a_paper_is_one_page_of_two_columns(shown):
    strips = shown.worst("AU-TS", "tiny_head", 4).strips
    figure = strips_figure(strips * 5)
    assert figure.get_figwidth() == pytest.approx(6.9, rel=1e-6, abs=0) and figure.get_figheight() <= 9.5
    sizes = {text.get_fontsize() for ax in figure.axes for text in [ax.title, ax.xaxis.label, *ax.texts]}
    assert min(sizes) >= 6.5


@pytest.mark.parametrize(("cases", "shown"), [(MOST_DOTS, "thin lines join"), (MOST_DOTS + 1, "bar: the middle half")])
def test_the_caption_says_what_so_many_cases_are_drawn_as(cases, shown):
    random, whole = np.random.default_rng(0), fake_analysis().case_gains
    gain = random.normal(0, 0.1, cases)
    rows = pd.DataFrame([whole.iloc[0].to_dict()] * cases).assign(
        gain=gain, base_score=0.5, joint_score=0.5 + gain, subject=np.arange(cases) // 2
    )
    right = case_figure(rows)[0].axes[1]
    bars = [patch for patch in right.patches if patch.get_width() > 0]
    assert shown in caption(cases) and len(right.collections) == (3 if cases == MOST_DOTS else 0) * len(
        right.get_yticks()
    )
    widths = sorted({round(bar.get_width(), 9) for bar in bars})
    low, high = np.quantile(gain, (0.25, 0.75))
    assert bool(bars) == (cases > MOST_DOTS) and (not bars or round(high - low, 9) in widths)


def test_an_unknown_task_or_contrast_is_one_line(analysed):
    with pytest.raises(ResultsError, match="^--task tiny_haed: no test cases to compare; did you mean tiny_head"):
        of_tasks(analysed, ["tiny_haed"], [])
    with pytest.raises(ResultsError, match="^--contrast AU: no test cases to compare"):
        of_tasks(analysed, [], ["AU"])
