"""Run the examples and write who is right, row by row: ``python examples/judge.py [--out examples/RESULTS.md]``.

What the article claims stands in ``claims.toml``; everything else in the tables is measured, or found, by the run. With
matplotlib installed a picture is drawn beside them.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

from pytest_concur.measure.judge import WORTH
from pytest_concur.measure.machine import environment, processor_model

HERE = Path(__file__).parent
Test = Mapping[str, Any]

FULL = "CONCUR_EXAMPLES_FULL"

RECORDING = ("-o", "junit_family=xunit1")
"""Lets tests record what they measured."""
CLEAR = 1.5
"""Factor from which one side is clearly faster: machines differ by less."""

FAN_OUT = "web/test_servers.py::test_a_service_under_load[fan_out threaded]"
ONE = "web/test_servers.py::test_a_service_under_load[simple single-threaded]"
FOUR = "web/test_servers.py::test_a_service_under_load[simple single-threaded x4]"
FAN_OUT_COUNTS = "web/test_web.py::test_the_fan_out_service_counts_right"
ONE_COUNTS = "web/test_web.py::test_the_simple_service_counts_right_in_a_single_threaded_server"

THREADED = {
    "lost counts": "web/test_web.py::test_the_simple_service_loses_counts_in_a_threaded_server",
    "results for the wrong caller": "jobs/test_jobs.py::test_shared_results_reach_the_wrong_caller",
    "lost order": "batch/test_batch.py::test_steps_started_at_once_lose_their_order",
}
SINGLE = {
    "lost counts": ONE_COUNTS,
    "lost items": "jobs/test_jobs.py::test_a_pipeline_loses_nothing[1]",
    "wrong answers": "web/test_orders.py::test_an_answer_in_time",
}
"""Bugs that tests look for, in designs with threads and in single-threaded ones."""


def run_examples() -> tuple[dict[str, Test], dict[str, str | None]]:
    """Run all tests below this folder.

    Returns:
        What the JSON report says of marked tests; and of all tests what they have seen, ``None`` if they are not green.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, outcomes = Path(folder) / "report.json", Path(folder) / "outcomes.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", str(HERE), f"--rootdir={HERE}", f"--concur-json={report}",
             f"--junitxml={outcomes}", *RECORDING],
            check=True,
        )  # fmt: skip
        tests = json.loads(report.read_text(encoding="utf-8"))["tests"]
        seen = {
            name: recorded.get("seen", "as claimed") if is_green else None
            for name, is_green, recorded in read_outcomes(outcomes)
        }
    return {test["nodeid"].removeprefix("examples/"): test for test in tests}, seen


