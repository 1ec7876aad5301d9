"""``python -m pytest_concur trend``: how the stored sessions of measuring tests went over time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pytest_concur", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    trend = commands.add_parser("trend", help="print how stored sessions went over time")
    trend.add_argument("folder", nargs="?", type=Path, default=Path(".concur/baselines"), help="where they are stored")
    trend.add_argument("--csv", action="store_true", help="rows for other tools instead of lines for people")
    given = parser.parse_args(arguments)
    return _trend(given.folder, is_csv=given.csv)


def _trend(folder: Path, *, is_csv: bool) -> int:
    from pytest_concur.errors import BaselineError
    from pytest_concur.measure.baselines import every_stored
    from pytest_concur.report import trend

    if not folder.is_dir():
        print(f"{folder}: no such folder; baselines are written by pytest --concur-update-baselines", file=sys.stderr)
        return 2
    try:
        rows = [
            (test, name, key, sessions)
            for test, name, stored in every_stored(folder)
            for key, sessions in sorted(stored.sessions.items())
        ]
    except BaselineError as error:
        print(error, file=sys.stderr)
        return 2
    sys.stdout.write(trend.table(rows) if is_csv else trend.text(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
