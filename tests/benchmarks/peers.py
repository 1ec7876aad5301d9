"""Compare how many schedules a second we and our peers explore.

    pip install -r tests/benchmarks/requirements.txt
    python tests/benchmarks/peers.py [--seconds 3] [--rounds 3] [--only NAME] [--json FILE]

Every tool present explores every program of ``programs.py``. Rounds are short and go round-robin over the tools; a
tool's rate is the median of its rounds. A round is a few slices, each timed by the machine's clock of that moment (see
``clock.py``), and its rate is told for the fastest moment there was. Each round is a subprocess of this interpreter,
because tools patch ``threading`` and claim tracing slots; start-up and imports are not counted, only the time spent
exploring. Every tool warms up first. Only ours pins itself to one CPU; ``taskset -c 0 python …`` pins everybody, which
answers how much of the difference is due to that.

Peers run with the settings that are fastest for them, so the ratios are the least we can claim:

- frontrun: ``detect_io=False`` (no program does I/O), no replays. Random mode on the real clock; DPOR on the virtual
  one, where it is no slower, and without which it gives up on every program that waits for a condition or a queue.
  A finished DPOR search starts over. Its replacement primitives are single steps, ours are explored inside.
- interleave-test: opcode granularity (its default, and what we explore); the harness is excluded from tracing.

A rate is that of runs of the body; ours include the second run of each search's first schedule. What a schedule is
worth differs from tool to tool; this says what it costs. A dash is a tool that is not installed or could not run the
program; the reason is printed below the table.

The floor is what as many thread starts and hand-overs cost by themselves, measured in each process of ours; ``+body``
adds the program's own work. In the first table they are those of the better of random and pct.
"""

import argparse
import importlib
import importlib.util
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from clock import loop_seconds, loops_of
from floor import Costs
from programs import PROGRAMS, Program

WARM_UP_SECONDS = 0.2
START_UP_SECONDS = 60
"""Most time a subprocess may take on top of the exploring it was asked for."""

SLICE_SECONDS = 0.5
"""Exploring between two looks at the clock."""

OUR_WARM_UPS = 20
"""Searches of ours that share the time to warm up: a single one may be over in no time."""

OUR_SEARCHES = 20
"""How often one subprocess of ours searches what ends after few schedules: one search says little."""


class Measurement(NamedTuple):
    """What one round of exploring came to."""

    schedules: int
    loops: float
    """Time spent exploring, in loops (see ``clock``)."""

    switches: int | None = None
    """Hand-overs between tasks in all schedules together; None from tools that do not tell."""

    costs: Costs | None = None
    """What threads cost in that process; None from tools that do not tell."""


class NotMeasured(Exception):
    """The tool could not run the program; the message says why."""


SEEING = ("pos", "surw", "dpor")
"""Our strategies that are asked before each operation and told what it is."""


# --- ours ------------------------------------------------------------------------------------------------------------

TEST_FILE = """\
from functools import partial

import pytest
from programs import PROGRAMS

PROGRAM = PROGRAMS[{program!r}]
SETTINGS = dict(strategy={strategy!r}, schedules=10**9, outcome="any", scope=["programs"])


@pytest.mark.parametrize("search", range({warm_ups}))
@pytest.mark.concurrency(seconds={warm_up_seconds}, **SETTINGS)
def test_warm_up(concur, search):
    run(concur)


@pytest.mark.parametrize("search", range({searches}))
@pytest.mark.concurrency(seconds={seconds}, **SETTINGS)
def test_program(concur, search):
    run(concur)


def run(concur):
    state = PROGRAM.setup()
    concur.run(*[partial(thread, state) for thread in PROGRAM.threads])
    assert PROGRAM.check(state)
"""


CONFTEST = """\
import json
from pathlib import Path

import pytest
from clock import loop_seconds
from floor import measure_costs
from programs import PROGRAMS

CLOCK = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    before = loop_seconds()
    try:
        return (yield)
    finally:
        CLOCK.append((before + loop_seconds()) / 2)


def pytest_sessionfinish():
    costs = measure_costs(PROGRAMS[{program!r}])
    Path("clock.json").write_text(json.dumps({{"loop_seconds": CLOCK, "costs": costs}}))
"""


