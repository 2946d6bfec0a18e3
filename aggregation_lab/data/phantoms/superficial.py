"""Anatomy seen by a linear probe: breast, neck, lung, spinal cord.

Every function draws one subject with `tissue.rng` onto `tissue` and returns what was drawn. `appearance` is the
visible finding the label rules of catalogue.py refer to.
"""

import numpy as np

from aggregation_lab.data.phantoms.shapes import Below, Blob, Both, Tube
from aggregation_lab.data.phantoms.tissue import FLUID, Tissue, Truth


def breast(tissue: Tissue, appearance: str) -> Truth:
    """Fat, gland, pectoral muscle; a "benign" (oval, smooth, enhancing) or "malignant" (spiculated, shadowing) mass."""
    rng, height = tissue.rng, tissue.height
    gland = Below(
        rng.uniform(0.16, 0.28) * height, rng.uniform(-0.06, 0.06), rng.uniform(0.01, 0.03), 1.3, rng.uniform(0, 6)
    )
    muscle = Below(rng.uniform(0.68, 0.82) * height, rng.uniform(-0.08, 0.08), 0.015, 0.8, rng.uniform(0, 6))
    wall = Below(muscle.level + rng.uniform(0.12, 0.2), muscle.slope, 0.02, 1.0, muscle.phase)
    tissue.fill(None, -9, mottle=2.5, grain=0.12, stretch=2)
    tissue.strands(None, 14, grain=0.14, stretch=2.4)
    tissue.fill(gland, 1, mottle=4, grain=0.07, stretch=2.5, edge=0.02)
    tissue.strands(gland, 7, grain=0.06, stretch=3)
    for _ in range(rng.integers(1, 4)):
        lobule = tissue.blob((0.05, 0.95), (0.25, 0.65, height), (0.04, 0.09), (0.015, 0.03), (-0.3, 0.3), rough=0.15)
        tissue.fill(lobule, rng.uniform(-13, -8), mottle=2, edge=0.02)
    tissue.fill(muscle, -10, mottle=3, grain=0.035, stretch=7, edge=0.015)
    tissue.strands(muscle, 11, grain=0.05, stretch=7)
    tissue.rim(muscle, 6, width=0.006)
    tissue.rim(wall, 10, width=0.008)
    tissue.absorb(wall, 70)
    if appearance == "normal":
        return Truth()
    x, y = rng.uniform(0.25, 0.75), rng.uniform(0.36, 0.56) * height
    if appearance == "benign":
        a = rng.uniform(0.09, 0.18)
        mass = tissue.blob(x, y, a, (0.45, 0.65, a), (-0.25, 0.25), rough=0.05)
        tissue.fill(mass, rng.uniform(-24, -15), mottle=2, grain=0.05, edge=0.008)
        tissue.rim(mass, 2, width=0.005)
        tissue.absorb(mass, -rng.uniform(15, 40))
    else:
        a = rng.uniform(0.07, 0.13)
        mass = tissue.blob(x, y, a, (0.85, 1.25, a), (-0.4, 0.4), rough=0.18, spikes=0.26)
        halo = tissue.blob(x, y, a * 1.35, mass.b * 1.3, mass.angle, rough=0.15)
        tissue.fill(halo, 3, mottle=3, grain=0.04, edge=0.05)
        tissue.fill(mass, rng.uniform(-21, -13), mottle=5, grain=0.03, edge=0.03)
        tissue.absorb(mass, rng.uniform(35, 80))
    return Truth({"mass": mass})


