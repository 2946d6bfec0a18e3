"""The report as files: what the page says, where its numbers lead, claims, the same bytes twice."""

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from aggregation_lab.manifest import Manifest
from analysis.external import PAPER, read_scores
from analysis.frames import FRAMES, frame
from analysis.pipeline import analyse
from analysis.questions.finding_parts import CONTRADICTED, SUPPORTED, UNDECIDED
from analysis.questions.findings import WHOLE
from analysis.report import write_report
from analysis.report.answers import answers, findings
from analysis.report.checks import checks
from analysis.report.claims import claims
from analysis.report.page import page as page_of
from analysis.report.page import render
from analysis.report.pictures import Picture
from analysis.result import Analysis
from analysis.tables import TABLES
from analysis.tables.paper import build, plain
from tests.fake_analysis import empty_analysis, fake_analysis, holey_analysis, some_columns
from tests.once import made_once

MANIFEST = Manifest(
    "clinic_a",
    margins={"breast_lesion": 0.02},
    settings={
        "data": {"shares": [0.7, 0.15, 0.15], "split_seed": 3},
        "model": {
            "encoder": "vit_small_patch16_dinov3",
            "weights": "hub",
            "moe": {"experts": 4, "kind": "split", "blocks": 6},
        },
        "training": {
            "image_size": 224,
            "passes": 11.0,
            "min_steps": 100,
            "batch_size": 16,
            "learning_rate": 0.0005,
            "weight_decay": 0.05,
            "sampling": "proportional",
            "checkpoint": "last",
        },
    },
    version="0.1.0",
    dataset="3f1c09aa77de" + 13 * "90ab",
    split="b81d22e0c4f5" + 13 * "90ab",
    leakage={
        "images": 4210,
        "shared_images": 388,
        "near_duplicates": 513,
        "components": 2977,
        "crossing_components": 0,
        "crossing_images": 0,
        "crossing_subjects": 0,
    },
    planned=90,
    finished=90,
)


def traced(tasks: int = 10, aggregations: tuple[str, ...] = ("TS", "CG", "AU")) -> Analysis:
    """The made-up analysis with settings, digests and a ledger of its runs."""
    analysis = fake_analysis(tasks, aggregations=aggregations)
    study = replace(analysis.study, manifest=MANIFEST, runs=_runs_of(analysis.frames["seed_gains"]))
    return replace(analysis, study=study, warnings=("TS baselines were still improving in 3 of 10 tasks.",))


def written(factory: pytest.TempPathFactory) -> Path:
    """A folder with the report of `traced()`; tests must not change it."""
    return made_once(factory, "report", lambda folder: write_report(traced(), folder))


def _runs_of(seed_gains: pd.DataFrame) -> pd.DataFrame:
    sides = [
        seed_gains[["fraction", "seed"]].assign(
            run=seed_gains[f"{side}_run"],
            aggregation=seed_gains[side],
            unit=seed_gains["group"],
            tasks=seed_gains["task"],
        )
        for side in ("joint", "base")
    ]
    return pd.concat(sides, ignore_index=True).assign(
        passes=11.0,
        images_seen=4400,
        device="NVIDIA H200",
        precision="bf16",
        versions="python 3.12.4, aggregation-lab 0.1.0, torch 2.15.0, timm 1.0.31, commit 475c190",
        started="2026-11-21T08:00:00+00:00",
    )


def emptied() -> Analysis:
    """An analysis of which nothing could be computed, with scores as a reader gives them."""
    analysis = empty_analysis()
    scores = analysis.study.scores.assign(run="", unit="", seed=0)
    return replace(analysis, study=replace(analysis.study, scores=scores))