def measure_ours(program: str, strategy: str, seconds: float) -> Measurement:
    """Explore ``program`` with our plugin, in a pytest of its own, for ``seconds``.

    Raises:
        NotMeasured: The plugin wrote no report, explored nothing, or failed a program that cannot fail.
    """
    is_search = PROGRAMS[program].is_search
    searches = max(1, round(seconds / SLICE_SECONDS))
    if is_search or strategy == "dpor":
        searches = OUR_SEARCHES  # who finishes starts over, as the peer does
    if not is_search:
        seconds /= searches
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")  # ends pytest's search for a configuration here
        (folder / "conftest.py").write_text(CONFTEST.format(program=program))
        (folder / "test_program.py").write_text(
            TEST_FILE.format(
                program=program,
                strategy=strategy,
                seconds=float(seconds),
                searches=searches,
                warm_ups=OUR_WARM_UPS,
                warm_up_seconds=WARM_UP_SECONDS / OUR_WARM_UPS,
            )
        )
        options = ["-q", "--tb=no", "-p", "no:frontrun", f"--rootdir={folder}", "--concur-json=report.json"]
        output = _run([sys.executable, "-m", "pytest", *options, "test_program.py"], searches * seconds, folder=folder)
        if not (folder / "report.json").exists():
            raise NotMeasured(f"no report: {_last_lines(output, 5)}")
        tests = json.loads((folder / "report.json").read_text())["tests"]
        clock = json.loads((folder / "clock.json").read_text())
    tests, clock["loop_seconds"] = tests[OUR_WARM_UPS:], clock["loop_seconds"][OUR_WARM_UPS:]
    if not is_search and any(test["verdict"] == "failed" for test in tests):
        raise NotMeasured(f"failed: {[finding['summary'] for test in tests for finding in test['findings']]}")
    if is_search and not all(test["verdict"] == "failed" for test in tests):
        raise NotMeasured("a search ended without finding the failure")
    explored = [test["explored"] for test in tests]
    # the first schedule of a search runs twice; that is time well spent, but a schedule that was run all the same
    schedules = sum(one["runs"] for one in explored)
    loops = sum(one["seconds"] / loop for one, loop in zip(explored, clock["loop_seconds"], strict=True))
    if not (schedules and loops):
        raise NotMeasured(f"nothing explored: {schedules} schedules in {loops} loops")
    return Measurement(schedules, loops, sum(one["switches"] for one in explored), Costs(*clock["costs"]))


# --- peers: these run inside the subprocess --------------------------------------------------------------------------
# Imported by name at run time: a peer may be missing, it must not be imported beside another, and type checkers need
# not know it.


def measure_frontrun(program: Program[Any], strategy: str, seconds: float) -> Measurement:
    os.environ["FRONTRUN_ACTIVE"] = "1"  # what its command line sets; it refuses to explore without
    frontrun = importlib.import_module("frontrun")

    def explore(seconds_left: float, seed: int) -> int:
        if strategy == "dpor":
            options = {"clock": "virtual", "stop_on_first": program.is_search}
        else:
            options = {"max_attempts": 10**9, "seed": seed}
        result = frontrun.explore(
            setup=program.setup,
            workers=list(program.threads),
            invariant=program.check,
            strategy=strategy,
            total_timeout=seconds_left,
            detect_io=False,
            reproduce_on_failure=0,
            **options,
        )
        is_expected = result.property_holds or (program.is_search and result.property_holds is False)
        if result.num_explored and not is_expected:
            raise NotMeasured(result.inconclusive_reason or result.explanation)
        return int(result.num_explored)

    return _explore_for(seconds, explore)