def neck(tissue: Tissue, appearance: str) -> Truth:
    """Thyroid lobe with a dark solid and a bright nodule, trachea, carotid artery and jugular vein, in one section."""
    rng, height = tissue.rng, tissue.height
    side = 1.0 if rng.random() < 0.5 else -1.0
    # Medial is towards the trachea; `side` tells on which side of the picture that is.
    tissue.fill(None, -4, mottle=3, grain=0.08, stretch=3)
    strap = Tube(
        (-0.1, rng.uniform(0.2, 0.24) * height), (1.1, rng.uniform(0.2, 0.24) * height), 0.045, rng.uniform(-0.03, 0.03)
    )
    tissue.fill(strap, -15, mottle=2, grain=0.03, stretch=8)
    tissue.strands(strap, 11, grain=0.04, stretch=8)
    tissue.rim(strap, 2)
    deep = Below(rng.uniform(0.78, 0.86) * height, 0.05 * side, 0.01, 1.2)
    tissue.fill(deep, -14, mottle=3, grain=0.03, stretch=6)
    tissue.strands(deep, 10, grain=0.05, stretch=6)
    tissue.rim(deep, 4)
    x = 0.5 + side * rng.uniform(-0.02, 0.05)
    lobe = tissue.blob(x, (0.52, 0.58, height), (0.23, 0.28), (0.21, 0.25, height), (0.0, 0.2, side), rough=0.06)
    tissue.fill(lobe, 2, mottle=1.2, grain=0.05)
    tissue.rim(lobe, 0)
    trachea = tissue.blob(0.5 + side * rng.uniform(0.44, 0.5), 0.55 * height, 0.17, 0.26 * height)
    tissue.fill(trachea, -16, mottle=4, grain=0.04, stretch=4)
    tissue.rim(trachea, 16, width=0.008)
    tissue.absorb(trachea, 60)
    carotid = tissue.blob(0.5 - side * rng.uniform(0.34, 0.38), (0.58, 0.68, height), (0.06, 0.085), (0.055, 0.075))
    x, y = carotid.x - side * rng.uniform(0.0, 0.05), carotid.y - rng.uniform(0.17, 0.2) * height
    vein = tissue.blob(x, y, (0.08, 0.11), (0.025, 0.04), (-0.3, 0.3), rough=0.08)
    tissue.fill(vein, FLUID)
    tissue.fill(carotid, FLUID)
    tissue.rim(carotid, 9, width=0.007, power=0.7)
    for vessel in (vein, carotid):
        tissue.absorb(vessel, -30)
    ends = (0.0, np.pi) if rng.random() < 0.5 else (np.pi, 0.0)
    nodules = []
    for end in ends:
        a = rng.uniform(0.06, 0.095)
        x, y = lobe.point(end, rng.uniform(0.4, 0.52))
        y += rng.uniform(-0.05, 0.05)
        nodules.append(tissue.blob(x, y, a, (0.65, 1.0, a), (-0.4, 0.4), rough=0.09))
    dark, bright = nodules
    tissue.fill(dark, rng.uniform(-19, -12), mottle=2.5, grain=0.04)
    tissue.rim(dark, -3, width=0.005)
    tissue.fill(bright, rng.uniform(8, 11), mottle=2, grain=0.03, edge=0.012)
    tissue.rim(Blob(bright.x, bright.y, bright.a + 0.01, bright.b + 0.01, bright.angle, bright.outline), -6)
    return Truth({"dark nodule": dark, "bright nodule": bright, "artery": carotid})


