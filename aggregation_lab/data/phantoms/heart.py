"""The adult heart seen by a phased probe between the ribs."""

from aggregation_lab.data.phantoms.shapes import Below, Blob, Both, Tube
from aggregation_lab.data.phantoms.tissue import FLUID, Tissue, Truth


def adult_heart(tissue: Tissue, appearance: str) -> Truth:
    """Apical view: left ventricle, its myocardium and left atrium; the right ventricle and atrium beside them."""
    rng, height = tissue.rng, tissue.height
    tissue.fill(None, -15, mottle=4, grain=0.07)
    lean = rng.uniform(-0.3, 0.3)
    heart = tissue.blob(0.49, 0.52 * height, (0.28, 0.36), 0.44 * height, lean, rough=0.1)
    tissue.fill(heart, -9, mottle=3)
    ventricle = tissue.blob((0.49, 0.58), (0.36, 0.42, height), (0.075, 0.115), (0.19, 0.25, height), lean, rough=0.1)
    wall = rng.uniform(0.03, 0.055)
    valve = ventricle.y + rng.uniform(0.7, 0.85) * ventricle.b
    outer = Blob(ventricle.x, ventricle.y, ventricle.a + wall, ventricle.b + wall, lean, ventricle.outline)
    above = Both(Below(-1.0), Below(valve), without=True)
    x, y = ventricle.x - lean * 0.22, valve + 0.135 * height
    left_atrium = tissue.blob(x, y, (0.075, 0.12), (0.11, 0.15, height), (-0.3, 0.3), rough=0.1)
    atrium = Both(left_atrium, Below(valve + 0.008))
    x, y = ventricle.x - rng.uniform(0.2, 0.25), valve - rng.uniform(0.12, 0.18) * height
    a, b, angle = rng.uniform(0.045, 0.08), rng.uniform(0.14, 0.2) * height, lean - rng.uniform(0.0, 0.25)
    right = tissue.blob(x, y, a, b, angle, rough=0.12)
    x, y = ventricle.x - 0.22 - lean * 0.22, valve + 0.14 * height
    right_atrium = tissue.blob(x, y, (0.06, 0.1), 0.12 * height, rough=0.12)
    muscle, cavity = Both(outer, above), Both(ventricle, above)
    tissue.fill(muscle, -1, mottle=3, grain=0.04)
    tissue.strands(muscle, 5, grain=0.04, stretch=2)
    tissue.rim(outer, 6, width=0.008, power=0.3, inside=above)
    for chamber in (right, right_atrium, cavity, atrium):
        tissue.fill(chamber, FLUID + rng.uniform(4, 10), mottle=2, edge=0.014)
        tissue.rim(chamber, -2, width=0.005)
    for side in (-1, 1):
        hinge = (ventricle.x + side * ventricle.a * 0.75, valve)
        tissue.fill(Tube(hinge, (ventricle.x + side * 0.012, valve - rng.uniform(0.02, 0.05)), 0.005, 0.008 * side), 4)
    return Truth({"cavity": cavity, "myocardium": Both(muscle, ventricle, without=True), "atrium": atrium})