def measure_interleave(program: Program[Any], strategy: str, seconds: float) -> Measurement:
    interleave = importlib.import_module("interleave_test")
    strategy_class = {"random": interleave.RandomStrategy, "pct": interleave.PCTStrategy}[strategy]

    def model() -> None:
        state = program.setup()
        for task in [interleave.spawn(thread, state) for thread in program.threads]:
            task.join()
        assert program.check(state)

    def explore(seconds_left: float, seed: int) -> int:
        deadline = perf_counter() + seconds_left
        searching = strategy_class()
        searching.more = lambda: perf_counter() < deadline  # it knows no time limit; asked before each schedule
        result = interleave.explore(
            model, iterations=10**9, seed=seed, strategy=searching, exclude=[__file__], raise_on_failure=False
        )
        if result.failure and not (program.is_search and result.failure.kind == "deadlock"):
            raise NotMeasured(f"{result.failure.kind}: {result.failure.exception!r}")
        return int(result.schedules_run)

    return _explore_for(seconds, explore)


def _explore_for(seconds: float, explore: Callable[[float, int], int]) -> Measurement:
    """Call ``explore(seconds_left, seed)``, which returns how many schedules it ran, until ``seconds`` are over."""
    explore(WARM_UP_SECONDS, 0)
    seeds = itertools.count(1)
    schedules, loops = 0, 0.0

    def explore_slice() -> None:
        nonlocal schedules
        ends = perf_counter() + min(SLICE_SECONDS, seconds)
        while (left := ends - perf_counter()) > 0:
            schedules += explore(max(left, 0.001), next(seeds))

    for _ in range(max(1, round(seconds / SLICE_SECONDS))):
        loops += loops_of(explore_slice)
    return Measurement(schedules, loops)


def measure_peer(program: str, tool: str, seconds: float) -> Measurement:
    """Let ``tool`` explore ``program`` in a process of its own; see ``PEERS``."""
    output = _run([sys.executable, __file__, "--in-process", tool, program, str(seconds)], seconds)
    try:
        answer = json.loads(_last_lines(output, 1))
    except ValueError:
        raise NotMeasured(f"no answer: {_last_lines(output, 5)}") from None
    if "reason" in answer:
        raise NotMeasured(answer["reason"])
    return Measurement(**answer)


def answer_in_process(tool: str, program: str, seconds: str) -> None:
    """The other end of ``measure_peer``: explore, print the answer, leave without waiting for leaked threads."""
    try:
        answer = PEERS[tool](PROGRAMS[program], seconds=float(seconds))._asdict()
    except NotMeasured as why:
        answer = {"reason": str(why)}
    print(json.dumps(answer), flush=True)
    os._exit(0)


PEERS: dict[str, Callable[..., Measurement]] = {
    "frontrun-random": partial(measure_frontrun, strategy="random"),
    "frontrun-dpor": partial(measure_frontrun, strategy="dpor"),
    "interleave-random": partial(measure_interleave, strategy="random"),
    "interleave-pct": partial(measure_interleave, strategy="pct"),
}


@dataclass(frozen=True)
class Tool:
    """A column of the table."""

    package: str
    """Import package; the column stays empty where it is not installed."""

    measure: Callable[..., Measurement]
    """Called with a program's name and ``seconds``; raises ``NotMeasured``."""

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None


TOOLS = {
    "ours-random": Tool("pytest_concur", partial(measure_ours, strategy="random")),
    "ours-pct": Tool("pytest_concur", partial(measure_ours, strategy="pct")),
    **{f"ours-{name}": Tool("pytest_concur", partial(measure_ours, strategy=name)) for name in SEEING},
    "frontrun-random": Tool("frontrun", partial(measure_peer, tool="frontrun-random")),
    "frontrun-dpor": Tool("frontrun", partial(measure_peer, tool="frontrun-dpor")),
    "interleave-random": Tool("interleave_test", partial(measure_peer, tool="interleave-random")),
    "interleave-pct": Tool("interleave_test", partial(measure_peer, tool="interleave-pct")),
}


