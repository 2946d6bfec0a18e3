"""How a probe sees tissue: beam geometry, speckle from coherent scatterers, attenuation, log compression, scan
conversion.

Arrays of beam samples are (R depth samples x B beams); lengths are canvas units (1 = the image's longer side).
Model: fully developed speckle is the envelope of complex Gaussian scatterers seen through the point spread function
(Wagner et al., IEEE Trans. Sonics Ultrason. 1983, 30(3) 156), so the envelope of even tissue is Rayleigh distributed.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from aggregation_lab.data.phantoms.shapes import Field

AXIAL_SIGMA = 0.0035
"""Half width of the pulse along the beam, canvas units."""
GUARD_BEAMS = 12
"""Empty beams beside the field of view, so that the lateral filter does not wrap round."""


@dataclass(frozen=True)
class Probe:
    """A transducer and the picture frame around it.

    `half_angle` in radians, 0 for a linear array; `radius` of the curved footprint; `height` of the canvas, whose
    width is 1; `focus` is the depth, as a share of the image, where beams are narrowest.
    """

    height: float
    half_angle: float = 0.0
    radius: float = 0.0
    focus: float = 0.5


@dataclass(frozen=True)
class MachineSettings:
    """Controls of the machine: gain and dynamic range in dB, what TGC leaves over at full depth, electronic noise."""

    gain: float = 28.0
    dynamic_range: float = 56.0
    slope: float = -6.0
    noise: float = -40.0


@dataclass(frozen=True)
class BeamGrid:
    """Beam samples and pixels of one probe at one size; all coordinates in canvas units.

    x, y, depth (0..1 down the beam), beam (-1..1 across): R x B. pixel_x, pixel_y, visible: H x W.
    rows, columns: H x W, where each pixel lies between the beam samples.
    """

    x: Field
    y: Field
    depth: Field
    beam: Field
    step: float
    lateral_sigma: Field
    pixel_x: Field
    pixel_y: Field
    rows: Field
    columns: Field
    visible: NDArray[np.bool_]


@lru_cache(maxsize=64)
def beam_grid(probe: Probe, size: int) -> BeamGrid:
    """The sampling of `probe` for pictures `size` pixels wide. Shared by all images of a probe."""
    height = round(size * probe.height)
    pixel_y, pixel_x = (np.mgrid[0:height, 0:size].astype(np.float32) + 0.5) / size
    beams = round(size * 1.1)
    across = np.linspace(-1, 1, beams, dtype=np.float32)
    # A curved footprint dips below the canvas top by its own sagitta, so that its ends are not cut off.
    apex = np.float32(probe.radius * np.cos(probe.half_angle)) if probe.half_angle else np.float32(0)
    start, reach = (probe.radius, probe.height + float(apex)) if probe.half_angle else (0.0, probe.height)
    samples = round(size * 1.5 * (reach - start))
    along = np.linspace(start, reach, samples, dtype=np.float32)[:, None]
    if probe.half_angle:
        angle = across * np.float32(probe.half_angle)
        x, y = 0.5 + along * np.sin(angle), along * np.cos(angle) - apex
        radius = np.hypot(pixel_x - 0.5, pixel_y + apex)
        turn = np.arctan2(pixel_x - 0.5, pixel_y + apex) / np.float32(probe.half_angle)
    else:
        x, y = np.broadcast_arrays(0.5 + across / 2, along)
        radius, turn = pixel_y, (pixel_x - 0.5) * 2
    depth = (along - start) / (reach - start)
    blur = 0.006 * np.sqrt(1 + ((depth - probe.focus) / 0.45) ** 2) * (1.15 if probe.half_angle else 1.0)
    width = 2 * probe.half_angle * 0.55 if probe.half_angle else 1.0
    return BeamGrid(
        x=x.astype(np.float32), y=y.astype(np.float32),
        depth=np.broadcast_to(depth, x.shape), beam=np.broadcast_to(across, x.shape),
        step=float((reach - start) / (samples - 1)), lateral_sigma=(blur * beams / width).astype(np.float32),
        pixel_x=pixel_x, pixel_y=pixel_y,
        rows=((radius - start) / (reach - start) * (samples - 1)).astype(np.float32),
        columns=((turn + 1) / 2 * (beams - 1)).astype(np.float32),
        visible=(np.abs(turn) <= 1) & (radius >= start) & (radius <= reach),
    )  # fmt: skip


def envelope(rng: np.random.Generator, amplitude: Field, specular: Field, grid: BeamGrid) -> Field:
    """Echo envelope (R x B) of random scatterers of RMS `amplitude` plus smooth reflectors of amplitude `specular`.

    Even tissue of amplitude 1 has a mean square envelope of 1 and a mean-to-standard-deviation ratio of 1.91.
    """
    samples, beams = amplitude.shape
    noise = rng.standard_normal((2, samples, beams), dtype=np.float32)
    axial = AXIAL_SIGMA / grid.step
    # Both filters are Gaussian with unit sum; white noise leaves them with power 1 / (4 pi sigma_axial sigma_lateral).
    boost = np.sqrt(4 * np.pi * np.float32(axial) * grid.lateral_sigma)
    scatter = amplitude * (np.float32(np.sqrt(0.5)) * boost)
    real = ndimage.gaussian_filter1d(noise[0] * scatter + specular, axial, axis=0, mode="nearest", truncate=3.0)
    imaginary = ndimage.gaussian_filter1d(noise[1] * scatter, axial, axis=0, mode="nearest", truncate=3.0)
    length = beams + GUARD_BEAMS
    waves = fft.fftfreq(length).astype(np.float32)
    transfer = np.exp(np.float32(-2 * np.pi**2) * (waves * grid.lateral_sigma) ** 2)
    spectrum = fft.fft((real + 1j * imaginary).astype(np.complex64), n=length, axis=1)
    return np.abs(fft.ifft(spectrum * transfer, axis=1)[:, :beams]).astype(np.float32)


def picture(
    rng: np.random.Generator, echo: Field, specular: Field, loss: Field, grid: BeamGrid, settings: MachineSettings
) -> NDArray[np.uint8]:
    """The B-mode image (H x W, uint8) of tissue with `echo` level (dB), `specular` amplitude and `loss` (dB/unit)."""
    # Beams have width, so shadows have soft edges.
    soft = ndimage.gaussian_filter1d(loss, 1.6, axis=1)
    transmitted = -np.cumsum(soft, axis=0, dtype=np.float32) * np.float32(grid.step)
    transmitted += np.float32(settings.slope) * grid.depth
    # The first echoes ring between skin and probe.
    ringing = np.exp(-grid.depth / np.float32(0.018)) * np.float32(9.0)
    factor = np.float32(np.log(10) / 20)
    received = envelope(
        rng, np.exp(factor * (echo + transmitted + ringing)), specular * np.exp(factor * transmitted), grid
    )
    floor = np.float32(10 ** (settings.noise / 20)) * rng.rayleigh(1.0, received.shape).astype(np.float32)
    level = 20 * np.log10(np.hypot(received, floor) + np.float32(1e-6)) + np.float32(settings.gain)
    bright = np.clip(level / np.float32(settings.dynamic_range), 0, 1)
    # Machines smooth speckle a little and darken the low end.
    bright = ndimage.gaussian_filter(bright, (0.9, 0.7), truncate=2.0)
    bright = bright * (np.float32(0.75) + np.float32(0.25) * bright)
    shown = ndimage.map_coordinates(bright, (grid.rows, grid.columns), order=1, mode="nearest")
    return np.where(grid.visible, np.rint(shown * 255), 0).astype(np.uint8)
