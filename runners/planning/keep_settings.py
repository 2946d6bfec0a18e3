"""The `keep` section of a study: what its runs leave beside their tables. No run's id depends on it."""

from collections.abc import Sequence
from typing import Literal

from aggregation_lab.config_fields import Config
from aggregation_lab.training.keep import Keep


class KeepSettings(Config):
    """What finished runs keep; runs that are finished already keep what they have."""

    predictions: Literal["last_fraction", "all", "none"] = "last_fraction"
    """Test predictions: of the runs on the largest fraction, of all runs, or of none."""
    models: Literal["none", "last", "best"] = "none"
    """Trained weights: none, those after the last step, or those with the best mean validation score."""

    def of_run(self, fraction: float, fractions: Sequence[float]) -> Keep:
        """What a run at `fraction` keeps, in a study of these fractions."""
        predictions = self.predictions == "all" or (self.predictions == "last_fraction" and fraction == max(fractions))
        return Keep(predictions, () if self.models == "none" else (self.models,))
