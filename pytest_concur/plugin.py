"""pytest's hooks. A few lines each; whatever a marked test needs is imported when the first one runs."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_concur.session.plugin_state import PluginState

MARK = "concurrency"
_STATE: pytest.StashKey[PluginState] = pytest.StashKey()
_OPTIONS = {
    "threads": "run the test's body in so many threads at once: an integer of at least 1",
    "schedules": "most controlled schedules: an integer of at least 1 (1000)",
    "seconds": "most wall time spent exploring one test, minimization not counted: a number greater than 0 (2.0)",
    "strategy": "who chooses the next task: one of auto, random, pct, pos, urw, surw, dpor, bounded (auto)",
    "seed": "seed of all chance; derived from the node id if not given: an integer",
    "granularity": "where a switch may happen: one of access, gil, sync (access)",
    "scope": "more modules to instrument: a list of module names",
    "outcome": "must outcomes equal one of the sequential ones: one of serial, any (serial)",
    "data_races": "unordered conflicting accesses: one of error, warn, ignore (warn)",
    "lock_order": "locks taken in opposite orders in some schedule: one of error, warn, ignore (warn)",
    "timeouts": "may a time-out fire although others can run: one of last, explore (last)",
    "max_steps": "scheduling points per run before it counts as endless: an integer of at least 1 (20000)",
    "stress": "rounds in real threads that run freely, behind the controlled ones: an integer of at least 0 (0)",
    "baseline": "compare what is measured with stored sessions, and let them be written: true or false (true)",
    "max_regression": "relative slowdown tolerated against the baseline: a number greater than 0 (0.15)",
    "min_speedup": "least concurrent throughput divided by sequential throughput: a number greater than 0",
    "measure_seconds": "most wall time for the rounds of one comparison: a number greater than 0 (3.0)",
    "fresh_fixtures": "set function-scoped fixtures up anew for every run: true or false (true)",
}
# a test holds this in step with options.OPTIONS, which is imported only when a marked test exists


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("concur", "concurrency testing (pytest-concur)")
    group.addoption(
        "--concur", default=None, metavar="off|on|only",
        help="off: run marked tests once, as plain tests; only: run nothing but marked tests",
    )  # fmt: skip
    group.addoption("--concur-replay", default=None, metavar="TOKEN", help="run one recorded schedule of one test")
    group.addoption("--concur-json", default=None, metavar="FILE", help="write verdicts and findings as JSON")
    group.addoption(
        "--concur-baselines", default=None, metavar="DIR",
        help="where sessions of measuring tests are stored; .concur/baselines beside the ini file if not given",
    )  # fmt: skip
    group.addoption(
        "--concur-update-baselines", default=None, nargs="?", const="append", metavar="append|replace",
        help="measure again in fresh processes and store the sessions",
    )  # fmt: skip
    group.addoption(
        "--concur-baseline-sessions", default=None, metavar="N", help="how many fresh processes measure (5)"
    )
    group.addoption(
        "--concur-measure-under-xdist", action="store_true", help="measure on workers, beside each other's noise"
    )
    group.addoption("--concur-sessions-to", default=None, metavar="FILE", help=argparse.SUPPRESS)
    parser.addini("concur_baselines", "see --concur-baselines")
    parser.addini("concur", "off, on or only; see --concur")
    for name, about in _OPTIONS.items():
        flag = "--concur-" + name.replace("_", "-")
        group.addoption(flag, default=None, dest=f"concur_{name}", metavar="VALUE", help=about)
        parser.addini(f"concur_{name}", about)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARK}(threads, schedules, seconds, strategy, seed, ...): run the test sequentially and under many thread "
        "schedules; report races, deadlocks and other findings, minimized and replayable",
    )
    own = ("concur", "concur_replay", "concur_json", "concur_update_baselines", "concur_baseline_sessions")
    if any(config.getoption(name, None) is not None for name in (*own, *(f"concur_{each}" for each in _OPTIONS))):
        _state(config).check_command_line()


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> Generator[None, Any, Any]:
    made = yield
    for item in made if isinstance(made, list) else [made]:
        if isinstance(item, pytest.Item) and item.get_closest_marker(MARK) is not None:
            _state(item.config).check_item(item)
    return made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:  # those of ``unittest`` are not made by pytest's own collectors
        if type(item) is not pytest.Function and item.get_closest_marker(MARK) is not None:
            _state(config).refuse(item)
    if config.getoption("concur") is not None or config.getini("concur"):
        _state(config).deselect(items)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if pyfuncitem.get_closest_marker(MARK) is None:
        return None
    return _state(pyfuncitem.config).run(pyfuncitem)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    state = item.config.stash.get(_STATE, None)  # there is none until a marked test is collected
    if state is None or item.get_closest_marker(MARK) is None or "concur" not in getattr(item, "fixturenames", ()):
        return None
    return state.run_protocol(item, nextitem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call" and (state := item.config.stash.get(_STATE, None)) is not None:
        state.complete_report(item, report)
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if (result := getattr(report, "concur", None)) is not None and _CONTROLLER is not None:
        _state(_CONTROLLER).collect(result)


def pytest_sessionstart(session: pytest.Session) -> None:
    global _CONTROLLER
    _CONTROLLER = session.config


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (state := session.config.stash.get(_STATE, None)) is not None:
        state.check_replayed(session)
        state.update_baselines(session)
        state.write_json(session)
        state.session = session


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if (state := config.stash.get(_STATE, None)) is not None:
        state.leave()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if (state := config.stash.get(_STATE, None)) is not None:
        state.summarize(terminalreporter)


def pytest_report_header(config: pytest.Config) -> str | None:
    state = config.stash.get(_STATE, None)
    return state.header() if state is not None else None


@pytest.fixture
def concur(request: pytest.FixtureRequest) -> Any:
    """Starts tasks and observes outcomes; in a test marked ``concurrency``, under control."""
    state = _state(request.config)
    is_marked = request.node.get_closest_marker(MARK) is not None
    if state.mode != "off" and not is_marked:
        state.unmarked += 1
    if state.mode == "off" or not is_marked:
        state.around.outcomes.clear()
        request.addfinalizer(state.around.outcomes.raise_unasked)  # noqa: PT021 -- a marked test goes without
    return state.concur


_CONTROLLER: pytest.Config | None = None  # the config whose session receives reports


def _state(config: pytest.Config) -> PluginState:
    state = config.stash.get(_STATE, None)
    if state is None:
        from pytest_concur.session.own_modules import find_own_modules_first

        find_own_modules_first()
        from pytest_concur.session.plugin_state import PluginState

        state = config.stash[_STATE] = PluginState(config)
    return state
