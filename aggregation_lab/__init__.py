"""`import aggregation_lab as agg`: the front door to a study's scores, their analysis and its models.

    analysis = agg.analyse(agg.load_study("out/my_study"))
    analysis.gains                    # a frame; every other result likewise
    analysis.table("gains")           # a table as a paper has it
    analysis.figure("gains_forest")   # drawn with matplotlib
    agg.write_report(analysis, "report")

Importing it imports nothing heavy; a name is imported when it is first used. Only here does this package know of
`analysis`, which reads the tables that `aggregation_lab.results` defines; of grids and processes, which are in
`runners`, it knows nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from aggregation_lab.version import __version__ as __version__

if TYPE_CHECKING:  # for type checkers and editors; at run time `__getattr__` imports them
    from aggregation_lab.aggregation import Aggregation, Unit, all_task_unified, clinically_grouped, task_specific
    from aggregation_lab.errors import AgglabError
    from aggregation_lab.inference.load import load_model
    from aggregation_lab.tasks import CHALLENGE_TASKS, Task, TaskType
    from analysis.external import EXAMPLES, read_scores
    from analysis.pipeline import analyse
    from analysis.recommend import recommend
    from analysis.report import write_report
    from analysis.settings import Settings
    from analysis.study import load_study

__all__ = [
    "CHALLENGE_TASKS",
    "EXAMPLES",
    "AgglabError",
    "Aggregation",
    "Settings",
    "Task",
    "TaskType",
    "Unit",
    "all_task_unified",
    "analyse",
    "clinically_grouped",
    "load_model",
    "load_study",
    "read_scores",
    "recommend",
    "task_specific",
    "write_report",
]

_MODULES: Final = {
    "aggregation_lab.aggregation": ("Aggregation", "Unit", "all_task_unified", "clinically_grouped", "task_specific"),
    "aggregation_lab.errors": ("AgglabError",),
    "aggregation_lab.tasks": ("CHALLENGE_TASKS", "Task", "TaskType"),
    "aggregation_lab.inference.load": ("load_model",),
    "analysis.external": ("EXAMPLES", "read_scores"),
    "analysis.pipeline": ("analyse",),
    "analysis.recommend": ("recommend",),
    "analysis.report": ("write_report",),
    "analysis.settings": ("Settings",),
    "analysis.study": ("load_study",),
}
"""Names by the module that they are imported from at their first use (PEP 562)."""

_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:  # so that a type checker reports a name that is none of these

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            from aggregation_lab.text import near_names

            meant = "" if name.startswith("_") else near_names(name, __all__)
            raise AttributeError(f"module {__name__} has no attribute {name}{meant}", name=name)
        if _MODULE_OF[name].startswith("analysis"):
            from aggregation_lab.shadowing import check_packages

            check_packages()
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
