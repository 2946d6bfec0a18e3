"""The painter: anatomy is laid down on the beam samples as echo level, mirror-like reflection and attenuation."""

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from aggregation_lab.data.phantoms.physics import BeamGrid
from aggregation_lab.data.phantoms.shapes import Blob, Field, Point, Shape, outline

FLUID = -42.0
"""Echo level of fluid in dB; soft tissue is about 0."""

Number = float | tuple[float, float] | tuple[float, float, float]
"""A number, or (low, high) to draw it between, or (low, high, times) for a multiple of what is drawn."""


@dataclass(frozen=True)
class Pose:
    """How the probe is held in one frame: the body is turned (radians), scaled and shifted about the canvas centre."""

    turn: float = 0.0
    scale: float = 1.0
    shift: Point = (0.0, 0.0)
    centre: Point = (0.5, 0.35)

    def to_body(self, x: Field, y: Field) -> tuple[Field, Field]:
        cos, sin = np.float32(np.cos(self.turn) / self.scale), np.float32(np.sin(self.turn) / self.scale)
        dx = x - np.float32(self.centre[0] + self.shift[0])
        dy = y - np.float32(self.centre[1] + self.shift[1])
        return dx * cos + dy * sin + np.float32(self.centre[0]), dy * cos - dx * sin + np.float32(self.centre[1])

    def to_canvas(self, point: Point) -> Point:
        cos, sin = np.cos(self.turn) * self.scale, np.sin(self.turn) * self.scale
        dx, dy = point[0] - self.centre[0], point[1] - self.centre[1]
        x, y = dx * cos - dy * sin + self.centre[0], dx * sin + dy * cos + self.centre[1]
        return float(x + self.shift[0]), float(y + self.shift[1])


@dataclass(frozen=True)
class Truth:
    """What was drawn, in body coordinates: named shapes and ordered points."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    points: tuple[Point, ...] = ()


class Tissue:
    """Maps of echo level (dB), reflector amplitude and attenuation (dB per canvas unit), each R x B.

    `x`, `y` are body coordinates of the beam samples; `beam` (-1..1) and `depth` (0..1) belong to the probe, for
    what runs along the beams whatever the body does, such as reverberation. `height` is the canvas height.
    `rng` is the subject's: every frame of a subject draws the same anatomy.
    """

    def __init__(self, grid: BeamGrid, pose: Pose, height: float, rng: np.random.Generator):
        self.x, self.y = pose.to_body(grid.x, grid.y)
        self.beam, self.depth, self.step = grid.beam, grid.depth, grid.step
        self.height, self.rng = height, rng
        self.echo = np.zeros_like(self.x)
        self.specular = np.zeros_like(self.x)
        self.loss = np.zeros_like(self.x)
        self._known: dict[int, tuple[Shape, Field]] = {}

    def draw(self, number: Number) -> float:
        if not isinstance(number, tuple):
            return number
        low, high, *times = number
        return self.rng.uniform(low, high) * (times[0] if times else 1)

    def blob(
        self,
        x: Number,
        y: Number,
        a: Number,
        b: Number,
        angle: Number = 0.0,
        *,
        rough: float = 0.0,
        spikes: float = 0.0,
    ) -> Blob:
        """A blob of numbers drawn in this order, its outline last (smooth where `rough` is 0)."""
        x, y, a, b, angle = (self.draw(number) for number in (x, y, a, b, angle))
        return Blob(x, y, a, b, angle, outline(self.rng, rough, spikes) if rough else ())

    def distance(self, shape: Shape) -> Field:
        if id(shape) not in self._known:
            # The shape is kept with its distance so that its id is not given to another one.
            self._known[id(shape)] = (shape, shape.distance(self.x, self.y))
        return self._known[id(shape)][1]

    def noise(self, grain: float, stretch: float = 1.0) -> Field:
        """Smooth body-fixed noise of unit variance; `grain` is its spots' size, `stretch` = wider than high."""
        tile = ndimage.gaussian_filter(self.rng.standard_normal((40, 40)), 1.0, mode="wrap").astype(np.float32)
        tile /= tile.std()
        scale = np.float32(2.0 / grain)
        coordinates = (self.y * scale, self.x * (scale / np.float32(stretch)))
        return ndimage.map_coordinates(tile, coordinates, order=1, mode="grid-wrap")

    def fill(
        self, shape: Shape | None, level: float, *, mottle: float = 0.0, grain: float = 0.06, stretch: float = 1.0,
        edge: float = 0.008,
    ) -> None:  # fmt: skip
        """Replace the echo inside `shape` (everywhere if None) by `level` dB, patchy by `mottle` dB."""
        texture: Field | np.float32 = np.float32(level)
        if mottle:
            texture = texture + np.float32(mottle) * self.noise(grain, stretch)
        if shape is None:
            self.echo = self.echo * 0 + texture
            return
        share = np.clip(0.5 - self.distance(shape) / np.float32(edge), 0, 1)
        self.echo += share * (texture - self.echo)
        self.specular *= 1 - share

    def rim(
        self,
        shape: Shape,
        level: float,
        *,
        width: float = 0.005,
        power: float = 1.5,
        patchy: float = 0.0,
        inside: Shape | None = None,
    ) -> None:
        """A reflecting border, brightest where the beam meets it head-on (cosine to the given power), uneven by
        `patchy` dB; only its part inside another shape where one is given."""
        distance = self.distance(shape)
        line = np.exp(-((distance / np.float32(width)) ** 2)) * np.float32(10 ** (level / 20))
        if power:
            facing = np.abs(np.gradient(distance, axis=0)) / np.float32(self.step)
            line *= np.clip(facing, 0, 1) ** np.float32(power)
        if patchy:
            line *= np.exp(self.noise(0.05) * np.float32(patchy * np.log(10) / 20))
        if inside is not None:
            line *= self.distance(inside) < 0
        self.specular += line

    def strands(self, shape: Shape | None, rise: float, grain: float, stretch: float = 1.0) -> None:
        """Thin septa or fibres that echo `rise` dB above the tissue: the zero lines of a noise field."""
        line = np.exp(-((self.noise(grain, stretch) / np.float32(0.16)) ** 2)) * np.float32(rise)
        if shape is not None:
            line *= np.clip(0.5 - self.distance(shape) / np.float32(0.01), 0, 1)
        self.echo += line

    def absorb(self, shape: Shape, loss: float) -> None:
        """Attenuate by `loss` dB per unit of path inside `shape`; below zero it enhances what lies behind."""
        self.loss += np.float32(loss) * (self.distance(shape) < 0)

    def absorb_rim(self, shape: Shape, loss: float, width: float = 0.008) -> None:
        """Attenuate in the wall of `shape` only: grazing beams cross more wall and are lost more (edge shadows)."""
        self.loss += np.float32(loss) * (np.abs(self.distance(shape)) < np.float32(width))
