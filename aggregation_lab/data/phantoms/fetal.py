"""The fetus seen by a convex probe: head and its position, pelvis, abdomen, chest, femur."""

import numpy as np

from aggregation_lab.data.phantoms.shapes import Below, Blob, Both, Point, Tube
from aggregation_lab.data.phantoms.tissue import FLUID, Tissue, Truth

POSITIONS = ("LOA", "LOP", "LOT", "NOA", "NOP", "ROA", "ROP", "ROT")
SACRAL_POSITIONS = tuple(position.replace("O", "S") for position in POSITIONS)
DIRECTIONS = {"NA": 0, "LA": 45, "LT": 90, "LP": 135, "NP": 180, "RP": 225, "RT": 270, "RA": 315}
"""Where the occiput or sacrum points, in degrees clockwise from the probe; the mother's left is at the right."""


def womb(tissue: Tissue) -> None:
    """Abdominal wall, uterine wall and a pool of amniotic fluid."""
    tissue.fill(None, -3, mottle=3, grain=0.1, stretch=1.5)
    tissue.strands(Both(Below(-1.0), Below(0.13), without=True), 10, grain=0.05, stretch=8)
    y, height = 0.56 * tissue.height, (0.36, 0.42, tissue.height)
    pool = tissue.blob((0.45, 0.55), y, (0.4, 0.48), height, (-0.15, 0.15), rough=0.1)
    tissue.fill(pool, FLUID + 8, mottle=2)
    tissue.rim(pool, 2, width=0.008)


def skull(tissue: Tissue, head: Blob) -> None:
    """Brain inside a bright skull that shines where the beam meets it head-on and shadows what lies behind."""
    tissue.fill(head, -20, mottle=3, grain=0.07)
    tissue.strands(Blob(head.x, head.y, head.a * 0.85, head.b * 0.85, head.angle), 8, grain=0.09, stretch=1.5)
    tissue.rim(head, 21, width=0.009, power=2.2, patchy=4)
    tissue.absorb_rim(head, 170, width=0.008)


def along(start: Point, end: Point, share: float) -> Point:
    """The point at `share` of the way from start to end."""
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def brain(tissue: Tissue, head: Blob, front: float = 1.0) -> None:
    """Midline echo broken by the cavum, thalami and choroid plexus; `front` (+1/-1) is the brow's end of the axis."""
    rng = tissue.rng
    start, end = head.point(0 if front > 0 else np.pi, 0.88), head.point(np.pi if front > 0 else 0, 0.85)
    tissue.fill(Tube(start, end, 0.005, rng.uniform(-0.006, 0.006)), 0, mottle=4)
    tissue.fill(Blob(*along(start, end, 0.25), head.a * 0.09, head.b * 0.09, head.angle), FLUID)
    for side in (-1, 1):
        middle = along(start, end, 0.5)
        offset = side * head.b * 0.2
        thalamus = (middle[0] - np.sin(head.angle) * offset, middle[1] + np.cos(head.angle) * offset)
        tissue.fill(Blob(*thalamus, head.a * 0.17, head.b * 0.16, head.angle + 0.4 * side), -14, mottle=2, edge=0.02)
        plexus = head.point(side * 2.2 if front > 0 else side * 0.9, 0.55)
        tissue.fill(Blob(*plexus, head.a * 0.2, head.b * 0.1, head.angle), 0, mottle=4, grain=0.03, edge=0.02)


def fetal_head(tissue: Tissue, appearance: str) -> Truth:
    """The standard section of the fetal head, for its circumference."""
    rng, height = tissue.rng, tissue.height
    womb(tissue)
    a = rng.uniform(0.2, 0.29)
    head = tissue.blob((0.46, 0.54), (0.48, 0.58, height), a, (0.72, 0.82, a), (-0.6, 0.6))
    skull(tissue, head)
    brain(tissue, head, 1.0 if rng.random() < 0.5 else -1.0)
    return Truth({"head": head})


def _direction(tissue: Tissue, position: str) -> float:
    """Where the occiput or sacrum points in this position, give or take 14 degrees; in radians, 0 to the right."""
    clockwise = np.radians(DIRECTIONS[position[0] + position[2]] + tissue.rng.uniform(-14, 14))
    return float(clockwise - np.pi / 2)


