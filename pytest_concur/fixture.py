"""The ``concur`` object that a test talks to."""

from __future__ import annotations

import functools
import inspect
import threading
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pytest_concur.engine.carrier import get_ident
from pytest_concur.engine.direct import with_a_point
from pytest_concur.engine.execution import Execution
from pytest_concur.engine.hooks import Hooks
from pytest_concur.engine.task import Task
from pytest_concur.errors import ConcurrencyUsageError
from pytest_concur.explore.failure import raise_all
from pytest_concur.explore.trial import Outcomes

if TYPE_CHECKING:
    from pytest_concur.measure.workload import Comparing, Loading
    from pytest_concur.model.measurement import Comparison, Load

T = TypeVar("T")

EXPLORED_USERS = 3
"""Most tasks that stand for the users of a load while its handler is explored."""


class TaskHandle:
    """A task that was started by :meth:`Concur.start`."""

    def __init__(self, name: str, join: Callable[[], None], result: Callable[[], Any]) -> None:
        self.name = name
        self._join = join
        self._result = result

    def join(self) -> None:
        """Wait until the task has ended. What it raised only :meth:`result` raises."""
        self._join()

    def result(self) -> Any:
        """Wait until the task has ended; return its result, or raise what it raised."""
        __tracebackhide__ = True
        self._join()
        return self._result()


class Measuring(Protocol):
    """Who measures for a test."""

    def in_controlled_run(self) -> Comparison | Load:
        """Return what was measured at this place of the body, or end the run: it is not known yet."""

    def compare(self, work: Comparing) -> Comparison: ...

    def load(self, work: Loading) -> Load: ...

    def note_more(self) -> None:
        """The body starts tasks behind something measured."""


