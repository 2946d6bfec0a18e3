"""One seed of a world with arms of several widths: what the analysis says of the claim on capacity."""

from pathlib import Path
from typing import Any

from aggregation_lab.aggregation import FLOOR
from analysis.arms.hypothesis import NUMBER
from analysis.pipeline import analyse
from analysis.questions.findings import WHOLE
from analysis.settings import Settings
from runners.bench.worlds.encoders import encoder
from runners.bench.worlds.planted import CapacityWorld
from runners.bench.worlds.world_study import train_world

DRAWS = 500


def judged(world: CapacityWorld, seed: int, folder: Path) -> dict[str, Any]:
    """Train the study of one seed of the world in `folder`, or the rest of it, and return what the analysis finds:
    `verdict` of the claim, its `parts` with their verdicts, estimates and limits, and `scores`, the mean test score by
    arm and aggregation.

    Raises as `train_world`.
    """
    arms = {f"width_{width}": {"model.encoder": encoder(width)} for width in world.widths}
    tables = train_world(world, seed, folder, {"aggregations": ["TS", "CG", "AU"], "arms": arms})
    rows = analyse(tables, Settings(draws=DRAWS)).frames["findings"]
    rows = rows[rows["finding"] == NUMBER]
    parts = rows.loc[rows["part"] != WHOLE, ["part", "verdict", "estimate", "low", "high"]]
    trained = tables.scores[(tables.scores["metric"] == "AUC") & (tables.scores["aggregation"] != FLOOR)]
    means = trained.groupby(trained["arm"] + " " + trained["aggregation"])["value"].mean()
    return {
        "verdict": str(rows.loc[rows["part"] == WHOLE, "verdict"].iloc[0]),
        "parts": parts.to_dict("records"),
        "scores": {str(model): float(mean) for model, mean in means.items()},
    }
