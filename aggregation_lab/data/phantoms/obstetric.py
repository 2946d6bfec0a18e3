"""The birth canal seen by a convex probe: symphysis and head in labour, the cervix, and what is no standard plane."""

import numpy as np

from aggregation_lab.data.phantoms.fetal import along, skull, womb
from aggregation_lab.data.phantoms.shapes import Above, Below, Blob, Both, Point, Tube
from aggregation_lab.data.phantoms.tissue import FLUID, Tissue, Truth


def intrapartum(tissue: Tissue, appearance: str) -> Truth:
    """Transperineal sagittal view: pubic symphysis and fetal head; points are the two ends of the symphysis axis and
    where the tangent from its lower end touches the head (angle of progression)."""
    rng, height = tissue.rng, tissue.height
    tissue.fill(None, -6, mottle=5, grain=0.12, stretch=1.5)
    tissue.strands(Both(Below(-1.0), Below(0.3 * height), without=True), 9, grain=0.07, stretch=5)
    turn = rng.uniform(0.0, 0.9)
    symphysis = tissue.blob((0.41, 0.45), (0.29, 0.34, height), (0.075, 0.095), (0.03, 0.04), turn, rough=0.04)
    a = rng.uniform(0.19, 0.28)
    head = tissue.blob((0.54, 0.66), (0.68, 0.78, height), a, (0.68, 0.88, a), (-0.5, 1.0))
    skull(tissue, head)
    tissue.fill(symphysis, -12, mottle=2)
    tissue.rim(symphysis, 7, width=0.007, power=0.5)
    tissue.absorb(symphysis, 60)
    upper, lower = symphysis.point(np.pi), symphysis.point(0.0)
    return Truth({"symphysis": symphysis, "head": head}, (upper, lower, _tangent(head, lower)))


def _tangent(ellipse: Blob, point: Point) -> Point:
    """The right-hand one of the two points where a line from `point` touches the ellipse."""
    cos, sin = np.cos(ellipse.angle), np.sin(ellipse.angle)
    dx, dy = point[0] - ellipse.x, point[1] - ellipse.y
    u, v = (dx * cos + dy * sin) / ellipse.a, (dy * cos - dx * sin) / ellipse.b
    middle, half = np.arctan2(v, u), np.arccos(min(1.0, 1 / np.hypot(u, v)))
    return max(ellipse.point(float(middle + half)), ellipse.point(float(middle - half)))


def cervix(tissue: Tissue, appearance: str) -> Truth:
    """Transvaginal view: the two lips of the cervix along the canal, fetal head and fluid at its inner end; points
    are the inner and the outer end of the canal."""
    rng, height = tissue.rng, tissue.height
    tissue.fill(None, 0, mottle=4, grain=0.08, stretch=3)
    tissue.strands(None, 6, grain=0.07, stretch=5)
    tilt = rng.uniform(-0.1, 0.16)
    inner = (rng.uniform(0.33, 0.4), rng.uniform(0.42, 0.5) * height + tilt / 2)
    outer = (inner[0] + rng.uniform(0.28, 0.38), inner[1] - tilt)
    bow = rng.uniform(-0.03, 0.03)
    canal = Tube(inner, outer, 0.007, bow)
    thick = rng.uniform(0.075, 0.1)
    centre = along(inner, outer, 0.5)
    tube = Tube(inner, outer, thick, bow)
    head = tissue.blob(
        inner[0] - rng.uniform(0.2, 0.26), inner[1] + rng.uniform(0.06, 0.14), (0.18, 0.22), (0.16, 0.2), (-0.3, 0.3)
    )
    fluid = tissue.blob(inner[0] - 0.09, inner[1] + 0.02, 0.12, 0.13, 0.2, rough=0.12)
    tissue.fill(fluid, FLUID + 6)
    skull(tissue, head)
    body = Both(Both(tube, fluid, without=True), head, without=True)
    tissue.fill(body, -9, mottle=2, grain=0.05, stretch=2, edge=0.012)
    tissue.rim(tube, 3, width=0.007, power=0.7)
    gland = Tube(inner, outer, 0.022, bow)
    tissue.fill(gland, -18, mottle=2, edge=0.014)
    tissue.fill(canal, 4, edge=0.008)
    bladder = tissue.blob(centre[0] + rng.uniform(-0.25, -0.1), 0.13 * height, (0.07, 0.11), 0.035, 0.0, rough=0.1)
    tissue.fill(bladder, FLUID)
    lips = Both(body, canal, without=True)
    anterior, posterior = Both(lips, Above(canal)), Both(lips, Above(canal), without=True)
    return Truth({"cervix": body, "anterior": anterior, "posterior": posterior}, (inner, outer))


def other_plane(tissue: Tissue, appearance: str) -> Truth:
    """No standard plane: placenta, cord loops and small parts in fluid."""
    rng, height = tissue.rng, tissue.height
    womb(tissue)
    placenta = Below(rng.uniform(0.6, 0.7) * height, rng.uniform(-0.4, 0.4), 0.02, 1.2, rng.uniform(0, 6))
    tissue.fill(placenta, 0, mottle=1.5, grain=0.04)
    tissue.rim(placenta, 3, width=0.006)
    for _ in range(rng.integers(2, 6)):
        x, y = rng.uniform(0.25, 0.75), rng.uniform(0.3, 0.55) * height
        part = tissue.blob(x, y, (0.03, 0.07), (0.025, 0.05), (0, 3), rough=0.15)
        tissue.fill(part, -5, mottle=3)
        tissue.rim(part, 2, width=0.006, power=0.5)
        if rng.random() < 0.5:
            bone = Tube((x - 0.02, y), (x + 0.02, y + rng.uniform(-0.02, 0.02)), 0.006)
            tissue.fill(bone, 9)
            tissue.absorb(bone, 200)
    return Truth()