class Concur:
    """Starts tasks, takes values of the outcome, marks points, measures.

    In a marked test tasks run under control; anywhere else they are real threads, run once.
    """

    def __init__(self, hooks: Hooks, outcomes: Outcomes, plain_seconds: Callable[[], float]) -> None:
        """``plain_seconds``: returns how long a comparison outside a marked test may take."""
        self._hooks = hooks
        self._outcomes = outcomes
        self._plain_seconds = plain_seconds
        self._make_measuring: Callable[[], Measuring] | None = None
        self._measuring: Measuring | None = None

    def attend(self, make_measuring: Callable[[], Measuring] | None) -> None:
        """Serve another test from now on.

        Args:
            make_measuring: Called when it first measures; ``None`` for a test without the marker.
        """
        self._make_measuring, self._measuring = make_measuring, None

    def run(self, *functions: Callable[[], Any], names: Sequence[str] | None = None) -> list[Any]:
        """Run one task per function, all at once, and return their results in order.

        Args:
            functions: Callables without arguments; may be none.
            names: Names for reports, one for each function.

        Raises:
            BaseException: what the one task that failed raised.
            BaseExceptionGroup: what they raised, if several failed.
        """
        __tracebackhide__ = True
        if names is not None and (isinstance(names, str) or not all(isinstance(each, str) and each for each in names)):
            raise ConcurrencyUsageError(f"concur.run got names={names!r}; give a list of words, one for each function")
        if names is not None and len(names) != len(functions):
            raise ConcurrencyUsageError(
                f"concur.run got {len(functions)} functions and {len(names)} names; give one name for each function"
            )
        for function in functions:
            _check_callable("concur.run", function)
        named = [(function, names[i] if names else _name_of(function)) for i, function in enumerate(functions)]
        execution = self._hooks.mine()
        if execution is None:
            self._note_more()
            gate = threading.Event()
            handles = [_start_real_thread(function, name, gate)[0] for function, name in named]
            gate.set()
            ends = [_end_of(handle) for handle in handles]
        else:
            tasks = [execution.spawn(name, with_a_point(execution, function), is_bare=True) for function, name in named]
            execution.join_all(tasks)  # at once: waking the body for each would be two switches more
            ends = [(task.result, task.exception) for task in tasks]
        raise_all([error for _, error in ends if error is not None])
        results = [result for result, _ in ends]
        self._outcomes.results.append(results)
        return results

    def start(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> TaskHandle:
        """Start one task that calls ``function(*args, **kwargs)``.

        What it raises :meth:`TaskHandle.result` raises; a marked test fails if nobody calls that.
        """
        _check_callable("concur.start", function)
        body = functools.partial(function, *args, **kwargs) if args or kwargs else function
        return self._start(body, _name_of(function))

    def observe(self, **values: Any) -> None:
        """Add values to the outcome, which is compared with the outcomes of the sequential runs."""
        self._outcomes.observed.update(values)

    def checkpoint(self, label: str | None = None) -> None:
        """An explicit place where a switch may happen."""
        if (execution := self._hooks.mine()) is not None:
            execution.point()

    def choose(self, options: Sequence[T]) -> T:
        """Return one of ``options``; which one is explored, recorded and replayed. Outside a run: the first."""
        try:
            why = "whose order differs from run to run" if isinstance(options, set | frozenset) else ""
            chosen = list(options)
        except TypeError:
            why, chosen = "which holds none", []
        if why:
            raise ConcurrencyUsageError(
                f"concur.choose takes options in an order, a list or a tuple; got {options!r}, {why}"
            )
        if not chosen:
            raise ConcurrencyUsageError("concur.choose got no options to choose from")
        execution = self._hooks.mine()
        if execution is None or len(chosen) == 1:
            return chosen[0]
        choice = chosen[execution.choose(len(chosen))]
        self._outcomes.chosen.append(choice)
        return choice

    def compare(
        self,
        *,
        sequential: Callable[[], Any],
        concurrent: Callable[..., Any],
        operations: int = 1,
        workers: Sequence[int] | None = None,
        name: str | None = None,
    ) -> Comparison:
        """Measure whether concurrency pays: both functions in turns, after a check that they give equal results.

        Args:
            sequential: Called without arguments, again and again.
            concurrent: The same; with a number of workers as its argument if ``workers`` are given.
            operations: Operations that one call performs: the unit of throughput.
            workers: Numbers of workers to draw the curve of throughput; from six on, the scalability law is fitted.
            name: For reports and baselines; the test's name by default.

        Raises:
            ResultsDiffer: the results are not equal.
        """
        if isinstance(workers, int):
            raise ConcurrencyUsageError(
                f"concur.compare got workers={workers!r}; give the numbers to compare, such as [1, 2, {workers}]"
            )
        from pytest_concur.measure.workload import Comparing
        from pytest_concur.model.measurement import Comparison

        work = Comparing(sequential, concurrent, operations, tuple(workers or ()), name)
        execution = self._hooks.mine()
        if execution is None:
            return self._who_measures().compare(work)
        _check_body(execution, "compare")
        work.run_once()
        measured = self._who_measures().in_controlled_run()
        assert isinstance(measured, Comparison), "the body measures the same in every run"
        return measured

    def load(
        self,
        function: Callable[[], Any],
        *,
        users: int | None = None,
        rate: float | None = None,
        seconds: float = 1.0,
        in_flight: int = 32,
        name: str | None = None,
    ) -> Load:
        """Drive a handler under load; return its throughput and latencies.

        Args:
            function: The handler, called without arguments from several threads.
            users: Closed loop: so many threads call without a pause. What is timed is service time.
            rate: Open loop: so many calls a second are due, and latency counts from then on.
            seconds: How long.
            in_flight: Open loop: most calls at the same time.
            name: For reports and baselines; the test's name by default.

        Raises:
            Exception: what the handler raised first; the load ends with it.
        """
        from pytest_concur.measure.workload import Loading
        from pytest_concur.model.measurement import Load

        work = Loading(function, users, rate, seconds, in_flight, name)
        execution = self._hooks.mine()
        if execution is None:
            return self._who_measures().load(work)
        _check_body(execution, "load")
        count = min(users or 2, EXPLORED_USERS)
        tasks = [execution.spawn(f"user {n + 1}", function, is_bare=True) for n in range(count)]
        execution.join_all(tasks)
        for task in tasks:
            _result(task)
        measured = self._who_measures().in_controlled_run()
        assert isinstance(measured, Load), "the body measures the same in every run"
        return measured

    def _who_measures(self) -> Measuring:
        if self._measuring is None:
            if self._make_measuring is not None:
                self._measuring = self._make_measuring()
            else:
                from pytest_concur.measure.plain import PlainMeasuring

                self._measuring = PlainMeasuring(self._plain_seconds())
        return self._measuring

    def _note_more(self) -> None:
        if self._measuring is not None:
            self._measuring.note_more()

    def _start(self, function: Callable[[], Any], name: str) -> TaskHandle:
        execution = self._hooks.mine()
        if execution is None:
            self._note_more()
            handle, unasked = _start_real_thread(function, name)
            self._outcomes.unasked.append(unasked)
            return handle
        task = execution.spawn(name, with_a_point(execution, function), is_bare=True)
        task.is_unhandled = True
        return TaskHandle(task.name, functools.partial(_join, execution, task), functools.partial(_result, task))


def _check_body(execution: Execution, call: str) -> None:
    if execution.current.id:
        raise ConcurrencyUsageError(
            f"concur.{call} was called by task {execution.current.name!r}: the test's body must call it, alone; "
            "with threads=N the body is not alone"
        )


def _join(execution: Execution, task: Task) -> None:
    assert execution.current_ident == get_ident() or execution.is_over, "only the running task can wait"
    execution.join(task)


def _result(task: Task) -> Any:
    __tracebackhide__ = True
    task.is_unhandled = False
    if task.exception is not None:
        raise task.exception
    return task.result


def _end_of(handle: TaskHandle) -> tuple[Any, BaseException | None]:
    """Wait for a real thread; return its result and what it raised."""
    handle.join()  # what interrupts this is none of the thread's
    try:
        return handle.result(), None
    except BaseException as error:
        return None, error


def _start_real_thread(
    function: Callable[[], Any], name: str, gate: threading.Event | None = None
) -> tuple[TaskHandle, Callable[[], BaseException | None]]:
    """Return a handle, and what returns the error that nobody has asked for. ``gate``: the thread waits before it."""
    outcome: list[Any] = [None, None]
    is_asked = False

    def body() -> None:
        try:
            if gate is not None:
                gate.wait()
            outcome[0] = function()
        except BaseException as error:
            outcome[1] = error

    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()

    def result() -> Any:
        nonlocal is_asked
        is_asked = True
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    return TaskHandle(name, thread.join, result), lambda: None if is_asked else outcome[1]


def _check_callable(call: str, function: object) -> None:
    __tracebackhide__ = True
    if isinstance(function, list | tuple):
        raise ConcurrencyUsageError(
            f"{call} takes functions, got {function!r}; unpack it with a star: {call}(*functions)"
        )
    if not callable(function):
        raise ConcurrencyUsageError(f"{call} takes functions, got {function!r}; pass the function, not its result")
    code = getattr(_behind_partials(function), "__code__", None)
    if isinstance(code, types.CodeType) and code.co_flags & _RUN_NOTHING:
        raise ConcurrencyUsageError(
            f"{call} got {function!r}, which is a coroutine or a generator function: calling it runs none of its code; "
            "pass a function that runs it to its end"
        )


_RUN_NOTHING = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def _behind_partials(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _name_of(function: Any) -> str:
    name = getattr(_behind_partials(function), "__name__", None)
    return "task" if name in (None, "<lambda>") else str(name)
