"""How caveats name tasks."""

from collections.abc import Iterable

from aggregation_lab.text import listed

_NAMED = 5


def named(names: Iterable[str]) -> str:
    """The first of the names, each once."""
    return listed(list(dict.fromkeys(names)), _NAMED)


def if_any(tasks: Iterable[str], total: int, said: str) -> list[str]:
    """The sentence, its `{}` replaced by how many and which tasks; nothing without tasks."""
    chosen = sorted(set(tasks))
    # no format string: a name in the sentence may hold a brace
    return [said.replace("{}", f"{len(chosen)} of {total} tasks ({named(chosen)})")] if chosen else []