def _run(command: list[str], exploring_seconds: float, folder: Path | None = None) -> str:
    """Return what ``command`` printed, whatever its exit status; ``programs`` is importable in it."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    timeout = 2 * exploring_seconds + START_UP_SECONDS
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"did not end within {timeout:.0f} s") from None
    return done.stdout


def _last_lines(text: str, count: int) -> str:
    return " | ".join(text.strip().splitlines()[-count:]) or "(printed nothing)"


# --- the comparison --------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """What all tools did on one program."""

    program: str
    rounds: dict[str, list[Measurement]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a tool has no rounds."""

    loop_seconds: float = inf
    """What a loop took at the fastest moment that was looked at: it turns loops into seconds."""

    @property
    def best(self) -> str | None:
        """Our faster tool of those that are not told of operations."""
        blind = {
            tool: rate
            for tool, rate in self.rates.items()
            if tool.startswith("ours-") and tool.removeprefix("ours-") not in SEEING
        }
        return max(blind, key=lambda tool: blind[tool]) if blind else None

    def floors(self, tool: str | None) -> dict[str, float]:
        """Schedules per second that a tool of ours could reach if it cost nothing itself.

        ``floor``: thread starts and hand-overs alone, as many as it made. ``+body``: the program's own work, too.
        """
        rounds = self.rounds.get(tool or "", [])
        costs = [one.costs for one in rounds if one.costs is not None]
        if not costs:
            return {}
        start, hand_over, plain = (statistics.median(values) for values in zip(*costs, strict=True))
        switching = hand_over * sum(one.switches or 0 for one in rounds) / sum(one.schedules for one in rounds)
        threads = len(PROGRAMS[self.program].threads)
        loops = {"floor": threads * start + switching, "+body": plain + switching}
        return {name: 1 / (each * self.loop_seconds) for name, each in loops.items()}

    @property
    def rates(self) -> dict[str, float]:
        """Schedules per second, for each tool that ran the program."""
        return {
            tool: statistics.median(one.schedules / (one.loops * self.loop_seconds) for one in rounds)
            for tool, rounds in self.rounds.items()
        }

    @property
    def ratios(self) -> dict[str, float]:
        """Our rates, the better first, ÷ that of each peer's faster mode, and ÷ their own floors."""
        rates = self.rates
        ours = ({"best": self.best} if self.best else {}) | {
            name: tool for name in SEEING if (tool := f"ours-{name}") in rates
        }
        theirs = {
            peer: max(found)
            for peer in ("frontrun", "interleave")
            if (found := [rate for tool, rate in rates.items() if tool.startswith(peer)])
        }
        ratios = {
            f"{name}/{peer}": rates[tool] / other for peer, other in theirs.items() for name, tool in ours.items()
        }
        floors = {
            f"{name}/{kind}": rates[tool] / floor
            for name, tool in ours.items()
            for kind, floor in self.floors(tool).items()
        }
        return ratios | floors


FLOORS = ["floor", "+body"]
RATIOS = [
    *(f"{mode}/{peer}" for peer in ("frontrun", "interleave") for mode in ("best", *SEEING)),
    *(f"{mode}/{floor}" for floor in FLOORS for mode in ("best", *SEEING)),
]


@dataclass(frozen=True)
class Target:
    """A promise about a ratio, over all programs."""

    statistic: Callable[[Iterable[float]], float]
    ratio: str
    at_least: float

    def verdict(self, rows: Sequence[Row]) -> str:
        ratios = [row.ratios[self.ratio] for row in rows if self.ratio in row.ratios]
        claim = f"{STATISTICS[self.statistic]} {self.ratio} at least {self.at_least:g}"
        if not ratios:
            return f"{claim}: not measured"
        value = self.statistic(ratios)
        verdict = "holds" if value >= self.at_least else "MISSED"
        return f"{claim}: {value:.3g}, {verdict} (over {len(ratios)} of {len(rows)} programs)"


STATISTICS: dict[Callable[[Iterable[float]], float], str] = {statistics.median: "median", min: "minimum"}

TARGETS = [
    Target(statistics.median, "best/frontrun", 20),
    Target(statistics.median, "best/interleave", 8),
    Target(min, "best/frontrun", 5),
    Target(min, "best/interleave", 5),
    *(Target(min, f"{mode}/{peer}", 5) for mode in SEEING for peer in ("frontrun", "interleave")),
    Target(min, "best/floor", 0.5),
    Target(min, "best/+body", 0.5),
]


