"""What the plugin keeps for one pytest session; made when the first marked test or option shows up."""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from pytest_concur import options as option_table
from pytest_concur.errors import ConcurrencyUsageError
from pytest_concur.model.verdict import TestResult, Uncontrolled
from pytest_concur.options import Resolved
from pytest_concur.report.json_report import as_dict, write
from pytest_concur.session.own_modules import find_own_modules_as_before

if TYPE_CHECKING:
    from pytest_concur.session.measured_session import MeasuredSession

_RESULT: pytest.StashKey[TestResult] = pytest.StashKey()
_MODES = ("off", "on", "only")
_CACHE_KEY = "concur/failing"

UNEXPLORED = "a free-threaded build of CPython cannot be explored yet; use one with a GIL"

MOST_WARNINGS = 5
"""Data races and inverted lock orders that are warned of for one test; more would bury the rest."""


class PluginState:
    """Settings, results and shared parts of one session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._results: dict[str, dict[str, Any]] = {}
        self._around: Any = None
        self._concur: Any = None
        self._measured: MeasuredSession | None = None
        self._problems: list[str] = []
        """What went wrong with what the command line asks for, at the session's end."""

        self.unmarked = 0
        """Tests that use the fixture without the marker."""

        self.session: pytest.Session | None = None
        """Once it is over."""

        self._infrastructure = frozenset(t.ident for t in threading.enumerate() if t.ident is not None)

    # ---- before tests run ----

    def check_command_line(self) -> None:
        """Refuse wrong values on the command line before anything is collected."""
        try:
            _ = self.measured.update, self.measured.sessions
            self._check_replay_and_json()
            for option in option_table.OPTIONS:
                text = self._config.getoption(f"concur_{option.name}", None)
                if text is not None:
                    option_table.parse(option, text, option_table.flag_of(option))
        except ConcurrencyUsageError as error:
            raise pytest.UsageError(str(error)) from None

    def _check_replay_and_json(self) -> None:
        mode = self.mode
        if self._config.getoption("concur_replay") is not None:
            if mode == "off":
                raise ConcurrencyUsageError(
                    "--concur-replay with --concur=off: nothing would be replayed; take one off"
                )
            self._config.option.runxfail = True  # a failure is asked for: it is to be seen
        path = self._config.getoption("concur_json")
        if path and Path(path).is_dir():
            raise ConcurrencyUsageError(f"--concur-json={path}: that is a folder; name a file")

    @property
    def mode(self) -> str:
        """``off``, ``on`` or ``only``."""
        text = self._config.getoption("concur") or os.environ.get("CONCUR") or self._config.getini("concur") or "on"
        if text not in _MODES:
            raise ConcurrencyUsageError(f"--concur={text!r}: allowed: {', '.join(_MODES)}")
        return str(text)

    def check_item(self, item: pytest.Item) -> None:
        """Refuse a marked test that cannot be run, at collection, with its reason."""
        try:
            self._check_kind(item)
            self.resolve(item)
        except ConcurrencyUsageError as error:
            raise pytest.Collector.CollectError(str(error)) from None

    def refuse(self, item: pytest.Item) -> None:
        """Let a marked item fail that is of a kind that cannot be run; a doctest has the marker from its module."""
        if self.mode == "off" or type(item).__name__ == "DoctestItem":
            return
        try:
            self._check_kind(item)
        except ConcurrencyUsageError as error:
            item.runtest = partial(pytest.fail, str(error), pytrace=False)  # type: ignore[method-assign]

    def resolve(self, item: pytest.Item) -> Resolved:
        """Return the settings of a marked test."""
        arguments: dict[str, Any] = {}
        for marker in reversed(list(item.iter_markers("concurrency"))):  # the closest last: it wins
            if marker.args:
                shown = ", ".join(map(repr, marker.args))
                raise ConcurrencyUsageError(
                    f"{item.nodeid}: @pytest.mark.concurrency({shown}) takes its arguments by name, "
                    f"such as threads=4 or schedules=100"
                )
            arguments.update(marker.kwargs)
        return self._resolve(arguments, item.nodeid)

    def _resolve(self, arguments: dict[str, Any], test: str) -> Resolved:
        config = self._config
        return option_table.resolve(
            arguments,
            lambda name: config.getoption(f"concur_{name}", None),
            lambda name: _ini_text(config, f"concur_{name}"),
            test=test,
        )

    def _check_kind(self, item: pytest.Item) -> None:
        function = getattr(item, "obj", None)
        if getattr(function, "is_hypothesis_test", False) or getattr(function, "hypothesis", None) is not None:
            raise ConcurrencyUsageError(
                f"{item.nodeid}: @pytest.mark.concurrency and hypothesis' @given on one test are not supported yet; "
                "call the code under test in a plain marked test, or take one of the two off"
            )
        if "subtests" in getattr(item, "fixturenames", ()):
            raise ConcurrencyUsageError(
                f"{item.nodeid}: @pytest.mark.concurrency does not go with the fixture subtests, which keeps failures "
                "from the runs; use @pytest.mark.parametrize"
            )
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ConcurrencyUsageError(
                f"{item.nodeid}: @pytest.mark.concurrency is for threads; this test is asynchronous: "
                "write a plain one that calls asyncio.run, in its body or in tasks"
            )
        if not isinstance(item, pytest.Function) or type(item).__name__ == "TestCaseFunction":
            raise ConcurrencyUsageError(
                f"{item.nodeid}: @pytest.mark.concurrency needs a test function or a method of a plain class; "
                f"this is a {type(item).__name__}"
            )

    def deselect(self, items: list[pytest.Item]) -> None:
        """``--concur=only``: keep the marked tests."""
        if self.mode != "only":
            return
        unmarked = [item for item in items if item.get_closest_marker("concurrency") is None]
        if unmarked:
            self._config.hook.pytest_deselected(items=unmarked)
            items[:] = [item for item in items if item.get_closest_marker("concurrency") is not None]

    # ---- running ----

    @property
    def concur(self) -> Any:
        """The object that the fixture hands out."""
        if self._concur is None:
            from pytest_concur.fixture import Concur

            around = self.around
            self._concur = Concur(
                around.hooks, around.outcomes, lambda: self._resolve({}, "outside a marked test").measure_seconds
            )
        return self._concur

    def run(self, item: pytest.Function) -> bool | None:
        """Run a marked test; ``None`` leaves it to pytest."""
        if self.mode == "off":
            return None
        if "free-threading" in sys.version:
            self._leave_unexplored(item)
            return None
        started = time.perf_counter()  # what a test's time-out counts begins before the imports of the first one
        from pytest_concur.session.runner import TestRunner

        runner = TestRunner(item, self.resolve(item), self.around, started=started)
        item.stash[_RESULT] = runner.result
        self.concur.attend(runner.who_measures)
        try:
            runner.run(self._config.getoption("concur_replay"))
        finally:
            self.concur.attend(None)
        return True

    def _leave_unexplored(self, item: pytest.Function) -> None:
        """On a build without a GIL pytest runs the test as it stands, and it is no pass: nothing says it is right.

        What exploring rests on is not there: ``gc.get_objects`` of 3.13.5 leaves out what one thread has made while
        another one lives, so code would stay out of control.
        """
        if self._config.getoption("concur_replay"):
            raise ConcurrencyUsageError(f"{item.nodeid}: --concur-replay: {UNEXPLORED}")
        result = item.stash[_RESULT] = TestResult(item.nodeid)
        result.uncontrolled.append(Uncontrolled(UNEXPLORED, item.nodeid))

    def run_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run an item as pytest does, and say nothing of it yet if it has to be run again at the end of the session."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        measured = self.measured
        was_postponed = measured.postponed(item.nodeid) is not None
        measured.protocol_of = item.nodeid
        try:
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
        finally:
            measured.protocol_of = None
        if measured.postponed(item.nodeid) is not None and not was_postponed:
            item.session.items.append(item)
        else:
            for report in reports:
                item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @property
    def measured(self) -> MeasuredSession:
        """What measuring tests share."""
        if self._measured is None:
            from pytest_concur.session.measured_session import MeasuredSession

            self._measured = MeasuredSession(self._config)
        return self._measured

    @property
    def around(self) -> Any:
        """The parts that all tests share."""
        if self._around is None:
            from pytest_concur.engine.hooks import Hooks
            from pytest_concur.explore.trial import Outcomes
            from pytest_concur.instrument.cache import CodeCache
            from pytest_concur.report.progress import Progress
            from pytest_concur.session.process import set_children_free
            from pytest_concur.session.runner import Surroundings

            worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
            hooks = Hooks()
            set_children_free(hooks)
            self._around = Surroundings(
                hooks=hooks,
                outcomes=Outcomes(),
                cache=CodeCache(self._cache_folder()),
                roots=(self._config.rootpath, *_local_roots(self._config)),
                infrastructure=self._infrastructure,
                remembered=self._remembered,
                remember=self._remember,
                progress=Progress(self._config).show,
                worker=int(worker) if worker.isdigit() else None,
                measured=self.measured,
            )
        return self._around

    def _cache_folder(self) -> Path | None:
        cache = getattr(self._config, "cache", None)
        if cache is None:
            return None
        try:
            return Path(cache.mkdir("concur-code"))
        except OSError:
            return None

    def _remembered(self, nodeid: str) -> list[str]:
        cache = getattr(self._config, "cache", None)
        found = cache.get(_CACHE_KEY, {}) if cache is not None else {}
        tokens = found.get(nodeid, []) if isinstance(found, dict) else []
        return [token for token in tokens if isinstance(token, str)]

    def _remember(self, nodeid: str, tokens: Any) -> None:
        cache = getattr(self._config, "cache", None)
        if cache is None:
            return
        found = cache.get(_CACHE_KEY, {})
        found = found if isinstance(found, dict) else {}
        if found.get(nodeid, []) == list(tokens):
            return
        found[nodeid] = list(tokens)
        if not tokens:
            del found[nodeid]
        cache.set(_CACHE_KEY, found)

    # ---- reporting ----

    def complete_report(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Attach the result of a marked test to its report, and its text if it failed."""
        result = item.stash.get(_RESULT, None)
        if result is None:
            return
        del item.stash[_RESULT]
        is_unexpected_pass = str(report.longrepr).startswith("[XPASS(strict)]")
        if report.failed and result.verdict == "passed" and not is_unexpected_pass:
            result.uncontrolled.append(Uncontrolled("what failed outside the runs", item.nodeid))
        result.is_expected = result.verdict == "failed" and report.skipped and hasattr(report, "wasxfail")
        report.concur = as_dict(result)  # type: ignore[attr-defined]
        finding = next((each for each in result.findings if not each.is_warning), None)
        if report.failed and finding is not None and finding.report:
            item.user_properties.append(("concurrency", finding.report))  # JUnit's XML has no other place for it
            if finding.kind in ("assertion", "exception", "sequential-failure"):
                report.sections.append(("concurrency", finding.report))
            else:
                report.longrepr = _as_longrepr(item, finding.report, finding.summary)
        elif report.passed and result.verdict == "inconclusive":
            _warn(item, report, f"{item.nodeid}: concurrency inconclusive: {result.reason}")
        warnings = [finding for finding in result.findings if finding.is_warning]
        for finding in warnings[:MOST_WARNINGS]:
            _warn(item, report, finding.report)
        if len(warnings) > MOST_WARNINGS:
            more = f"such warnings beside these: {len(warnings) - MOST_WARNINGS}; --concur-json=FILE has them all"
            _warn(item, report, f"{item.nodeid}: {more}")

    def collect(self, result: dict[str, Any]) -> None:
        self._results[result["nodeid"]] = result

    def write_json(self, session: pytest.Session) -> None:
        """Write ``--concur-json``, in the process that sees all reports."""
        path = self._config.getoption("concur_json")
        if path and not hasattr(self._config, "workerinput"):
            try:
                write(Path(path), list(self._results.values()))
            except OSError as error:
                session.exitstatus = pytest.ExitCode.USAGE_ERROR
                self._problems.append(f"--concur-json={path}: the report cannot be written there: {error}")

    def check_replayed(self, session: pytest.Session) -> None:
        """Let a session fail in which ``--concur-replay`` came to no test."""
        config, passed = self._config, (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        is_asked = config.getoption("concur_replay") is not None and not config.option.collectonly
        if is_asked and not self._results and session.exitstatus in passed and not hasattr(config, "workerinput"):
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
            self._problems.append("--concur-replay: no marked test was run, so nothing was replayed")

    def update_baselines(self, session: pytest.Session) -> None:
        """``--concur-update-baselines``: store sessions of the measuring tests that passed."""
        if self._measured is None:
            return  # no marked test ran
        measured = self._measured
        if measured.is_worker or measured.is_recording or measured.update is None:
            return
        nodeids = [name for name, each in self._results.items() if each["measures"] and each["verdict"] != "failed"]
        if nodeids and not measured.write_baselines(nodeids):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def leave(self) -> None:
        """End the process at once if threads are left that ran freely and may never end: Python would wait for them."""
        find_own_modules_as_before()
        patience = sys.modules.get("pytest_concur.session.patience")
        left = [thread for thread in patience.LEFT_BEHIND if thread.is_alive()] if patience is not None else []
        if left and self.session is not None:
            writer = self._config.get_terminal_writer()
            writer.line(f"concurrency: left behind, as they never came back: {', '.join(each.name for each in left)}")
            writer.flush()
            os._exit(int(self.session.exitstatus))

    def summarize(self, terminal: Any) -> None:
        """Say in one line what was explored."""
        for problem in self._problems:
            terminal.write_line(f"concurrency: {problem}")
        if self.unmarked:
            tests = "1 test uses" if self.unmarked == 1 else f"{self.unmarked} tests use"
            terminal.write_line(
                f"concurrency: {tests} concur without @pytest.mark.concurrency: tasks ran once, in real threads, "
                "and nothing was explored"
            )
        if not self._results:
            return
        schedules = sum(each["explored"]["schedules"] for each in self._results.values())
        verdicts = [each["verdict"] for each in self._results.values()]
        counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("passed", "failed", "inconclusive") if v in verdicts)
        if expected := sum(each["expected"] for each in self._results.values()):
            counts = counts.replace(" failed", f" failed ({expected} as expected)")
        complete = sum(each["explored"]["complete"] for each in self._results.values())
        all_orders = f", {complete} of them in all orders there are" if complete else ""
        terminal.write_line(f"concurrency: {len(verdicts)} tests, {schedules} schedules: {counts}{all_orders}")
        for each in self._results.values():
            for note in each.get("notes", ()):
                terminal.write_line(f"  {each['nodeid']}: {note}")
        self._summarize_measurements(terminal)
        cache = self._around.cache if self._around is not None else None
        if cache is not None and cache.problem is not None:
            terminal.write_line(f"concurrency: rewritten code could not be cached ({cache.problem}); runs start slower")

    def _summarize_measurements(self, terminal: Any) -> None:
        measured = [each for result in self._results.values() for each in result["measurements"]]
        if measured:
            terminal.write_line("measured:")
            for each in measured:
                terminal.write_line(f"  {each['summary']}")
        reasons: dict[str, list[str]] = {}  # why there is no baseline: of what
        for each in measured:
            if each["baseline"]["status"] == "none" and each["baseline"]["detail"]:
                reasons.setdefault(each["baseline"]["detail"], []).append(each["name"])
        for reason, names in sorted(reasons.items()):
            of_some = f" ({', '.join(names)})" if len(names) < len(measured) else ""
            terminal.write_line(f"  {reason}{of_some}")
        left = sum(each["not_measured_under_xdist"] for each in self._results.values())
        if left:
            terminal.write_line(
                f"{left} tests ran without measuring, as pytest-xdist was at work; "
                "measure with -n0, or with --concur-measure-under-xdist"
            )
        if self._measured is not None:
            for line in self._measured.told:
                terminal.write_line(f"baselines: {line}")

    def header(self) -> str | None:
        """The settings of this session that are not default."""
        shown = [
            f"{option.name}={self._config.getoption(f'concur_{option.name}')} (command line)"
            for option in option_table.OPTIONS
            if self._config.getoption(f"concur_{option.name}", None) is not None
        ]
        return "concurrency: " + ", ".join(shown) if shown else None


def _ini_text(config: pytest.Config, name: str) -> str:
    """Return a setting of the ini file as text; TOML has lists, and numbers of its own."""
    try:
        value = config.getini(name)
    except TypeError as error:
        raise ConcurrencyUsageError(f"ini file: {error}\n  write it as a string") from None
    return ",".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _local_roots(config: pytest.Config) -> tuple[Path, ...]:
    """Folders beside the root whose code is the project's: where pytest was started, and the test paths' parents."""
    return (config.invocation_params.dir,)


def _warn(item: pytest.Item, report: pytest.TestReport, text: str) -> None:
    """Warn; where warnings are errors (``-W error``), let the test fail by it, and nothing else."""
    try:
        item.warn(pytest.PytestWarning(text))
    except pytest.PytestWarning:
        if report.passed:
            report.outcome = "failed"
            report.longrepr = _as_longrepr(item, text, text.splitlines()[0])


def _as_longrepr(item: pytest.Item, text: str, summary: str) -> Any:
    """A failure text in pytest's own form, so that it travels to xdist's controller and into the short summary."""
    from _pytest._code.code import ExceptionChainRepr, ReprEntryNative, ReprFileLocation, ReprTraceback

    path, line, _ = item.location
    entry = ReprTraceback([ReprEntryNative([text + "\n"])], None, "native")
    return ExceptionChainRepr([(entry, ReprFileLocation(path, (line or 0) + 1, summary), None)])
