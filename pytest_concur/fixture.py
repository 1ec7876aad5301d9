"""The ``concur`` object that a test talks to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pytest_concur.engine.carrier import get_ident
from pytest_concur.engine.execution import Execution
from pytest_concur.engine.hooks import Hooks
from pytest_concur.engine.task import Task
from pytest_concur.errors import ConcurrencyUsageError
from pytest_concur.explore.trial import Outcomes

T = TypeVar("T")


class TaskHandle:
    """A task that was started by :meth:`Concur.start`."""

    def __init__(self, name: str, join: Callable[[], None], result: Callable[[], Any]) -> None:
        self.name = name
        self._join = join
        self._result = result

    def join(self) -> None:
        """Wait until the task has ended. Does not raise what the task raised."""
        self._join()

    def result(self) -> Any:
        """Wait until the task has ended; return its result, or raise what it raised."""
        self._join()
        return self._result()


class Concur:
    """Starts tasks, takes values of the outcome, marks points.

    In a marked test tasks run under control; anywhere else they are real threads, run once.
    """

    def __init__(self, hooks: Hooks, outcomes: Outcomes) -> None:
        self._hooks = hooks
        self._outcomes = outcomes

    def run(self, *functions: Callable[[], Any], names: Sequence[str] | None = None) -> list[Any]:
        """Run one task per function, all at once, and return their results in order.

        Args:
            functions: Callables without arguments; may be none.
            names: Names for reports, one for each function.

        Raises:
            BaseException: what the one task that failed raised.
            BaseExceptionGroup: what they raised, if several failed.
        """
        if names is not None and len(names) != len(functions):
            raise ConcurrencyUsageError(
                f"concur.run got {len(functions)} functions and {len(names)} names; give one name for each function"
            )
        for function in functions:
            _check_callable("concur.run", function)
        named = [(function, names[i] if names else _name_of(function)) for i, function in enumerate(functions)]
        execution = self._hooks.mine()
        if execution is None:
            handles = [_start_real_thread(function, name) for function, name in named]
            ends = [_end_of(handle) for handle in handles]
        else:
            tasks = [execution.spawn(name, function) for function, name in named]
            execution.join_all(tasks)  # at once: waking the body for each would be two switches more
            ends = [(task.result, task.exception) for task in tasks]
        errors = [error for _, error in ends if error is not None]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup(f"{len(errors)} tasks failed", errors)
        results = [result for result, _ in ends]
        self._outcomes.results.append(results)
        return results

    def start(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> TaskHandle:
        """Start one task that calls ``function(*args, **kwargs)``."""
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
        chosen = list(options)
        if not chosen:
            raise ConcurrencyUsageError("concur.choose got no options to choose from")
        execution = self._hooks.mine()
        if execution is None or len(chosen) == 1:
            return chosen[0]
        return chosen[execution.choose(len(chosen))]

    def _start(self, function: Callable[[], Any], name: str) -> TaskHandle:
        execution = self._hooks.mine()
        if execution is None:
            return _start_real_thread(function, name)
        task = execution.spawn(name, function)
        return TaskHandle(task.name, functools.partial(_join, execution, task), functools.partial(_result, task))


def _join(execution: Execution, task: Task) -> None:
    assert execution.current_ident == get_ident() or execution.is_over, "only the running task can wait"
    execution.join(task)


def _result(task: Task) -> Any:
    if task.exception is not None:
        raise task.exception
    return task.result


def _end_of(handle: TaskHandle) -> tuple[Any, BaseException | None]:
    """Wait for a real thread; return its result and what it raised."""
    try:
        return handle.result(), None
    except BaseException as error:
        return None, error


def _start_real_thread(function: Callable[[], Any], name: str) -> TaskHandle:
    import threading

    outcome: list[Any] = [None, None]

    def body() -> None:
        try:
            outcome[0] = function()
        except BaseException as error:
            outcome[1] = error

    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()

    def result() -> Any:
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    return TaskHandle(name, thread.join, result)


def _check_callable(call: str, function: object) -> None:
    if not callable(function):
        raise ConcurrencyUsageError(f"{call} takes functions, got {function!r}; pass the function, not its result")


def _name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None)
    return "task" if name in (None, "<lambda>") else str(name)
