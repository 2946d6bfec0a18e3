"""Shapes of anatomy as signed distance functions: negative inside, in canvas units (1 = the image's longer side).

A shape is evaluated on the beam samples to draw it and on the pixel centres to mask it, so that both always agree.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = tuple[float, float]


class Shape(Protocol):
    def distance(self, x: Field, y: Field) -> Field:
        """Approximate signed distance to the border at points (x, y); any shape in, the same shape out."""
        ...


@dataclass(frozen=True)
class Blob:
    """An ellipse (semi-axes `a`, `b`, turned by `angle` radians), its radius optionally scaled by an `outline`."""

    x: float
    y: float
    a: float
    b: float
    angle: float = 0.0
    outline: tuple[float, ...] = ()

    def distance(self, x: Field, y: Field) -> Field:
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        dx, dy = x - np.float32(self.x), y - np.float32(self.y)
        u = (dx * cos + dy * sin) / np.float32(self.a)
        v = (dy * cos - dx * sin) / np.float32(self.b)
        radius = np.hypot(u, v) + np.float32(1e-5)
        slope = np.hypot(u / np.float32(self.a), v / np.float32(self.b)) + np.float32(1e-5)
        relative = radius
        if self.outline:
            turns = np.arctan2(v, u) * np.float32(len(self.outline) / (2 * np.pi))
            profile = np.array(self.outline, np.float64)
            factor: NDArray[np.float64] = np.interp(turns, np.arange(len(profile)), profile, period=len(profile))
            relative = np.divide(radius, factor, dtype=np.float32)
        return (relative - 1) * radius / slope

    def point(self, direction: float, share: float = 1.0) -> Point:
        """The point at `share` of the way from the centre to the plain ellipse, at ellipse angle `direction`."""
        u, v = share * self.a * np.cos(direction), share * self.b * np.sin(direction)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return float(self.x + u * cos - v * sin), float(self.y + u * sin + v * cos)


@dataclass(frozen=True)
class Tube:
    """A band of given half width around the parabola from `start` to `end` that bulges by `bow` to its side."""

    start: Point
    end: Point
    half_width: float
    bow: float = 0.0

    def distance(self, x: Field, y: Field) -> Field:
        beyond, across = self.offsets(x, y)
        return np.hypot(beyond, across) - np.float32(self.half_width)

    def offsets(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Distance past the ends along the run (0 beside it), and signed distance from the centre line across it."""
        run = np.array(self.end) - np.array(self.start)
        length = float(np.hypot(*run))
        ux, uy = np.float32(run[0] / length), np.float32(run[1] / length)
        dx, dy = x - np.float32(self.start[0]), y - np.float32(self.start[1])
        along = dx * ux + dy * uy
        inner = np.minimum(np.maximum(along, np.float32(0)), np.float32(length))
        share = inner / np.float32(length)
        bulge = np.float32(4 * self.bow) * share * (1 - share)
        return along - inner, np.subtract(dy * ux - dx * uy, bulge, dtype=np.float32)

    def point(self, share: float) -> Point:
        """The point at `share` of the way along the centre line."""
        run = np.array(self.end) - np.array(self.start)
        side = np.array([-run[1], run[0]]) / np.hypot(*run)
        x, y = np.array(self.start) + share * run + side * (4 * self.bow * share * (1 - share))
        return float(x), float(y)


@dataclass(frozen=True)
class Above:
    """The side of a tube's centre line that lies above it when the tube runs from left to right."""

    tube: Tube

    def distance(self, x: Field, y: Field) -> Field:
        return self.tube.offsets(x, y)[1]


@dataclass(frozen=True)
class Below:
    """Everything deeper than a gently waving surface: y > level + slope (x - 1/2) + waves."""

    level: float
    slope: float = 0.0
    wave: float = 0.0
    cycles: float = 1.0
    phase: float = 0.0

    def distance(self, x: Field, y: Field) -> Field:
        return self.surface(x) - y

    def surface(self, x: Field) -> Field:
        waves = np.float32(self.wave) * np.sin(np.float32(2 * np.pi * self.cycles) * x + np.float32(self.phase))
        return np.float32(self.level) + np.float32(self.slope) * (x - np.float32(0.5)) + waves


@dataclass(frozen=True)
class Both:
    """The part of `first` inside `second`, or outside of it when `without`."""

    first: Shape
    second: Shape
    without: bool = False

    def distance(self, x: Field, y: Field) -> Field:
        second = self.second.distance(x, y)
        return np.maximum(self.first.distance(x, y), -second if self.without else second)


def outline(rng: np.random.Generator, roughness: float, spikes: float = 0.0) -> tuple[float, ...]:
    """A closed radius profile around 1: low harmonics of size `roughness`, and `spikes` for spiculated margins."""
    turn = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    radius = np.ones_like(turn)
    for harmonic in range(2, 7):
        radius += roughness / harmonic * rng.normal() * np.cos(harmonic * turn + rng.uniform(0, 2 * np.pi))
    if spikes:
        for direction in rng.uniform(0, 2 * np.pi, rng.integers(7, 12)):
            gap = np.angle(np.exp(1j * (turn - direction)))
            radius += spikes * rng.uniform(0.4, 1.2) * np.exp(-((gap / 0.11) ** 2))
    return tuple(float(value) for value in np.clip(radius, 0.6, 1.6))
