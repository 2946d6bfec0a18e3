"""One picture of one subject: anatomy, pose and machine settings put together, with its targets in pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation_lab.data.phantoms.catalogue import SOURCES
from aggregation_lab.data.phantoms.physics import BeamGrid, MachineSettings, Probe, beam_grid, picture
from aggregation_lab.data.phantoms.plan import Picture, random
from aggregation_lab.data.phantoms.tissue import Pose, Tissue, Truth

PROBES = {
    "linear": (Probe(0.68), Probe(0.76), Probe(0.85)),
    "convex": (
        Probe(0.75, half_angle=0.62, radius=0.17),
        Probe(0.72, half_angle=0.57, radius=0.25),
        Probe(0.80, half_angle=0.52, radius=0.35),
    ),
    "phased": (Probe(0.92, half_angle=0.58, radius=0.03), Probe(1.0, half_angle=0.53, radius=0.03)),
}
"""The machines of each probe type; a subject is seen with one of them."""


@dataclass(frozen=True)
class View:
    """A rendered picture (H x W, uint8) and what is in it."""

    image: NDArray[np.uint8]
    truth: Truth
    pose: Pose
    grid: BeamGrid

    def mask(self, structures: tuple[str, ...]) -> NDArray[np.uint8]:
        """Class indices (H x W): k where the k-th structure is (later ones win), 0 elsewhere and outside the beam."""
        x, y = self.pose.to_body(self.grid.pixel_x, self.grid.pixel_y)
        classes = np.zeros(self.image.shape, np.uint8)
        for index, structure in enumerate(structures, start=1):
            classes[(self.truth.shapes[structure].distance(x, y) < 0) & self.grid.visible] = index
        return classes

    def box(self, structure: str) -> tuple[int, int, int, int]:
        """(x_min, y_min, x_max, y_max) in pixels: the outer edges of the structure's first and last pixels."""
        rows, columns = np.nonzero(self.mask((structure,)))
        return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1

    def points(self) -> list[tuple[float, float]]:
        """The scene's points in pixels, pixel i spanning [i, i + 1), rounded to a tenth and kept inside."""
        height, width = self.image.shape
        points = [self.pose.to_canvas(point) for point in self.truth.points]
        return [
            (round(float(np.clip(x * width, 0, width - 1)), 1), round(float(np.clip(y * width, 0, height - 1)), 1))
            for x, y in points
        ]


def render(shown: Picture, size: int, seed: int) -> View:
    """Draw `shown` at `size` pixels. The subject's anatomy and machine are the same in all its frames; pose, gain and
    speckle are the frame's own."""
    source = SOURCES[shown.source]
    subject = random(seed, source.key, "subject", shown.subject, shown.appearance)
    frame = random(seed, source.key, "frame", shown.subject, shown.frame)
    probes = PROBES[source.probe]
    probe = probes[int(subject.integers(len(probes)))]
    settings = MachineSettings(
        gain=subject.uniform(31, 39) + frame.normal(0, 0.7),
        dynamic_range=subject.uniform(56, 66),
        slope=subject.uniform(-14, 1),
        noise=subject.uniform(-42, -33),
    )
    marks = subject.random()
    # A linear probe pressed on the skin hardly tilts; lung artefacts run along the beams and must stay upright.
    tilt = {"linear": 0.0, "convex": 0.07, "phased": 0.05}[source.probe]
    pose = Pose(
        turn=frame.uniform(-tilt, tilt),
        scale=subject.uniform(0.92, 1.08) * frame.uniform(0.97, 1.03),
        shift=(frame.uniform(-0.03, 0.03), frame.uniform(-0.02, 0.02)),
        centre=(0.5, probe.height / 2),
    )
    grid = beam_grid(probe, size)
    tissue = Tissue(grid, pose, probe.height, subject)
    truth = source.draw(tissue, shown.appearance)
    image = picture(frame, tissue.echo, tissue.specular, tissue.loss, grid, settings)
    if source.probe != "linear" and marks < 0.6:
        _scale_marks(image, grid)
    return View(image, truth, pose, grid)


def _scale_marks(image: NDArray[np.uint8], grid: BeamGrid) -> None:
    """The grey bar and depth ticks that machines put beside the sector; never over tissue."""
    height, width = image.shape
    bar = np.zeros_like(image)
    first, last, wide = round(0.06 * height), round(0.42 * height), max(1, width // 64)
    bar[first:last, wide : 2 * wide] = np.linspace(235, 10, last - first, dtype=np.uint8)[:, None]
    bar[:: max(4, height // 9), width - 3 * wide : width - wide] = 170
    image[~grid.visible] = bar[~grid.visible]