def head_position(tissue: Tissue, appearance: str) -> Truth:
    """Transverse head; the orbits lie at the face, opposite to the occiput whose direction is the appearance."""
    rng, height = tissue.rng, tissue.height
    womb(tissue)
    towards = _direction(tissue, appearance)
    a = rng.uniform(0.24, 0.28)
    head = tissue.blob((0.47, 0.53), 0.54 * height, a, (0.74, 0.82, a), towards)
    skull(tissue, head)
    start, end = head.point(np.pi, 0.45), head.point(0.0, 0.9)
    tissue.fill(Tube(start, end, 0.005), 1, mottle=3)
    for side in (-1, 1):
        orbit = Blob(*head.point(np.pi + side * 0.62, 0.74), a * 0.16, a * 0.14, towards)
        tissue.fill(orbit, FLUID)
        tissue.rim(orbit, 9, width=0.007, power=0.4)
        # Cerebellum: two lobes at the occiput.
        tissue.fill(
            Blob(*head.point(side * 0.42, 0.62), a * 0.17, a * 0.13, towards), -3, mottle=2, grain=0.03, edge=0.015
        )
    tissue.fill(Blob(*head.point(np.pi, 0.82), a * 0.06, a * 0.06), 6)
    return Truth({"head": head})


def sacral_position(tissue: Tissue, appearance: str) -> Truth:
    """Breech: transverse fetal pelvis; the sacral spine (three bright centres with a shadow) gives the direction."""
    rng, height = tissue.rng, tissue.height
    womb(tissue)
    towards = _direction(tissue, appearance)
    a = rng.uniform(0.23, 0.27)
    trunk = tissue.blob((0.47, 0.53), 0.54 * height, a, (0.88, 0.98, a), towards, rough=0.04)
    tissue.fill(trunk, -7, mottle=3, grain=0.05)
    tissue.rim(trunk, 4, width=0.008, power=0.8, patchy=3)
    _spine(tissue, trunk, 0.0)
    for side in (-1, 1):
        wing = Tube(trunk.point(side * 0.5, 0.66), trunk.point(side * 1.05, 0.74), 0.01, 0.02 * side)
        tissue.fill(wing, 11)
        tissue.absorb(wing, 260)
    bladder = tissue.blob(*trunk.point(np.pi, 0.42), a * 0.2, a * 0.15, towards, rough=0.1)
    tissue.fill(bladder, FLUID)
    return Truth({"trunk": trunk})


def _spine(tissue: Tissue, trunk: Blob, direction: float) -> None:
    """Vertebra in cross-section: a body and two laminae around the dark canal, with bone shadow behind."""
    for turn, share in ((0.0, 0.62), (0.17, 0.84), (-0.17, 0.84)):
        centre = Blob(*trunk.point(direction + turn, share), 0.021, 0.017, trunk.angle)
        tissue.fill(centre, 13, edge=0.012)
        tissue.absorb(centre, 480)
    tissue.fill(Blob(*trunk.point(direction, 0.76), 0.013, 0.013), FLUID)


def fetal_abdomen(tissue: Tissue, appearance: str) -> Truth:
    """Transverse abdomen: liver, stomach, umbilical vein, aorta, spine with shadow."""
    rng, height = tissue.rng, tissue.height
    womb(tissue)
    a = rng.uniform(0.23, 0.28)
    towards = float(rng.uniform(0, 2 * np.pi))
    side = 1 if rng.random() < 0.5 else -1
    trunk = tissue.blob((0.47, 0.53), 0.54 * height, a, (0.88, 0.98, a), towards, rough=0.03)
    inner = Blob(trunk.x, trunk.y, a * 0.9, trunk.b * 0.9, towards, trunk.outline)
    tissue.fill(trunk, -8, mottle=3, grain=0.05)
    tissue.rim(trunk, 6, width=0.009, power=0.8, patchy=3)
    liver = tissue.blob(
        *trunk.point(np.pi - side * 0.75, 0.33), a * 0.58, trunk.b * 0.5, towards - side * 0.4, rough=0.06
    )
    length, turn = a * rng.uniform(0.2, 0.28), towards + rng.uniform(-0.5, 0.5)
    stomach = tissue.blob(*trunk.point(side * 1.25, 0.5), length, a * 0.17, turn, rough=0.12)
    vein = Tube(trunk.point(np.pi, 0.72), trunk.point(np.pi - side * 0.5, 0.16), a * 0.06, side * -0.02)
    artery = Blob(*trunk.point(side * 0.3, 0.4), a * 0.085, a * 0.085)
    body = Both(Both(liver, inner), stomach, without=True)
    tissue.fill(body, -2, mottle=1, grain=0.04)
    for vessel in (vein, stomach, artery):
        tissue.fill(vessel, FLUID)
        tissue.rim(vessel, -2 if vessel is stomach else 3, width=0.005, power=0.5)
    _spine(tissue, trunk, 0.0)
    for turn in (0.55, -0.55, 0.9, -0.9):
        rib = Tube(trunk.point(turn, 0.93), trunk.point(turn * 1.25, 0.95), 0.006)
        tissue.fill(rib, 8)
        tissue.absorb(rib, 200)
    liver_left = Both(Both(body, vein, without=True), artery, without=True)
    return Truth({"artery": artery, "liver": liver_left, "stomach": stomach, "vein": vein})


