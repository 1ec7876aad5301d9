"""Measure how soon each strategy finds the bugs of published benchmark programs.

    python tests/benchmarks/strategies.py [--seeds 20] [--schedules 2000] [--strategies auto,surw] [--only NAME]

Each program of ``tests/programs/published/buggy`` is searched by each strategy with several seeds, up to the first
failing schedule; the table says in how many searches that was found and the mean number of schedules it took, beside
the figures of an abstract machine and of published experiments. Those count steps in other ways: what carries over is
the order of magnitude, and the order of the strategies.

A search for each cell, without minimization: minutes for a few seeds, an hour or more for twenty.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from published import DPOR_FIRST_BUG, MODEL_SURW, PUBLISHED_SURW, TRIVIAL

from pytest_concur.explore.search import Budget, explore
from pytest_concur.explore.sequential import Reference, establish
from pytest_concur.model.verdict import Explored
from pytest_concur.strategies import STRATEGIES, make_strategies

PROGRAMS = Path(__file__).parent.parent / "programs" / "published" / "buggy"


@dataclass
class Cell:
    """The searches of one strategy in one program."""

    tries: int = 0
    found: list[int] = field(default_factory=list)
    """Schedules up to and with the first failing one, for each search that found one; 0: before any was explored."""

    def within(self, schedules: int) -> float:
        return sum(number <= schedules for number in self.found) / self.tries if self.tries else 0.0

    @property
    def mean(self) -> float | None:
        return statistics.mean(self.found) if self.found else None

    def __str__(self) -> str:
        if not self.found:
            return f"- 0/{self.tries}"
        missed = f" {len(self.found)}/{self.tries}" if len(self.found) < self.tries else ""
        return f"{self.mean:.1f}{missed}"


class Searches:
    """Runs the searches of each collected program in place of the test."""

    def __init__(self, strategies: list[str], seeds: int, schedules: int, seconds: float) -> None:
        self.table: dict[str, dict[str, Cell]] = {}
        self._strategies, self._seeds, self._schedules, self._seconds = strategies, seeds, schedules, seconds

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool:
        from pytest_concur.plugin import _state
        from pytest_concur.session.runner import TestRunner

        state = _state(pyfuncitem.config)
        runner = TestRunner(pyfuncitem, state.resolve(pyfuncitem), state.around, started=time.perf_counter())
        callspec = getattr(pyfuncitem, "callspec", None)
        name = callspec.id if callspec is not None else pyfuncitem.name.removeprefix("test_")
        row = self.table[name] = {}
        with runner.laboratory() as lab:
            baseline = establish(lab).failure is not None
            for strategy in self._strategies:
                cell = row[strategy] = Cell()
                for seed in range(self._seeds):
                    cell.tries += 1
                    if strategy == "auto" and baseline:
                        cell.found.append(0)
                        continue
                    budget = Budget(self._schedules, self._seconds)
                    searched = explore(
                        lab, Reference(), make_strategies(strategy, seed * 1000), budget, explored=Explored()
                    )
                    if searched.found is not None:
                        cell.found.append(searched.found.index)
                    if strategy in ("dpor", "bounded"):
                        break  # there is no chance in them
                print(f"{name:34} {strategy:8} {cell}", file=sys.stderr, flush=True)
        return True


class Late:
    """Registers the searches behind all other plugins: what is registered last is called first."""

    def __init__(self, searches: Searches) -> None:
        self._searches = searches

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        session.config.pluginmanager.register(self._searches)


def lines(table: dict[str, dict[str, Cell]], strategies: list[str]) -> list[str]:
    """Return the table as text."""
    head = f"{'program':34}" + "".join(f"{name:>14}" for name in strategies) + f"{'surw: model':>14}{'published':>12}"
    rows = [head]
    for program, row in sorted(table.items()):
        cells = "".join(f"{row[name]!s:>14}" for name in strategies)
        model, published = MODEL_SURW.get(program, ""), PUBLISHED_SURW.get(program, "")
        rows.append(f"{program:34}{cells}{model!s:>14}{published!s:>12}")
    return rows


def verdicts(table: dict[str, dict[str, Cell]]) -> list[str]:
    """Return a line for each promise that the table speaks about."""
    out = []
    telling = {name: row for name, row in table.items() if name not in TRIVIAL}
    for budget, share in ((100, 0.85), (1000, 0.95)):
        rates = [row["auto"].within(budget) for row in telling.values() if "auto" in row]
        if rates:
            verdict = "holds" if statistics.mean(rates) >= share else "MISSED"
            out.append(
                f"auto finds {100 * statistics.mean(rates):.1f} % of {len(rates)} programs that are not trivial within "
                f"{budget} schedules, at least {100 * share:g} %: {verdict}"
            )
    for name, figure in MODEL_SURW.items():
        cell = table.get(name, {}).get("surw")
        if cell is not None and (cell.mean is None or len(cell.found) < cell.tries or cell.mean > 2 * figure):
            out.append(f"surw needs {cell} on {name}, at most twice {figure}: MISSED")
    for name, first in DPOR_FIRST_BUG.items():
        cell = table.get(name, {}).get("dpor")
        if cell is not None and (cell.mean is None or cell.mean > first):
            out.append(f"dpor finds the bug of {name} at {cell}, at most {first}: MISSED")
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=20, help="searches for each strategy and program (default: 20)")
    parser.add_argument("--schedules", type=int, default=2000, help="most schedules of a search (default: 2000)")
    parser.add_argument("--seconds", type=float, default=30.0, help="longest search (default: 30)")
    parser.add_argument("--strategies", default=",".join(STRATEGIES), help="separated by commas (default: all)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="file without .py; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every search to FILE")
    given = parser.parse_args()
    strategies = given.strategies.split(",")
    files = [str(PROGRAMS / f"{name}.py") for name in given.only] or [
        str(path) for path in sorted(PROGRAMS.glob("*.py"))
    ]
    searches = Searches(strategies, given.seeds, given.schedules, given.seconds)
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-s", "--no-header", *files]
    code = pytest.main(options, plugins=[Late(searches)])
    if given.json:
        raw: dict[str, Any] = {
            program: {name: {"tries": cell.tries, "found": cell.found} for name, cell in row.items()}
            for program, row in searches.table.items()
        }
        given.json.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    print("\n".join([*lines(searches.table, strategies), "", *verdicts(searches.table)]))
    return int(code)


if __name__ == "__main__":
    raise SystemExit(main())
