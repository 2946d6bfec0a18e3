"""Which settings of two runs differ, as far as their specs say."""

from collections.abc import Iterator, Mapping
from typing import Any


def difference(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    first: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None] = (None, None),
) -> str:
    """Which settings of two specs differ, as `field: old -> new`; `first` are the new and the old spec of the runs that
    they start from, as far as they are known."""
    parts = []
    for name, (one, other) in changes(old, new).items():
        if name == "start.run":
            after, before = first
            of_first = difference(before, after) if before and after else "what it was is not known any more"
            parts.append(f"the run that it starts from changed: {of_first}")
        elif name == "data":
            parts.append("data: its cases or their split changed")
        elif name == "recipe":
            parts.append("agglab trains or scores differently since")
        else:
            parts.append(f"{name}: {one} -> {other}")
    return "; ".join(parts)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Old and new value of every setting that differs, by its dotted name."""
    before, after = _flat(old), _flat(new)
    both = {name: (before.get(name, "nothing"), after.get(name, "nothing")) for name in before.keys() | after.keys()}
    return {name: both[name] for name in sorted(both) if both[name][0] != both[name][1]}


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        entries: Iterator[tuple[str, Any]] = iter(value.items())
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        entries = ((str(item.get("name", index)), item) for index, item in enumerate(value))
    else:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in entries:
        flat.update(_flat(item, f"{prefix}.{key}" if prefix else key))
    return flat