def compare(program: str, tools: Mapping[str, Tool], *, seconds: float, rounds: int) -> Row:
    """Measure all ``tools`` on ``program``, ``seconds`` each, in ``rounds`` that alternate between them."""
    row = Row(program)
    for _ in range(rounds):
        for name, tool in tools.items():
            if name in row.reasons:
                continue
            try:
                measured = tool.measure(program, seconds=seconds / rounds)
            except NotMeasured as why:
                row.reasons[name] = str(why)
                row.rounds.pop(name, None)
            else:
                row.rounds.setdefault(name, []).append(measured)
        row.loop_seconds = min(row.loop_seconds, loop_seconds())
    return row


def render(rows: Sequence[Row]) -> str:
    """The tables, the reasons for gaps, and whether the targets hold."""
    rates = [[row.program, *_cells({**row.rates, **row.floors(row.best)}, [*TOOLS, *FLOORS], ",.0f")] for row in rows]
    ratios = [[row.program, *_cells(row.ratios, RATIOS, ".3g")] for row in rows]
    for statistic, name in STATISTICS.items():
        columns = {ratio: [row.ratios[ratio] for row in rows if ratio in row.ratios] for ratio in RATIOS}
        summary = {ratio: statistic(values) for ratio, values in columns.items() if values}
        ratios.append([name, *_cells(summary, RATIOS, ".3g")])
    gaps = [f"{row.program}, {tool}: {reason}" for row in rows for tool, reason in row.reasons.items()]
    return "\n".join(
        [
            *_table(["schedules/s", *TOOLS, *FLOORS], rates),
            *(["", *_table(["times as fast", *RATIOS], ratios)] if any(row.ratios for row in rows) else []),
            *(["", "not measured:", *gaps] if gaps else []),
            "",
            *(target.verdict(rows) for target in TARGETS),
        ]
    )


def _cells(values: Mapping[str, float | None], columns: Iterable[str], style: str) -> list[str]:
    return ["-" if (value := values.get(column)) is None else format(value, style) for column in columns]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    aligned = ([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in [header, *rows])
    return ["  ".join(cells) for cells in aligned]


def as_json(rows: Sequence[Row], *, seconds: float) -> dict[str, Any]:
    return {
        "machine": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        },
        "seconds": seconds,
        "programs": {
            row.program: {
                "schedules_per_second": row.rates,
                "floors": row.floors,
                "loop_seconds": row.loop_seconds,
                "ratios": row.ratios,
                "rounds": {tool: [one._asdict() for one in rounds] for tool, rounds in row.rounds.items()},
                "not_measured": row.reasons,
            }
            for row in rows
        },
        "targets": [target.verdict(rows) for target in TARGETS],
    }


def main() -> None:
    if sys.argv[1:2] == ["--in-process"]:
        answer_in_process(*sys.argv[2:])
    parser = argparse.ArgumentParser(description="Compare schedules per second with peers.")
    parser.add_argument("--seconds", type=float, default=3.0, help="exploring per program and tool (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds to split that into (default: 3)")
    parser.add_argument("--only", action="append", choices=PROGRAMS, metavar="NAME", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to FILE")
    options = parser.parse_args()
    if options.seconds <= 0 or options.rounds < 1:
        parser.error("--seconds must be above 0 and --rounds at least 1")

    tools = {name: tool for name, tool in TOOLS.items() if tool.is_installed}
    rows = []
    for program in options.only or PROGRAMS:
        print(f"measuring {program} …", file=sys.stderr)
        rows.append(compare(program, tools, seconds=options.seconds, rounds=options.rounds))
    missing = ", ".join(name for name in TOOLS if name not in tools) or "none"
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs; not installed: {missing}\n")
    print(render(rows))
    if options.json:
        options.json.write_text(json.dumps(as_json(rows, seconds=options.seconds), indent=2) + "\n")


if __name__ == "__main__":
    main()
