"""Adult abdomen and pelvis seen by a convex probe: liver, abdominal organs, ovary, uterus."""

import numpy as np

from aggregation_lab.data.phantoms.shapes import Below, Blob, Both, Tube
from aggregation_lab.data.phantoms.tissue import FLUID, Tissue, Truth


def abdominal_wall(tissue: Tissue, depth: float = 0.12) -> None:
    """Skin, fat and muscle of the abdomen down to about `depth`; the rest is soft tissue to be painted over."""
    rng = tissue.rng
    tissue.fill(None, -3, mottle=3.5, grain=0.12, stretch=1.5)
    wall = Both(Below(-1.0), Below(depth, 0.0, 0.008, 1.1, rng.uniform(0, 6)), without=True)
    tissue.fill(wall, -4, mottle=4, grain=0.03, stretch=8)
    tissue.strands(wall, 10, grain=0.05, stretch=8)


def parenchyma(tissue: Tissue, vessels: int) -> None:
    """Liver: even fine texture, vessels with and without bright walls, the diaphragm as a deep bright arc."""
    rng, height = tissue.rng, tissue.height
    abdominal_wall(tissue, rng.uniform(0.09, 0.13))
    liver = tissue.blob(0.5 + rng.uniform(-0.04, 0.04), 0.44 * height, 0.62, (0.43, 0.48, height), (-0.1, 0.1))
    body = Both(liver, Below(0.1))
    tissue.fill(body, -2, mottle=1.2, grain=0.05)
    for _ in range(vessels):
        x, y, turn = rng.uniform(0.2, 0.8), rng.uniform(0.25, 0.75) * height, rng.uniform(-1.0, 1.0)
        length = rng.uniform(0.08, 0.24)
        end = (x + length * float(np.cos(turn)), y + length * float(np.sin(turn)))
        vessel = Tube((x, y), end, rng.uniform(0.006, 0.018), rng.uniform(-0.03, 0.03))
        tissue.fill(vessel, FLUID + 8)
        if rng.random() < 0.5:
            tissue.rim(vessel, 3, width=0.005, power=0.5)
    tissue.rim(liver, 13, width=0.009, power=1.0, inside=Below(0.55 * height))
    tissue.absorb_rim(liver, 120, width=0.01)


def liver_lesion(tissue: Tissue, appearance: str) -> Truth:
    """A liver with an "HCC" (dark, mosaic, halo) or a "hemangioma" (bright, even, sharp, enhancing)."""
    rng, height = tissue.rng, tissue.height
    parenchyma(tissue, int(rng.integers(4, 9)))
    x, y, a = rng.uniform(0.34, 0.66), rng.uniform(0.35, 0.62) * height, rng.uniform(0.06, 0.12)
    lesion = tissue.blob(x, y, a, (0.75, 1.0, a), (0, 3), rough=0.08 if appearance == "HCC" else 0.12)
    if appearance == "HCC":
        tissue.fill(lesion, -16)
        core = Blob(x, y, lesion.a * 0.86, lesion.b * 0.86, lesion.angle, lesion.outline)
        tissue.fill(core, rng.uniform(-9, -3), mottle=5, grain=0.035)
        tissue.strands(core, 7, grain=0.06)
    else:
        tissue.fill(lesion, rng.uniform(6, 9), mottle=1.5, grain=0.03)
        tissue.absorb(lesion, -25)
    return Truth({"lesion": lesion})


def organ(tissue: Tissue, appearance: str) -> Truth:
    """One of six abdominal organs: bladder, bowel, gallbladder, kidney, liver, spleen."""
    rng, height = tissue.rng, tissue.height
    x, y = rng.uniform(0.42, 0.58), rng.uniform(0.42, 0.52) * height
    if appearance in ("liver", "gallbladder"):
        parenchyma(tissue, int(rng.integers(5, 10)) if appearance == "liver" else 2)
    else:
        abdominal_wall(tissue)
    if appearance == "bladder":
        shape = tissue.blob(x, y, (0.22, 0.3), (0.2, 0.26, height), (-0.15, 0.15), rough=0.1)
        tissue.fill(shape, FLUID)
        tissue.rim(shape, 7, width=0.008, power=0.7)
        tissue.absorb(shape, -45)
    elif appearance == "gallbladder":
        length, turn = rng.uniform(0.12, 0.18), rng.uniform(0.2, 1.2) * rng.choice([-1, 1])
        shape = tissue.blob(x, y, length, (0.35, 0.5, length), turn, rough=0.09)
        tissue.fill(shape, FLUID)
        tissue.rim(shape, 6, width=0.006, power=0.4)
        tissue.absorb(shape, -50)
        if rng.random() < 0.5:
            stone = Blob(*shape.point(0.0 if np.sin(turn) > 0 else np.pi, 0.6), 0.02, 0.015)
            tissue.fill(stone, 14)
            tissue.absorb(stone, 800)
    elif appearance == "kidney":
        a, b = rng.uniform(0.22, 0.27), rng.uniform(0.13, 0.16) * height * 1.2
        shape = tissue.blob(x, y, a, b, (-0.4, 0.4), rough=0.04)
        tissue.fill(shape, -9, mottle=1.5)
        tissue.rim(shape, 3)
        sinus = tissue.blob(x, y, shape.a * 0.62, shape.b * 0.42, shape.angle, rough=0.25)
        tissue.fill(sinus, 7, mottle=4, grain=0.04, edge=0.03)
        for direction in np.linspace(0, 2 * np.pi, 9)[:-1]:
            px, py = shape.point(direction + 0.2, 0.68)
            tissue.fill(tissue.blob(px, py, 0.026, 0.018, direction, rough=0.15), -19, edge=0.015)
    elif appearance == "spleen":
        shape = tissue.blob(x, y, (0.27, 0.32), (0.2, 0.24, height), (-0.5, 0.5))
        hilum = Blob(*shape.point(np.pi / 2, 1.25), shape.a * 0.7, shape.b * 0.6, shape.angle)
        tissue.fill(Both(shape, hilum, without=True), -9, mottle=0.8, grain=0.05, edge=0.014)
        tissue.rim(shape, 8, power=0.8, patchy=3)
    elif appearance == "bowel":
        for centre in np.linspace(0.18, 0.82, int(rng.integers(3, 5))):
            loop = tissue.blob(
                centre, y + rng.uniform(-0.08, 0.05), (0.09, 0.12), (0.08, 0.12), (-0.4, 0.4), rough=0.15
            )
            tissue.fill(loop, -13, mottle=4)
            tissue.rim(loop, 13, width=0.011, inside=Below(loop.y, wave=0.01), power=0.5)
            lumen = tissue.blob(loop.x, loop.y, loop.a * 0.75, loop.b * 0.65, loop.angle, rough=0.2)
            tissue.fill(lumen, 6, mottle=6, grain=0.04)
            tissue.absorb(loop, rng.uniform(90, 190))
            for echo in (1, 2, 3):
                depth = loop.y + 0.07 * echo
                tissue.fill(Tube((loop.x - 0.05, depth), (loop.x + 0.05, depth), 0.006, 0.01), 8 + 10 * echo, edge=0.02)
    return Truth()


