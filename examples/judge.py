"""Run the examples and write who is right, row by row: ``python examples/judge.py [--out examples/RESULTS.md]``.

What the article claims stands in ``claims.toml``; everything else in the table is measured, or found, by the run.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_concur.measure.machine import environment, processor_model

HERE = Path(__file__).parent


def run_examples() -> dict[str, dict[str, Any]]:
    """Run all tests below this folder; return the entries of the JSON report by test, from this folder on."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", str(HERE), f"--concur-json={path}",
             f"--rootdir={HERE}"],
            check=True,
        )  # fmt: skip
        document = json.loads(path.read_text(encoding="utf-8"))
    return {test["nodeid"].removeprefix("examples/"): test for test in document["tests"]}


def answer(claim: Mapping[str, Any], test: Mapping[str, Any]) -> tuple[str, str]:
    """Return what was seen, and whether the article is right about it."""
    says: str = claim["says"]
    kinds = [finding["kind"] for finding in test["findings"] if not finding["warning"]]
    if says == "passes":
        seen = f"{test['explored']['schedules']} schedules, " + (", ".join(kinds) or "nothing found")
        return seen, "right" if not kinds else "wrong"
    if says == "fails":
        return ", ".join(kinds) or "nothing found", "right" if kinds else "wrong"
    (measured,) = test["measurements"]
    seen = measured["summary"].partition(": ")[2]
    if says == "report":
        return seen, "measured"
    verdict = measured["verdict"]
    if verdict == "inconclusive":
        return seen, "open"
    return seen, "right" if verdict in (("premature", "even") if says == "no gain" else (says,)) else "wrong"


def render(tests: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table as Markdown."""
    claims = tomllib.loads((HERE / "claims.toml").read_text(encoding="utf-8"))["claim"]
    lines = [
        "# Who is right?",
        "",
        "The claims of *Most Go Services Don't Need to Be Concurrent*, put to Python. Written by",
        f"`python examples/judge.py` on {environment().key}, {processor_model()}, CPython {platform.python_version()}.",
        "",
        "| row | system | the article says | seen here | the article is |",
        "|---|---|---|---|---|",
    ]
    for claim in claims:
        test = tests.get(claim["test"])
        seen, verdict = ("not run", "open") if test is None else answer(claim, test)
        cells = [str(claim["row"]), claim["system"], claim["claim"], seen, verdict]
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    given = parser.parse_args()
    given.out.write_text(render(run_examples()), encoding="utf-8")
    print(f"{given.out} written")


if __name__ == "__main__":
    main()