def lung(tissue: Tissue, appearance: str) -> Truth:
    """Chest wall, two ribs with shadows, pleural line; below it "A-lines", "B-lines" or a "consolidation"."""
    rng, height = tissue.rng, tissue.height
    ragged = appearance != "A-lines"
    level, slope = rng.uniform(0.27, 0.36) * height, rng.uniform(-0.03, 0.03)
    pleura = Below(level, slope, 0.006 if ragged else 0.002, rng.uniform(1.5, 3), rng.uniform(0, 6))
    tissue.fill(None, -7, mottle=3, grain=0.04, stretch=7)
    tissue.strands(None, 11, grain=0.06, stretch=8)
    # Behind the pleura is air: what is seen there is artefact only.
    tissue.fill(pleura, -17, mottle=5, grain=0.12)
    tissue.rim(pleura, 10 if ragged else 14, width=0.008)
    gap = float(pleura.level)
    behind = tissue.y - pleura.surface(tissue.x)
    if appearance == "A-lines":
        for echo in range(2, 5):
            away = (behind - np.float32((echo - 1) * gap)) / np.float32(0.007)
            middle = np.exp(-(((tissue.x - np.float32(rng.uniform(0.45, 0.55))) / np.float32(0.3)) ** 4))
            tissue.specular += np.exp(-(away**2)) * middle * np.float32(10 ** ((7 - 5 * echo) / 20))
    ribs = []
    for x in (rng.uniform(-0.02, 0.12), rng.uniform(0.88, 1.02)):
        ribs.append(tissue.blob(x, gap - rng.uniform(0.06, 0.09), (0.09, 0.13), 0.045))
    if appearance != "A-lines":
        for _ in range(rng.integers(2, 5) if appearance == "B-lines" else 1):
            centre, width = rng.uniform(-0.62, 0.62), rng.uniform(0.025, 0.09)
            streak = np.exp(-(((tissue.beam - np.float32(centre)) / np.float32(width)) ** 2)) * (behind > 0)
            tissue.echo += np.float32(rng.uniform(13, 20)) * streak
    if appearance == "consolidation":
        x, y = rng.uniform(0.38, 0.62), gap + rng.uniform(0.06, 0.1)
        patch = tissue.blob(x, y, (0.14, 0.22), (0.1, 0.17), (-0.2, 0.2), rough=0.2, spikes=0.12)
        solid = Both(patch, pleura)
        tissue.fill(solid, -3, mottle=3, grain=0.04)
        for _ in range(rng.integers(4, 9)):
            x, y = patch.point(rng.uniform(0, 6.3), rng.uniform(0.1, 0.7))
            tissue.fill(tissue.blob(x, max(y, gap + 0.03), (0.008, 0.02), 0.006, (-0.6, 0.6)), 12)
    for rib in ribs:
        tissue.fill(rib, -12, mottle=3)
        tissue.rim(rib, 15, width=0.008)
        tissue.absorb(rib, 330)
    left, right = ribs[0].x + ribs[0].a, ribs[1].x - ribs[1].a
    window = Tube(((left + right) / 2, -1.0), ((left + right) / 2, 2.0), (right - left) / 2)
    return Truth({"lung": Both(pleura, window)})


def spinal_cord(tissue: Tissue, appearance: str) -> Truth:
    """Longitudinal cord in fluid between dura and pia, with a bright swollen lesion; a decoy clot lies outside."""
    rng, height = tissue.rng, tissue.height
    tissue.fill(None, -3, mottle=3, grain=0.06, stretch=4)
    tissue.strands(None, 10, grain=0.08, stretch=5)
    middle, tilt, bow = rng.uniform(0.46, 0.56) * height, rng.uniform(-0.04, 0.04), rng.uniform(-0.03, 0.03)
    ends = (-0.1, middle - tilt), (1.1, middle + tilt)
    canal = Tube(*ends, rng.uniform(0.17, 0.2) * height * 1.3, bow)
    cord = Tube(*ends, canal.half_width * rng.uniform(0.6, 0.7), bow)
    spine = Below(middle + canal.half_width + 0.03, 2 * tilt, 0.012, rng.uniform(2.5, 4), rng.uniform(0, 6))
    tissue.fill(canal, FLUID + 12, mottle=2)
    tissue.rim(canal, 8, width=0.006)
    tissue.fill(cord, -13, mottle=1.5, grain=0.05, stretch=5)
    tissue.rim(cord, 3)
    tissue.fill(Tube(*ends, 0.004, bow), -2)
    tissue.fill(spine, -6, mottle=4)
    tissue.rim(spine, 13, width=0.009)
    tissue.absorb(spine, 90)
    share = rng.uniform(0.25, 0.75)
    lesion = tissue.blob(*cord.point(share), (0.06, 0.12), (0.75, 1.1, cord.half_width), (-0.2, 0.2), rough=0.12)
    tissue.fill(lesion, rng.uniform(0, 5), mottle=4, grain=0.035, edge=0.015)
    tissue.fill(tissue.blob(lesion.x, lesion.y, lesion.a * 0.35, lesion.b * 0.3, 0.0, rough=0.2), -16, mottle=3)
    decoy_x = lesion.x + (0.33 if lesion.x < 0.5 else -0.33)
    decoy_y = middle - canal.half_width - rng.uniform(0.06, 0.09)
    decoy = tissue.blob(decoy_x, decoy_y, (0.05, 0.09), 0.03, 0.0, rough=0.12)
    tissue.fill(decoy, 6, mottle=4, grain=0.035, edge=0.015)
    return Truth({"lesion": lesion})
