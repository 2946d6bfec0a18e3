"""The small JSON files of a run. One that is damaged, or holds other types, is read as None."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from runners.planning.plan import RunKey


class _Content(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, from_attributes=True, ser_json_inf_nan="constants")

    @classmethod
    def parse(cls, text: bytes) -> Self | None:
        """None where the text does not fit."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return None


def _or_else(default: Any) -> WrapValidator:
    """A field that is read as `default` where it holds another type, without making the whole file damaged."""

    def read(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            return default

    return WrapValidator(read)


class RunProgress(_Content):
    """Progress of a run; NaN before the first loss and score."""

    step: int = Field(ge=0, lt=2**53)
    steps: int = Field(gt=0, lt=2**53)
    loss: float
    score: float
    phase: str
    at_most: bool = False
    device: str = ""

    @property
    def where(self) -> str:
        """`step 7/40`; `step 7 of at most 40` while it is not known when the run ends."""
        return f"step {self.step} of at most {self.steps}" if self.at_most else f"step {self.step}/{self.steps}"


class ClaimContent(_Content):
    """claim-N.json. With its defaults, a claim belongs to no process of this machine."""

    host: str = ""
    namespace: str = ""
    boot: str = ""
    process: int = Field(0, gt=0, lt=2**31)
    birth: str = ""
    token: str = ""
    job: str = ""
    progress: Annotated[RunProgress | None, _or_else(None)] = None


class Failure(_Content):
    """error.json."""

    message: str
    when: str = ""
    job: str = ""
    traceback: tuple[str, ...] = ()


class Done(_Content):
    """done.json: the id of the run, what it took and has seen, the type of its device, whether its cap ended it (None
    where that is not known, or there is none), and the SHA-256 of the tables that it wrote, and of the files that it
    kept, by their names; and the tasks of which every validation case got the same answer, with the step since when."""

    run: str
    seconds: Annotated[float, Field(ge=0, lt=1e12), _or_else(0.0)] = 0.0
    images_seen: Annotated[int, Field(ge=0, lt=2**53), _or_else(0)] = 0
    device: Annotated[str, _or_else("")] = ""
    capped: Annotated[bool | None, _or_else(None)] = None
    digests: Annotated[dict[str, str], _or_else({})] = Field(default_factory=dict)
    kept: Annotated[dict[str, str], _or_else({})] = Field(default_factory=dict)
    same_answer: Annotated[dict[str, int], _or_else({})] = Field(default_factory=dict)

    @property
    def files(self) -> set[str]:
        """Names of all these files."""
        return {*(f"{table}.parquet" for table in self.digests), *self.kept}


class _TaskName(_Content):
    name: str


class _StartTasks(_Content):
    tasks: list[str]


class SpecKey(_Content):
    """What of spec.json stays when the study's settings change."""

    tasks: list[_TaskName]
    fraction: float
    seed: int
    start: _StartTasks | None = None

    @property
    def key(self) -> RunKey:
        first = tuple(self.start.tasks) if self.start else ()
        return tuple(task.name for task in self.tasks), self.fraction, self.seed, first