def measure(run: str, python: str) -> dict[str, dict[str, str]]:
    """Measure the tests of a run of its own, without exploring them; return what each recorded."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder) / "outcomes.xml"
        tests = [str(HERE / claim["test"]) for claim in read_claims() if claim.get("run") == run]
        options = ["-q", "--concur=off", "--concur-measure-seconds=30", f"--rootdir={HERE}", f"--junitxml={outcomes}"]
        environment = os.environ | ({FULL: "1"} if run == "full" else {})
        subprocess.run([python, "-m", "pytest", *options, *RECORDING, *tests], check=True, env=environment)
        return {name: recorded for name, _, recorded in read_outcomes(outcomes)}


def read_outcomes(path: Path) -> list[tuple[str, bool, dict[str, str]]]:
    """Return of each test in a JUnit report its id, whether it is green, and what it recorded."""
    return [
        (
            f"{case.get('classname', '').removeprefix('examples.').replace('.', '/')}.py::{case.get('name')}",
            case.find("failure") is case.find("error") is case.find("skipped") is None,
            {each.get("name", ""): each.get("value", "") for each in case.iter("property")},
        )
        for case in ElementTree.parse(path).getroot().iter("testcase")
    ]


def answer_of_run(claim: Mapping[str, Any], recorded: Mapping[str, str] | None) -> tuple[str, str]:
    """Return what a run of its own has seen, and whether the article is right about it."""
    if recorded is None:
        return "not asked for", "open"
    if claim["says"] == "report":
        return recorded["seen"], "measured"
    speedup = {name: float(recorded[name]) for name in ("low", "estimate", "high")}
    seen = f"{speedup['estimate']:.3g}x the throughput of a loop ({speedup['low']:.3g}-{speedup['high']:.3g})"
    return seen, verdict_on(claim["says"], speedup)


def answer(
    claim: Mapping[str, Any],
    tests: Mapping[str, Test],
    seen_by: Mapping[str, str | None],
    runs: Mapping[str, Mapping[str, Mapping[str, str]]] = MappingProxyType({}),
) -> tuple[str, str]:
    """Return what was seen, and whether the article is right about it."""
    says: str = claim["says"]
    if "run" in claim:
        return answer_of_run(claim, runs.get(claim["run"], {}).get(claim["test"]))
    name = claim["test"]
    if name in tests and says != "green":
        return answer_of_marked(says, tests[name])
    if name not in seen_by:
        return "not run", "open"
    seen = seen_by[name]
    if seen is None:
        return "otherwise", "wrong"
    return seen, "right" if says == "green" else "measured"


def answer_of_marked(says: str, test: Test) -> tuple[str, str]:
    """Return what the plugin has seen in a test, and whether the article is right about it."""
    kinds = [finding["kind"] for finding in test["findings"] if not finding["warning"]]
    if says in ("passes", "fails"):
        seen = f"{test['explored']['schedules']} schedules, " + (", ".join(kinds) or "nothing found")
        return seen, "right" if bool(kinds) == (says == "fails") else "wrong"
    (measured,) = test["measurements"]
    seen = measured["summary"].partition(": ")[2]
    if says == "report":
        return seen, "measured"
    return seen, verdict_on(says, measured["speedup"])


def verdict_on(says: str, speedup: Mapping[str, float]) -> str:
    """Say whether a claim about speed is right; what is about even proves neither a gain nor a loss.

    What pays need not pay for two: it must be worth it, as ``concur.compare`` understands that.
    """
    low, estimate, high = speedup["low"], speedup["estimate"], speedup["high"] or float("inf")
    if says == "premature":
        return "right" if high < 1 / CLEAR else "wrong" if estimate > 1 / CLEAR else "open"
    if says == "pays":
        return "right" if low > WORTH else "wrong" if high < WORTH else "open"
    return "right" if high < CLEAR else "wrong" if low > CLEAR else "open"  # no gain


def render(
    tests: Mapping[str, Test],
    seen_by: Mapping[str, str | None],
    runs: Mapping[str, Mapping[str, Mapping[str, str]]] = MappingProxyType({}),
    *,
    has_picture: bool = False,
) -> str:
    """Return the tables as Markdown."""
    claims = sorted(read_claims(), key=lambda claim: claim["row"])
    rows = [
        [str(claim["row"]), claim["system"], claim["claim"], *answer(claim, tests, seen_by, runs)] for claim in claims
    ]
    return "\n".join(
        [
            "# Who is right?",
            "",
            "The claims of *Most Go Services Don't Need to Be Concurrent*, put to Python. Written by",
            f"`python examples/judge.py` on {environment().key},",
            f"{processor_model()}, CPython {platform.python_version()}.",
            "",
            *(["![speedups](results.svg)", ""] if has_picture else []),
            *table(["row", "system", "the article says", "seen here", "the article is"], rows),
            "",
            "## Threads in every request, or single-threaded instances",
            "",
            "The last table of the article, measured: the fan-out service in a threaded server, against four",
            "single-threaded instances of the simple one on one port; 8 users, 10 ms of waiting in each request.",
            "",
            *table(["", "threads in every request", "single-threaded instances"], final_table(tests)),
            "",
        ]
    )


def disagreements(committed: str, now: str) -> list[str]:
    """Return the rows that are right in one table and wrong in the other."""

    def verdicts(text: str) -> dict[str, str]:
        rows = (line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| "))
        return {f"row {row[0]}: {row[1]}: {row[2]}": row[-1] for row in rows if row[-1] in ("right", "wrong")}

    before, after = verdicts(committed), verdicts(now)
    return [
        f"{row}: was {before[row]}, is {after[row]}" for row in before if after.get(row, before[row]) != before[row]
    ]


def final_table(tests: Mapping[str, Test]) -> list[list[str]]:
    """Return the rows of the article's last table."""
    fan_out, one, four = (tests[name]["measurements"][0]["load"] for name in (FAN_OUT, ONE, FOUR))
    explored = [tests[name]["explored"] for name in (FAN_OUT_COUNTS, ONE_COUNTS)]
    return [
        ["throughput", f"{fan_out['throughput']:.0f}/s", f"{four['throughput']:.0f}/s"],
        *(
            [name, *(_milliseconds(load["latency_seconds"][name]) for load in (fan_out, four))]
            for name in ("p50", "p95", "p99")
        ),
        ["metrics: p99 is so many times p50", *(_tail(load["latency_seconds"]) for load in (fan_out, four))],
        ["bugs found in the examples", *(_bugs(tests, asked) for asked in (THREADED, SINGLE))],
        ["debugging: orders tried to trust two requests", *(_orders(each) for each in explored)],
        [
            "complexity: lines of code",
            str(_lines("FanOutService", "ReadWriteLock")),
            str(_lines("SimpleService")),
        ],
        [
            "scalability: four instances against one",
            "-",
            f"{four['throughput'] / one['throughput']:.1f}x the throughput",
        ],
    ]


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows),
    ]