def fetal_chest(tissue: Tissue, appearance: str) -> Truth:
    """Transverse thorax with the four-chamber heart, lungs, ribs and spine."""
    rng, height = tissue.rng, tissue.height
    womb(tissue)
    a = rng.uniform(0.22, 0.27)
    towards = float(rng.uniform(0, 2 * np.pi))
    trunk = tissue.blob((0.47, 0.53), 0.54 * height, a, (0.86, 0.96, a), towards, rough=0.03)
    tissue.fill(trunk, -5, mottle=2, grain=0.04)
    tissue.rim(trunk, 6, width=0.009, power=0.8, patchy=3)
    side = 1 if rng.random() < 0.5 else -1
    heart = tissue.blob(
        *trunk.point(np.pi - side * 0.5, 0.2), (0.42, 0.5, a), (0.32, 0.38, a), towards + side * 0.75, rough=0.05
    )
    tissue.fill(heart, -4, mottle=2, grain=0.03)
    tissue.rim(heart, 3, width=0.006, power=0.5)
    for turn, share in ((0.72, 0.48), (-0.72, 0.48), (np.pi - 0.72, 0.5), (np.pi + 0.72, 0.5)):
        chamber = tissue.blob(*heart.point(turn, share), heart.a * 0.36, heart.b * 0.34, heart.angle, rough=0.08)
        tissue.fill(chamber, FLUID + 4, edge=0.01)
    _spine(tissue, trunk, 0.0)
    for turn in (0.6, -0.6, 1.15, -1.15, 1.8, -1.8):
        rib = Tube(trunk.point(turn, 0.95), trunk.point(turn * 1.13, 0.95), 0.007)
        tissue.fill(rib, 10)
        tissue.absorb(rib, 260)
    return Truth({"heart": heart})


def femur(tissue: Tissue, appearance: str) -> Truth:
    """The thigh with the femoral shaft, bright and shadowing; points are its two ends, left one first."""
    rng, height = tissue.rng, tissue.height
    womb(tissue)
    turn, length = rng.uniform(-0.6, 0.6), rng.uniform(0.2, 0.34)
    x, y = rng.uniform(0.42, 0.58), rng.uniform(0.4, 0.55) * height
    reach = (length / 2 * float(np.cos(turn)), length / 2 * float(np.sin(turn)))
    start, end = (x - reach[0], y - reach[1]), (x + reach[0], y + reach[1])
    thigh = tissue.blob(x, y + rng.uniform(-0.02, 0.03), length * 0.72, (0.1, 0.15), turn, rough=0.1)
    tissue.fill(thigh, -8, mottle=3, grain=0.04, stretch=3, edge=0.015)
    tissue.strands(thigh, 6, grain=0.04, stretch=3)
    tissue.rim(thigh, -1, width=0.007, power=0.7)
    shaft = Tube(start, end, 0.011, rng.uniform(-0.012, 0.012))
    tissue.fill(shaft, 15, mottle=2, edge=0.012)
    tissue.absorb(shaft, rng.uniform(700, 1100))
    for centre in (along(start, end, -0.1), along(start, end, 1.1)):
        tissue.fill(tissue.blob(*centre, 0.035, 0.04, 0.0, rough=0.1), -16, mottle=2, edge=0.015)
    return Truth({"shaft": shaft}, (start, end))