def ovary(tissue: Tissue, appearance: str) -> Truth:
    """A cystic ovarian tumour with septa and a solid part; small follicles and a vessel are look-alikes."""
    rng, height = tissue.rng, tissue.height
    abdominal_wall(tissue, 0.07)
    x, y = rng.uniform(0.42, 0.58), rng.uniform(0.45, 0.55) * height
    a = rng.uniform(0.15, 0.23)
    tumour = tissue.blob(x, y, a, (0.65, 0.95, a), (-0.5, 0.5), rough=0.1)
    stroma = tissue.blob(x, y, tumour.a + 0.09, tumour.b + 0.07, tumour.angle, rough=0.06)
    tissue.fill(stroma, 0, mottle=2, grain=0.05, edge=0.03)
    for direction in rng.uniform(0, 2 * np.pi, 3):
        tissue.fill(Blob(*stroma.point(direction, 0.88), 0.022, 0.02), FLUID)
    tissue.fill(tumour, FLUID + rng.uniform(0, 18), mottle=2)
    solid = Both(tissue.blob(*tumour.point(rng.uniform(0, 6.3), 0.75), a * 0.5, a * 0.42, (0, 3), rough=0.2), tumour)
    tissue.fill(solid, -4, mottle=4, grain=0.03)
    for _ in range(rng.integers(0, 4)):
        septum = Tube(tumour.point(rng.uniform(0, 3)), tumour.point(rng.uniform(3, 6)), 0.004, rng.uniform(-0.05, 0.05))
        tissue.fill(Both(septum, tumour), 0)
    tissue.rim(tumour, 5, width=0.006, power=0.5)
    tissue.absorb(tumour, -22)
    return Truth({"tumour": tumour})


def uterus(tissue: Tissue, appearance: str) -> Truth:
    """A uterus with its bright endometrial stripe and one whorled, shadowing fibroid; the bladder lies in front."""
    rng, height = tissue.rng, tissue.height
    abdominal_wall(tissue, 0.07)
    tilt = rng.uniform(-0.3, 0.3)
    body = tissue.blob((0.46, 0.54), (0.52, 0.58, height), (0.29, 0.34), (0.23, 0.27, height), tilt, rough=0.05)
    bladder = tissue.blob(body.x + rng.uniform(-0.22, 0.22), 0.17 * height, (0.1, 0.15), 0.05, (-0.2, 0.2), rough=0.1)
    tissue.fill(bladder, FLUID)
    tissue.absorb(bladder, -30)
    tissue.fill(body, -7, mottle=2, grain=0.05)
    tissue.rim(body, 4, width=0.007)
    stripe = Tube(body.point(np.pi, 0.6), body.point(0.0, 0.6), rng.uniform(0.012, 0.022), rng.uniform(-0.04, 0.04))
    tissue.fill(stripe, 6, mottle=2, edge=0.02)
    a = rng.uniform(0.07, 0.11)
    fibroid = tissue.blob(
        *body.point(rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.65)), a, (0.85, 1.0, a), 0.0, rough=0.05
    )
    tissue.fill(fibroid, rng.uniform(-18, -12), mottle=3, grain=0.03)
    for share in (0.8, 0.55, 0.3):
        tissue.rim(Blob(fibroid.x, fibroid.y, a * share, fibroid.b * share), -9, width=0.004, power=0.3)
    tissue.rim(fibroid, 0, width=0.005)
    tissue.absorb(fibroid, rng.uniform(20, 55))
    tissue.absorb_rim(fibroid, 150, width=0.006)
    return Truth({"fibroid": fibroid})