class Parsed(HTMLParser):
    """Ids, links, hints and sources of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.titles: list[str] = []
        self.loaded: list[str] = []
        self.tags: Counter[str] = Counter()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags[tag] += 1
        self.ids += [found["id"]] if "id" in found else []
        self.titles += [found["title"]] if "title" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.loaded += [found["src"]] if "src" in found else []

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def html() -> str:
    return render(traced(), {}, [])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return written(tmp_path_factory)


@pytest.mark.slow
def test_the_folder_holds_everything_the_page_links_to(folder):
    for name in ("index.html", "claims.json", "methods.md", "citation.bib", "tables/gains.csv"):
        assert (folder / name).stat().st_size
    page = Parsed((folder / "index.html").read_text())
    linked = [link for link in page.links if not link.startswith("#")]
    assert {"figures/gains_forest.pdf", "tables/gains.tex", "methods.md"} <= set(linked)
    assert all((folder / link).is_file() for link in linked)
    assert not list(folder.rglob("*.part"))


@pytest.mark.slow
def test_figures_are_inside_the_page_and_it_stays_small(folder):
    page = Parsed((folder / "index.html").read_text())
    drawn = len(list((folder / "figures").glob("*.svg")))
    inside = [source for source in page.loaded if source.startswith("data:image/")]
    beside = [source for source in page.loaded if source not in inside]
    assert drawn == len(inside) and len(page.loaded) == page.tags["img"]
    assert beside and all(source.startswith("gallery/") and (folder / source).is_file() for source in beside)
    assert (folder / "index.html").stat().st_size < 6_000_000


@pytest.mark.slow
def test_the_same_analysis_gives_the_same_bytes(folder, tmp_path):
    write_report(traced(), tmp_path)
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before.keys() == again.keys()
    assert [name for name in before if before[name] != again[name]] == []


def test_ids_are_unique_and_every_inner_link_has_its_place(html):
    page = Parsed(html)
    assert len(page.ids) == len(set(page.ids))
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []


def test_nothing_is_loaded_from_elsewhere(html):
    assert "http:" not in html and "https:" not in html and "//cdn" not in html
    assert re.findall(r"@import|url\(|<link|<iframe", html) == []
    assert "default-src 'none'" in html


def test_every_gain_says_its_runs_and_every_run_has_its_row(html):
    page, seed_gains = Parsed(html), traced().frames["seed_gains"]
    runs = {*seed_gains["joint_run"], *seed_gains["base_run"]}
    assert {f"run-{run}" for run in runs} <= set(page.ids)
    assert {f"#run-{run}" for run in runs} <= set(page.links)
    first = seed_gains.iloc[0]
    hint = f"seed {first['seed']}: run {first['joint_run']} minus run {first['base_run']}"
    assert any(hint in title for title in page.titles)
    assert {f"task-{task}" for task in seed_gains["task"]} <= set(page.ids)


def test_a_run_in_two_aggregations_has_one_row_with_both_names():
    analysis = traced()
    runs = analysis.study.runs.iloc[[0, 0]].assign(aggregation=["TS", "CG"], unit=["lung_2cls", "lung"])
    shared = replace(analysis, study=replace(analysis.study, runs=runs))
    html = render(shared, {}, [])
    assert html.count(f'id="run-{runs["run"].iloc[0]}"') == 1
    assert "CG, TS" in html and "lung, lung_2cls" in html


def test_answers_count_every_task_of_a_contrast_once_at_full_data():
    analysis = traced()
    gains = analysis.frames["gains"]
    for answer in answers(analysis):
        rows = gains[(gains["contrast"] == answer.contrast) & (gains["fraction"] == 1.0)]
        named = {verdict.name: len(verdict.tasks) for verdict in answer.verdicts if verdict.tasks}
        assert named == rows["verdict"].value_counts().to_dict()
        assert answer.sentence.startswith(f"Of {len(rows)} tasks with all training data, ")
        improving = sum("↗" in task.text for verdict in answer.verdicts for task in verdict.tasks)
        assert improving == rows["base_improving"].sum() > 0


def _findings(*verdicts: str, whole: str) -> pd.DataFrame:
    parts = [{"part": WHOLE, "verdict": whole}] + [
        {"part": f"part {place}", "verdict": verdict, "effect": f"-0.{place}1 [-0.3, 0.2]", "p": 0.2}
        for place, verdict in enumerate(verdicts)
    ]
    return some_columns(
        "findings", [{"finding": 1, "claim": "AU is steadier.", "evidence": "pooled"} | part for part in parts]
    )


def test_a_finding_names_the_part_that_decides_it():
    frames = {**traced().frames, "findings": _findings(SUPPORTED, CONTRADICTED, whole=CONTRADICTED)}
    found = findings(replace(traced(), frames=frames))[0]
    assert found.verdict == CONTRADICTED
    assert found.sentence == "Of 2 parts, 1 supported and 1 contradicted. Contradicted: part 1, −0.11 [−0.3, 0.2]."
    assert [part.verdict for part in found.parts] == [SUPPORTED, CONTRADICTED]


def test_an_undecided_finding_says_that_it_is_these_data_which_do_not_decide():
    frames = {**traced().frames, "findings": _findings(UNDECIDED, whole=UNDECIDED)}
    assert "undecided on these data" in render(replace(traced(), frames=frames), {}, [])


def test_with_nothing_computed_every_section_says_why():
    page = Parsed(render(emptied(), {}, []))
    whole = Parsed(render(traced(), {}, []))
    sections = {link for link in whole.links if link.startswith("#") and link[1:] in page.ids}
    assert sections >= {"#answers", "#findings", "#guideline", "#evidence", "#trust", "#planning", "#excluded"}
    for reason in (
        "there is no gain",
        "The study has one fraction",
        "The source has no table of runs.",
        "The source has no table of curves.",
        "The source has no table of routing.",
        "The source names no runs",
        "Leakage was not counted",
        "No row of the tables was left out.",
    ):
        assert reason in page.text


@pytest.mark.parametrize("emptied_frame", FRAMES)
def test_any_single_frame_may_be_empty(emptied_frame):
    analysis = traced(4)
    render(replace(analysis, frames={**analysis.frames, emptied_frame: frame(emptied_frame, [])}), {}, [])


def test_without_intervals_the_page_shows_none():
    analysis = replace(traced(), frames=holey_analysis().frames)
    html = render(analysis, {}, [])
    assert ">nan" not in html and "[nan" not in html and " nan" not in html
    assert "no interval can be given" in html


def test_names_cannot_break_out_of_the_page():
    analysis = traced(4)
    name = '<script>alert("x")</script>&'
    task = analysis.frames["gains"]["task"].iloc[0]
    frames = {key: rows.replace({task: name}) for key, rows in analysis.frames.items()}
    html = render(replace(analysis, frames=frames), {}, [])
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    page = Parsed(html)
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []


def test_claims_are_strict_json_and_carry_their_runs():
    analysis = traced()
    text = json.dumps(claims(replace(analysis, frames={**analysis.frames, **_with_holes(analysis)})), allow_nan=False)
    found = json.loads(text)
    gains = analysis.frames["gains"]
    assert len(found["verdicts"]) == len(gains)
    seed_gains = analysis.frames["seed_gains"]
    for claim in found["verdicts"][:5]:
        own = seed_gains[(seed_gains[["contrast", "fraction", "task"]] == [claim[key] for key in _KEY]).all(axis=1)]
        assert claim["runs"] == sorted({*own["joint_run"], *own["base_run"]})
        assert set(claim["runs"]) <= set(found["runs"][claim["contrast"]])
    assert found["verdicts"][0]["gain"] is None
    assert [each["verdict"] for each in found["findings"]] == list(analysis.frames["findings"]["verdict"])
    assert found["digests"]["split"] == MANIFEST.split
    assert len(found["digests"]["scores"]) == 64
    assert found["settings"]["correction"] == "BH"


_KEY = ("contrast", "fraction", "task")


def _with_holes(analysis: Analysis) -> dict[str, pd.DataFrame]:
    gains = analysis.frames["gains"].copy()
    gains.loc[0, "gain"] = float("nan")
    return {"gains": gains}


def test_public_numbers_of_the_paper_make_a_page_without_runs():
    page = Parsed(render(analyse(read_scores(PAPER)), {}, []))
    assert "The source names no runs" in page.text
    assert "no interval can be given" in page.text
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []


def test_answers_give_gains_in_pixels_their_unit_and_every_gain_its_supported_margin():
    """FUGC of the paper's public numbers is in pixels; the others are unit-free."""
    shown = {
        cell.text for answer in answers(analyse(read_scores(PAPER))) for each in answer.verdicts for cell in each.tasks
    }
    assert "FUGC +14.8 px" in shown and "breast_lesion −0.568" in shown
    hints = [cell.title for answer in answers(traced()) for each in answer.verdicts for cell in each.tasks]
    known = traced().frames["gains"].query("fraction == 1")["supported_margin"].notna().sum()
    assert sum("supports a margin of 0." in hint for hint in hints) == known > 0


