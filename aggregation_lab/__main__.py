"""`agglab`, also as `python -m aggregation_lab`: looks first whose packages Python would import."""

import os
import sys
from importlib import import_module

from aggregation_lab.shadowing import ShadowedError, check_packages, hidden_library


def main() -> None:
    """Run the command line; a file that hides a package or a library is one line on stderr and exit code 2."""
    os.environ["PYTHONSAFEPATH"] = "1"  # workers and jobs import nothing from the folder that they are started in
    try:
        check_packages()
        command_line = import_module("runners.cli").main  # by name: this package knows nothing of `runners`
        command_line()
    except (ImportError, AttributeError) as error:
        line = str(error) if isinstance(error, ShadowedError) else hidden_library(error)
        if line is None:
            raise
        print(f"agglab: {line}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
