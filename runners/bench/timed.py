"""A piece of `agglab`'s work in a process of its own, timed without the imports that it shares with a whole grid."""

import sys
import time
from pathlib import Path

from runners.bench.process import Measured, measure


def timed(work: str, *arguments: Path, log: Path) -> tuple[float, Measured]:
    """Seconds of `collect OUT` or `prepare STUDY OUT`, and the process it ran in."""
    measured = measure([sys.executable, "-m", "runners.bench.timed", work, *map(str, arguments)], log)
    return float(log.read_text(encoding="utf-8").splitlines()[-1]), measured


def main(work: str, *arguments: str) -> None:
    import aggregation_lab.data.cache
    import aggregation_lab.data.splits
    import aggregation_lab.floor  # noqa: F401  # imported here, so that `prepare` finds it
    from runners.planning.study_file import read_study_file
    from runners.store.collect import collect
    from runners.store.prepare import prepare
    from runners.store.study_folder import StudyFolder

    file, folder = Path(arguments[0]), StudyFolder(Path(arguments[-1]))
    start = time.perf_counter()
    if work == "collect":
        collect(folder, folder.read_plan())
    else:
        prepare(read_study_file(file), file, folder, lambda what, done, total: None)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