def test_means_and_findings_lead_to_the_tasks_and_runs_behind_them():
    grids = page_of(traced(), {}, [])["grids"]
    contrasts = {cell.href for row in grids["group_means"].rows for cell in row if cell.text == "AU-TS"}
    assert contrasts == {"answer-AU-TS"}
    assert {answer.anchor for answer in answers(traced())} == {"answer-CG-TS", "answer-AU-TS", "answer-AU-CG"}
    assert {row[0].href for row in grids["ledger"].rows} == {"runs-section"}
    evidence = {cell.href for finding in findings(traced()) for part in finding.parts for cell in part.evidence}
    assert evidence == {"stability", "means"}


def test_only_verdicts_that_decide_something_count_as_firm():
    """With one seed and no cases every verdict is undecided under every choice: that is no firmness."""
    assert not any("analyses tried" in each.text for each in checks(analyse(read_scores(PAPER))))
    whole = traced()
    rows = whole.frames["multiverse"].assign(verdict=["harm"] + ["undecided"] * (len(whole.frames["multiverse"]) - 1))
    rows = rows.assign(share=1.0)
    said = [each.text for each in checks(replace(whole, frames={**whole.frames, "multiverse": rows}))]
    assert "1 of 1 decided verdict holds in 90 % of the analyses tried" in said


def test_what_is_listed_and_placed_nowhere_stands_at_the_end(monkeypatch, tmp_path):
    """A new statistic with its frame, table and figure needs no line of the template."""

    def table(analysis):
        return build("median_gains", "Median gains", analysis.frames["median_gains"], plain(str, "task"))

    monkeypatch.setitem(FRAMES, "median_gains", {"task": "task id"})
    monkeypatch.setitem(TABLES, "median_gains", ("median_gains", table))
    picture = Picture("Median gains, drawn", "What is seen.", "data:,", 100, ())
    whole = traced()
    for rows, shown in (([{"task": "lung"}], 1), ([], 0)):
        analysis = replace(whole, frames={**whole.frames, "median_gains": frame("median_gains", rows)})
        html = render(analysis, {"median_drawn": picture} if rows else {}, ())
        assert html.count("<b>Median gains</b>") == html.count('id="figure-median_drawn"') == shown
        assert html.count("More figures and tables") == shown