def draw(tests: Mapping[str, Test], path: Path) -> bool:
    """Draw the speedups of all comparisons; false if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    found = [
        (f"{claim['row']}: {claim['system']}", measured["speedup"])
        for claim in read_claims()
        for measured in tests.get(claim["test"], {"measurements": []})["measurements"]
        if measured["kind"] == "compare"
    ]
    figure = Figure(figsize=(11, 0.4 * len(found) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, (_, speedup) in enumerate(found):
        colour = "tab:green" if speedup["low"] > 1 else "tab:red" if speedup["high"] < 1 else "tab:gray"
        axes.plot([speedup["low"], speedup["high"]], [place, place], color=colour)
        axes.plot([speedup["estimate"]], [place], "o", color=colour)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(found)), [label for label, _ in found])
    axes.invert_yaxis()
    axes.set_xlabel("concurrent throughput ÷ sequential throughput")
    figure.savefig(path)
    return True


def read_claims() -> list[dict[str, Any]]:
    claims: list[dict[str, Any]] = tomllib.loads((HERE / "claims.toml").read_text(encoding="utf-8"))["claim"]
    return claims


def _orders(explored: Mapping[str, Any]) -> str:
    return f"{explored['schedules']}" + (", all there are" if explored["complete"] else "")


def _bugs(tests: Mapping[str, Test], asked: Mapping[str, str]) -> str:
    found = [bug for bug, name in asked.items() if any(not each["warning"] for each in tests[name]["findings"])]
    return f"{len(found)} of {len(asked)} looked for" + (f": {', '.join(found)}" if found else "")


def _tail(latency: Mapping[str, Mapping[str, float] | None]) -> str:
    middle, late = latency["p50"], latency["p99"]
    return "n/a" if middle is None or late is None else f"{late['estimate'] / middle['estimate']:.1f}"


def _milliseconds(interval: Mapping[str, float] | None) -> str:
    return "n/a" if interval is None else f"{1e3 * interval['estimate']:.1f} ms"


def _lines(*classes: str) -> int:
    """Count the lines of classes in ``web/services.py``."""
    tree = ast.parse((HERE / "web" / "services.py").read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in classes]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in found)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if another answer comes out, twice in a row"
    )
    parser.add_argument(
        "--full", action="store_true", help="batches and crowds as large as the article's: minutes more"
    )
    parser.add_argument(
        "--free-threaded", metavar="PYTHON", help="an interpreter without a GIL that has this plugin installed"
    )
    given = parser.parse_args()
    tests, seen_by = run_examples()
    if given.check:
        committed = given.out.read_text(encoding="utf-8")
        other = disagreements(committed, render(tests, seen_by))
        if other:  # a processor may have been away for the whole of one measurement
            print("\n".join(other), "once more, to see whether that is so", sep="\n", flush=True)
            again = disagreements(committed, render(*run_examples()))
            other = [each for each in other if each in again]
        sys.exit("\n".join(other) or None)
    has_picture = draw(tests, given.out.with_name("results.svg"))
    runs = {"full": measure("full", sys.executable)} if given.full else {}
    if given.free_threaded:
        runs["without a GIL"] = measure("without a GIL", given.free_threaded)
    given.out.write_text(render(tests, seen_by, runs, has_picture=has_picture), encoding="utf-8")
    print(f"{given.out} written")


if __name__ == "__main__":
    main()
