"""What every part of a study file is: typed, frozen, checked on construction, and written so that ids of runs last."""

from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from aggregation_lab.naming import clean_name
from aggregation_lab.text import printable

TaskName = Annotated[str, AfterValidator(clean_name)]
"""Name of a task in the form that the data's tasks have; only the data know which there are."""


class Config(BaseModel):
    """Base of every part of a study file: unknown fields are errors and nothing changes after loading.

    Values have the type they are meant to have: no text is taken for a number, no word for a truth value, and no
    number is infinite.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
        strict=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _lists_as_tuples(cls, value: Any) -> Any:
        return _frozen(value)


class LastingConfig(Config):
    """Settings whose written form decides the id of a run, or belongs to a finished study.

    A field that is not in `always_written` is written where it differs from its default. So a new field leaves every
    earlier run its id, as long as its default means what was done before there was such a field; who changes that
    default later raises `RECIPE` of `aggregation_lab.run`.
    """

    always_written: ClassVar[tuple[str, ...]]
    """The first fields, which are written at their defaults, too. This list never grows."""

    def is_always_written(self, name: str) -> bool:
        """Whether this field is written at its default."""
        return name in self.always_written

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        return {
            name: value
            for name, value in dump(self).items()
            if self.is_always_written(name)
            or getattr(self, name) != fields[name].get_default(call_default_factory=True)
        }


def clean_keys(value: Any) -> Any:
    """Fields by the name of a task, group or unit, each name in the one form that `clean_name` gives it.

    Raises `ValueError` where two of them are one name.
    """
    if not isinstance(value, dict):
        return value
    named: dict[Any, Any] = {}
    for key, item in value.items():
        name = clean_name(key) if isinstance(key, str) else key
        if name in named:
            raise ValueError(f"has {printable(str(name))} twice; keep one")
        named[name] = item
    return named


def _frozen(value: Any) -> Any:
    """`value` with every list as a tuple: files have the one, frozen settings the other."""
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
