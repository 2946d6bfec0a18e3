"""The label of a contrast: no two contrasts share one, whatever their aggregations are called."""


def contrast_name(joint: str, base: str) -> str:
    """`AU-TS`: the joint aggregation minus the base. A name that itself holds a hyphen stands in brackets.

    Two pairs never have one label: `(a-b)-c` is a-b against c, `a-(b-c)` is a against b-c. Brackets inside a bracketed
    name are doubled, so that the first odd run of closing ones ends it.
    """
    return f"{_whole(joint)}-{_whole(base)}"


def _whole(name: str) -> str:
    if "-" not in name and not name.startswith("("):
        return name
    return f"({name.replace('(', '((').replace(')', '))')})"
