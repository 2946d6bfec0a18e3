"""The trained model of a run, from what its folder holds."""

from pathlib import Path

from aggregation_lab.errors import AgglabError, ResultsError
from aggregation_lab.model.m2dino import M2DINO, build_m2dino
from aggregation_lab.run import CHECKPOINT, DONE, SPEC, RunSpec
from aggregation_lab.storage.sealed_json import read_json
from aggregation_lab.text import printable
from aggregation_lab.training.checkpoint import read_checkpoint


def load_model(run_folder: Path | str) -> M2DINO:
    """The model of a run on the CPU, in evaluation mode, with the weights of its checkpoint.

    `run_folder` is one of a study's `runs/`. It must hold `spec.json` and `checkpoint.pt`, which a run has from its
    first checkpoint until it is finished: a finished run keeps its tables and no weights. Where the study chooses the
    best step on validation, the weights are those of the best so far, else those of the last step.

    Raises `ResultsError` where the folder holds no weights, or they are damaged or of another run, and `ModelError`
    where the model cannot be built.
    """
    folder = Path(run_folder)
    named = printable(str(folder), 400)
    for name in (SPEC, CHECKPOINT):
        if not (folder / name).is_file():
            raise ResultsError(f"{named}: holds no {name}{_why(folder)}")
    try:
        spec = RunSpec.from_json(read_json(folder / SPEC))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{named}: {SPEC} cannot be read ({type(error).__name__}); run the grid again") from error
    try:
        state = read_checkpoint(folder / CHECKPOINT)
    except (AgglabError, OSError, ValueError) as error:
        raise ResultsError(f"{named}: {CHECKPOINT} cannot be used ({error}); run the grid again") from error
    if state["run"] != spec.id:
        raise ResultsError(f"{named}: {CHECKPOINT} is of run {state['run']}, {SPEC} of {spec.id}")
    # every weight comes from the checkpoint: nothing is downloaded
    untrained = spec.model.model_copy(update={"weights": "random"})
    model = build_m2dino(untrained, spec.tasks, spec.seed, image_size=spec.training.image_size)
    best = state["best"] if spec.training.checkpoint == "best" else None
    model.load_state_dict(best[1] if best is not None else state["model"])
    return model.eval()


def _why(folder: Path) -> str:
    if not folder.is_dir():
        return ", because there is no such folder; give one of the folders in runs/ of a study"
    if (folder / DONE).is_file():
        return ": the run is finished, and a finished run keeps its scores and no weights"
    return f"; a run folder with weights has {SPEC} and {CHECKPOINT}, from its first checkpoint until it is finished"
