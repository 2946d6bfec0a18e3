"""Videos: frames at a step, labels by folder or table, the video as subject."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.aggregation_lab.data.importing import sources
from tests.aggregation_lab.data.importing.kit import imported, pixels_of, read


def near(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two frames are one before and after a lossy codec; other frames differ by more than 5 greys."""
    return float(np.abs(one.astype(float) - other).mean()) < 4


def test_frames_at_a_step(capsys, tmp_path):
    text = imported(capsys, "video", tmp_path / "s", tmp_path / "out", *sources.video(tmp_path / "s"))
    assert "12 subjects from the videos" in text
    dataset, cases = read(tmp_path / "out")
    assert len(cases) == 36 and cases["subject"].nunique() == 12
    for number in range(12):
        frames = sources.moving(number, 24)
        mine = cases[cases["image"].str.contains(f"clip{number}_")].sort_values("image")
        for index, case in zip((0, 8, 16), mine.itertuples(), strict=True):
            shown = pixels_of(dataset, case)
            shown = shown if shown.ndim == 2 else shown.mean(-1)
            assert near(shown, frames[index]) and not near(shown, frames[index + 4])
            assert case.label == number % 2


def test_a_table_names_frames_in_any_order(capsys, tmp_path):
    rows = ["image,frame,x_min,y_min,x_max,y_max"]
    for number in range(5):
        sources.write_video(tmp_path / "s" / f"{number}.avi", sources.moving(number, 12))
        for index in (9, 2):
            rows.append(f"{number}.avi,{index},{2 + 2 * index},10,{12 + 2 * index},{20 + number}")
    sources.write(tmp_path / "t.csv", "\n".join(rows))
    imported(capsys, "video", tmp_path / "s", tmp_path / "out", "--labels", tmp_path / "t.csv")
    dataset, cases = read(tmp_path / "out")
    assert len(cases) == 10 and cases["subject"].nunique() == 5
    for case in cases.itertuples():
        shown = pixels_of(dataset, case).astype(float)
        x_min, y_min, x_max, y_max = (int(value) for value in case.box)
        assert shown[y_min + 2 : y_max - 2, x_min + 2 : x_max - 2].mean() > 190


def test_frames_of_one_video_never_become_several_subjects(capsys, tmp_path):
    """Nor where the video is called as tables call a missing value, or the table names its patient in one row only."""
    rows = ["image,frame,label,subject"]
    names = ["unknown", "na", "c", "d"]
    for number, name in enumerate(names):
        sources.write_video(tmp_path / "s" / f"{name}.avi", sources.moving(number, 12))
        rows += [f"{name}.avi,{index},{index % 2},{'P1' if (name, index) == ('c', 2) else ''}" for index in (2, 9)]
    sources.write(tmp_path / "t.csv", "\n".join(rows))
    imported(capsys, "video", tmp_path / "s", tmp_path / "out", "--labels", tmp_path / "t.csv")
    _, cases = read(tmp_path / "out")
    assert len(cases) == 8 and cases["subject"].nunique() == 4
    by_video = cases.groupby(cases["image"].str.extract(r"(\w+)_f\d+", expand=False))["subject"]
    assert sorted(by_video.groups) == sorted(names) and (by_video.nunique() == 1).all()


@pytest.mark.parametrize("name", ["cut.mp4", "text.mp4"])
def test_a_video_that_cannot_be_decoded_is_left_out(capsys, tmp_path, name):
    sources.video(tmp_path / "s")
    whole = (tmp_path / "s" / "small" / "clip1.mp4").read_bytes()
    sources.save(tmp_path / "s" / "small" / name, whole[:700] if name.startswith("cut") else b"text")
    text = imported(capsys, "video", tmp_path / "s", tmp_path / "out")
    assert f"small/{name}: is no video that can be decoded" in text
    assert "every 10th frame is taken (--step says otherwise)" in text


def gifs(root: Path) -> None:
    for number in range(12):
        frames = [Image.fromarray(frame) for frame in sources.moving(number, 6)]
        path = root / ("a", "b")[number % 2] / f"{number}.gif"
        path.parent.mkdir(parents=True, exist_ok=True)
        frames[0].save(path, save_all=True, append_images=frames[1:])


def test_frames_of_a_gif_are_cases_of_a_video_and_its_first_one_an_image(capsys, tmp_path):
    gifs(tmp_path / "s")
    imported(capsys, "video", tmp_path / "s", tmp_path / "video", "--step", "3")
    _, cases = read(tmp_path / "video")
    assert len(cases) == 24 and cases["subject"].nunique() == 12
    text = imported(capsys, "folder", tmp_path / "s", tmp_path / "folder")
    assert "holds several pictures, of which the first is taken; agglab import video takes the frames" in text
