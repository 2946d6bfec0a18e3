"""When a joint run looks at how its tasks bear on each other, and what that costs. Loads no torch."""

from pydantic import Field

from aggregation_lab.config_fields import Config

PROBE_IMAGES = 8
"""Images of the common probe batch, or as many as there are: unbiased CKA takes four."""

_ENTER, _FORWARD, _GRADIENT, _EXPERTS, _STEP = 0.26, 0.055, 0.2, 0.12, 0.6
"""Cost of an image up to the last part, through it, forward and backward through it, and through the blocks with
experts below it; and of a step on a task with its way back: in forward and backward passes of an image through the
whole model. Rounded up from what docs/grouping.md gives as measured.
"""


class AffinitySettings(Config):
    """What a joint run records of its tasks. No run's id depends on it, and no score."""

    moments: int = Field(20, ge=1, le=10_000)
    """Moments, evenly spaced over the steps of the budget; beyond it, where a run goes on until it has converged, at
    the same pace."""
    images: int = Field(4, ge=2, le=64)
    """Training images of each task at each moment."""
    share: float = Field(0.05, gt=0, le=10)
    """Largest part of the operations of a run that recording may add: short runs have fewer moments, at least one."""

    def moments_of(self, tasks: int, steps: int, batch_size: int) -> int:
        """Moments in the budget's steps of a run of so many tasks; 0 with one task, which nothing can bear on."""
        if tasks < 2:
            return 0
        affordable = int(self.share * steps * batch_size / self.images_worth(tasks))
        return min(self.moments, steps, max(1, affordable))

    def images_worth(self, tasks: int) -> float:
        """Cost of a moment in forward and backward passes of one image.

        A batch of each task goes up to the last part, and through it forward and backward for its gradient; for the
        look-ahead all of them go through it forward again after a step on each task. The probe batch goes through the
        experts and the last part, forward and backward, once for each task.
        """
        batch, probe = tasks * self.images, min(PROBE_IMAGES, tasks * self.images)
        own = batch * (_ENTER + _GRADIENT + (tasks + 1) * _FORWARD) + tasks * _STEP
        return own + tasks * probe * (_EXPERTS + _GRADIENT)

    def cost(self, tasks: int, steps: int, batch_size: int) -> float:
        """Operations of recording over those of the run."""
        moments = self.moments_of(tasks, steps, batch_size)
        return moments * self.images_worth(tasks) / (steps * batch_size)


def moment_at(step: int, steps: int, moments: int) -> int | None:
    """Which moment, from 0, comes after `step` steps where there are so many in `steps`; None where none does.

    Each lies in the middle of its part of the run: before the first step the heads are random, and after the last one
    the rate has fallen to zero. Beyond `steps` they go on at the same pace.
    """
    moment = step * moments // steps
    return moment if step == (2 * moment + 1) * steps // (2 * moments) else None
