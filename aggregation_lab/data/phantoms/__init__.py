"""Speckle phantoms in the challenge's layout, with planted and written-down relations between tasks.

    write_phantoms(Path("phantoms"), PhantomConfig(tasks=("fetal_head", "fetal_femur"), maximum=50))

shapes.py: geometry · tissue.py: the painter · superficial.py, abdominal.py, heart.py, fetal.py,
obstetric.py: anatomy · physics.py: probe, speckle, attenuation ·
catalogue.py: sources and tasks · plan.py: which pictures · relatedness.py · render.py · write.py
"""

from aggregation_lab.data.phantoms.plan import DEFAULT_TASKS, PhantomConfig
from aggregation_lab.data.phantoms.write import write_phantoms

__all__ = ["DEFAULT_TASKS", "PhantomConfig", "write_phantoms"]
