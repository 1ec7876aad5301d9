"""What the rewritten code calls: points, and counterparts of what would block, start threads or tell the time.

One instance serves the process. While no run is active, and in threads that no run controls, every hook hands back what
it was given: code that is swapped in behaves as written.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
import time
import types
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from functools import cached_property, partial
from typing import Any

from pytest_concur.engine.alike import OrderedSet, function_name, thread_name
from pytest_concur.engine.announced import AnnouncedLock, AnnouncedQueue, stack_from
from pytest_concur.engine.blocking import (
    LOCK,
    RLOCK,
    SIMPLE_QUEUE,
    ControlledHandle,
    ControlledLock,
    ControlledQueue,
    ControlledSentinel,
    QuietLock,
    UnaskedLock,
)
from pytest_concur.engine.clock import VirtualClock
from pytest_concur.engine.direct import with_a_point
from pytest_concur.engine.execution import Execution
from pytest_concur.engine.frames import asking_frame, place_of
from pytest_concur.engine.operations import (
    IMMUTABLE,
    NUMBERS_AND_WORDS,
    attribute_set_by,
    is_a,
    operation_teller,
)
from pytest_concur.engine.receiving import Receiving
from pytest_concur.engine.stand_in import StandIn
from pytest_concur.engine.untold import note_handed, note_more, note_of
from pytest_concur.engine.wake_ups import WakeUps
from pytest_concur.errors import ConcurrencyUsageError, TaskAborted
from pytest_concur.instrument import interpreter
from pytest_concur.instrument.countdown import CAPACITY, Countdown
from pytest_concur.instrument.handed import Form
from pytest_concur.instrument.points import STATE_QUERIES
from pytest_concur.instrument.rewrite import is_trusted

_get_ident = _thread.get_ident
_start_joinable_thread: Any = getattr(_thread, "start_joinable_thread", None)  # CPython 3.13+
_STARTS_OF_PROCESSES = [
    start
    for start in (
        getattr(sys.modules.get("_posixsubprocess"), "fork_exec", None),  # there once pytest has imported subprocess
        getattr(os, "posix_spawn", None),
        getattr(os, "posix_spawnp", None),
    )
    if start is not None
]
_METHODS = {type(len), type(SIMPLE_QUEUE().get)}  # of built-in functions, and of methods bound to a built-in object
_UNBOUND = type(list.append)
_BOUND = {types.MethodType, types.BuiltinMethodType, types.MethodWrapperType}
_QUIET = {"acquire": "quiet_acquire", "release": "quiet_release"}
_UNASKED = {name: f"unasked_{name}" for name in ("acquire", "release", "put", "get")}
_INLINED = {
    "": (types.FunctionType, types.MethodType),
    "starred": (types.FunctionType,) if interpreter.INLINES_STARRED_CALLS else (),
    "exit": (types.FunctionType,),
}
"""Callables that are entered without a poll at their end, by form of the call."""

_TAKES_LOCKS = frozenset({"threading", "queue", "concurrent.futures._base", "concurrent.futures.thread"})
_LETS_OTHERS_RUN = frozenset(
    "start set clear put put_nowait get get_nowait acquire release notify notify_all wait wait_for join submit result "
    "set_result set_exception cancel task_done abort reset shutdown".split()
)
_STAND_INS_FOR_C = frozenset({__name__, "pytest_concur.engine.blocking", "pytest_concur.engine.announced"})

# a test that puts back what it has replaced may put a stand-in there: these do not look the functions up again
_REAL_SLEEP = time.sleep
_REAL_URANDOM = os.urandom
_REAL_START = _thread.start_new_thread
_ASKED = (threading.Event, threading.Thread, threading.Barrier, threading.Semaphore)

Observer = Callable[[tuple[Any, ...], tuple[Any, ...]], None]


class Hooks:
    """The hooks of the process; ``active`` is the run that is going on."""

    def __init__(self) -> None:
        self.countdown = Countdown()
        self.countdown.arm(CAPACITY)
        self.active: Execution | None = None
        self.at_large: Callable[[], None] | None = None
        """Is called at points while no run is active: threads run freely."""

        self.observer: Observer | None = None
        """Is told of each point in code rewritten to be observed: the placeholder and what the stack held."""

        self._is_observing = False
        self._wake_ups = WakeUps(self.mine, self.substitute)
        self._receiving = Receiving(self.mine)

        self.default_excepthook: Any = threading.excepthook
        """The hook that was set when the test began; another one means that the test handles exceptions itself."""

        functions: dict[Any, Callable[..., Any]] = {
            time.sleep: self._sleep,
            time.time: self._telling(time.time, lambda clock: clock.read_wall_ns() / 1e9),
            time.time_ns: self._telling(time.time_ns, lambda clock: clock.read_wall_ns()),
            time.monotonic: self._telling(time.monotonic, lambda clock: clock.read_monotonic_ns() / 1e9),
            time.monotonic_ns: self._telling(time.monotonic_ns, lambda clock: clock.read_monotonic_ns()),
            time.perf_counter: self._telling(time.perf_counter, lambda clock: clock.read_monotonic_ns() / 1e9),
            time.perf_counter_ns: self._telling(time.perf_counter_ns, lambda clock: clock.read_monotonic_ns()),
            datetime.now: self._telling(datetime.now, lambda clock, tz=None: _moment(clock, tz)),
            datetime.utcnow: self._telling(datetime.utcnow, lambda clock: _moment(clock, UTC).replace(tzinfo=None)),
            datetime.today: self._telling(datetime.today, _moment),
            date.today: self._telling(date.today, lambda clock: _moment(clock).date()),
            os.urandom: self._urandom,
            _thread.start_new_thread: self._start_new_thread,
            os._exit: _refuse("os._exit", "it would end pytest itself; raise SystemExit or return instead"),
        }
        for start in _STARTS_OF_PROCESSES:
            functions[start] = partial(self._start_process, start)
        for name in ("fork", "forkpty"):
            if hasattr(os, name):
                functions[getattr(os, name)] = _refuse(
                    f"os.{name}",
                    "the child would be a copy in the middle of a schedule; start a subprocess instead, "
                    "with multiprocessing by its method 'spawn'",
                )
        if hasattr(_thread, "start_joinable_thread"):
            functions[_thread.start_joinable_thread] = self._start_joinable_thread
        if hasattr(_thread, "_set_sentinel"):
            functions[_thread._set_sentinel] = self._set_sentinel
        self._functions = {real: StandIn(real, function) for real, function in functions.items()}

    def bind(self, placeholder: tuple[Any, ...]) -> object:
        """Return the callable that a placeholder constant in rewritten code stands for."""
        role = placeholder[1]
        if role in ("observe", "operate"):
            of_method = (*placeholder[:2], "method", *placeholder[3:]) if placeholder[2] == "bound" else placeholder
            hook = self._observer_of(of_method) if role == "observe" else self._announcer_of(of_method)
            return hook if of_method is placeholder else lambda values: hook((_owner_of(values[0]),))
        if role == "handed":
            return self._receiver_of(*placeholder[2:])
        if role == "calls":
            return partial(self._note_call, _INLINED[placeholder[2]])
        return self._by_role[role]

    @cached_property
    def _by_role(self) -> dict[str, object]:
        return {
            "countdown": self.countdown.iterator,
            "switch": self.switch,
            "substitute": self.substitute,
            "quiet_substitute": self.quiet_substitute,
            "context": self.context,
            "quiet_context": self.quiet_context,
            "lent_substitute": self.lent_substitute,
            "lent_context": self.lent_context,
            "polled_substitute": self.polled_substitute,
            "polled_context": self.polled_context,
            "called": self.called,
            "signal": self.signal,
            "is_owned": self.is_owned,
            "in_order": self.in_order,
            "ordered_set": lambda kind: kind if self.mine() is None else OrderedSet,
            "stable_id": self.stable_id,
            "thread_begins": self.thread_begins,
            "thread_failed": self.thread_failed,
            "started_already": self.started_already,
            "target": self.target,
            "dummy_name": self.dummy_name,
            "looked_at": self.looked_at,
            "selected": self._wake_ups.selected,
            "awaited": self._wake_ups.awaited,
            "sent": self._wake_ups.sent,
            "notified": self._wake_ups.put,
            "receiving": self._receiving.from_socket,
            "polling": self._receiving.from_any,
            "type": type,
            "plain": NUMBERS_AND_WORDS,
        }

    def mine(self) -> Execution | None:
        """Return the active run if the calling thread is the task that runs in it."""
        execution = self.active
        if execution is None:
            return None
        ident = _get_ident()
        return execution if execution.current_ident == ident or execution.comes_back(ident) else None

    # ---- hooks ----

    def switch(self) -> None:
        execution = self.mine()
        if execution is not None:
            execution.switch()
        elif self.active is not None:
            self.countdown.stay()
        elif self.at_large is not None:
            self.at_large()
        else:
            self.countdown.arm(CAPACITY)

    def substitute(self, value: Any) -> Any:
        """Hand out the controlled counterpart of a method or function that was just loaded, if it has one."""
        kind = type(value)
        if kind in _METHODS:
            owner = value.__self__
            execution = self.active
            if execution is not None and execution.current_ident == _get_ident():  # the usual case first: a hot path
                found = execution.locks.get(id(owner))
                if found is not None:
                    return getattr(found, value.__name__, value)
            if type(owner) is types.ModuleType or owner is datetime or owner is date:
                replacement = self._functions.get(value)
                return value if replacement is None or self.mine() is None else replacement
            counterpart = self._counterpart(owner)
            return value if counterpart is None else getattr(counterpart, value.__name__, value)
        if kind is _UNBOUND and value.__objclass__ in (LOCK, RLOCK):
            return lambda lock, *args: self.substitute(getattr(lock, value.__name__))(*args)
        return value

    def quiet_substitute(self, value: Any) -> Any:
        counterpart = self._counterpart(value.__self__) if type(value) in _METHODS else None
        if isinstance(counterpart, ControlledSentinel) or not isinstance(counterpart, ControlledLock):
            return self.substitute(value)
        return getattr(counterpart, _QUIET.get(value.__name__, value.__name__), value)

    def polled_substitute(self, value: Any) -> Any:
        """The same in code whose points are the polls of the interpreter: there is none before a call of C code."""
        counterpart = self._counterpart(value.__self__) if type(value) in _METHODS else None
        unasked = getattr(counterpart, _UNASKED.get(value.__name__, ""), None) if counterpart is not None else None
        return self.substitute(value) if unasked is None else unasked

    def lent_substitute(self, value: Any) -> Any:
        """The same in an installed package's code, which sleeps in real time; others run meanwhile."""
        if value is _REAL_SLEEP:
            return value if self.mine() is None else self._sleep_outside
        counterpart = self._counterpart(value.__self__) if type(value) in _METHODS else None
        if not isinstance(counterpart, ControlledLock):
            return self.substitute(value)
        counterpart.is_lent = True
        return getattr(counterpart, value.__name__, value)

    def _sleep_outside(self, seconds: float) -> None:
        execution = self.mine()
        if execution is not None and isinstance(seconds, int | float) and seconds > 0:
            frame = sys._getframe(1)
            package = str(frame.f_globals.get("__name__")).partition(".")[0]
            what = f"time.sleep() of {package} (without scope=[{package!r}] it takes real time)"
            execution.sleeps_outside(seconds, what, str(place_of(frame)))
        _REAL_SLEEP(seconds)  # whatever is next asks for a turn

    def signal(self, acquire: Any) -> Any:
        """``Condition.wait`` is about to acquire the lock by which it will be woken."""
        counterpart = self._counterpart(acquire.__self__) if type(acquire) in _METHODS else None
        if counterpart is None:
            return acquire
        counterpart.is_signal = True
        return counterpart.acquire

    def context(self, manager: Any) -> Any:
        """Hand out the controlled counterpart of a context manager that is a lock."""
        kind = type(manager)
        if kind is LOCK or kind is RLOCK:
            return self._counterpart(manager) or manager
        if kind is threading.Condition:  # entering one enters its lock
            return self._counterpart(manager._lock) or manager
        return manager

    def is_owned(self, is_owned: Any) -> Any:
        """``Condition`` is about to ask whether its lock is held, by trying it: asking the lock itself is cheaper."""
        condition = getattr(is_owned, "__self__", None)
        lock: Any = condition._lock if type(condition) is threading.Condition else None  # type: ignore[attr-defined]
        return lock.locked if type(lock) is LOCK else is_owned

    def quiet_context(self, manager: Any) -> Any:
        counterpart = self.context(manager)
        return QuietLock(counterpart) if isinstance(counterpart, ControlledLock) else manager

    def lent_context(self, manager: Any) -> Any:
        counterpart = self.context(manager)
        if isinstance(counterpart, ControlledLock):
            counterpart.is_lent = True
        return counterpart

    def polled_context(self, manager: Any) -> Any:
        """Entering a lock does not poll; entering a ``Condition`` does, it is written in Python."""
        counterpart = self.context(manager)
        return (
            UnaskedLock(counterpart) if type(manager) in (LOCK, RLOCK) and counterpart is not manager else counterpart
        )

    def _note_call(self, inlined: tuple[type, ...], function: Any) -> None:
        """Code whose points are the polls of the interpreter is about to call something.

        Args:
            inlined: Which kinds of Python callables the evaluation loop enters, to leave them without a poll.
            function: What is called.
        """
        execution = self.mine()
        if execution is None:
            return
        kind = type(function)
        python = function.__func__ if kind is types.MethodType else function
        is_python = type(python) is types.FunctionType and python.__module__ not in _STAND_INS_FOR_C
        frame = id(sys._getframe(1))
        if is_python and kind in inlined and not _ends_with_a_poll(python):
            execution.polling_calls.discard(frame)
        else:
            execution.polling_calls.add(frame)
        if is_python and is_trusted(python.__code__):
            execution.point()

    def called(self) -> None:
        """The call has returned."""
        execution = self.mine()
        frame = id(sys._getframe(1))
        if execution is not None and frame in execution.polling_calls:
            execution.polling_calls.discard(frame)
            execution.point()

    def thread_begins(self, run: Any) -> Any:
        """``Thread._bootstrap_inner`` is about to call ``self.run``."""
        execution = self.mine()
        if execution is not None:
            task = execution.current
            task.thread = getattr(run, "__self__", None)
            execution.booted()
        return run

    def thread_failed(self, invoke_excepthook: Any) -> Any:
        """``Thread._bootstrap_inner`` is about to report an exception that nobody handled."""
        execution = self.mine()
        if execution is None:  # a thread of a run that is over may unwind only now
            return _nothing if isinstance(sys.exc_info()[1], TaskAborted) else invoke_excepthook
        return lambda thread: self._note_failure(execution, thread, invoke_excepthook)

    def started_already(self, wait: Any) -> Any:
        """``Thread.start`` is about to wait for its thread, which has been waited for."""
        return wait if self.mine() is None else _nothing

    def dummy_name(self, new_name: Any) -> Any:
        """A task asks for its thread, which ``threading`` does not know: it is called like the task."""
        execution = self.mine()
        if execution is None or not execution.current.is_bare:
            return new_name
        name = execution.current.name
        return lambda template: name

    def target(self, function: Any) -> Any:
        """A thread or a pool is about to call what it was given."""
        execution = self.mine()
        return function if execution is None or function is None else with_a_point(execution, function)

    def looked_at(self, flag: Any) -> Any:
        """``Event.is_set`` has read its flag, without a lock: whoever asked knows what was done before it was set."""
        execution = self.active
        if execution is not None and execution.witness is not None and self.mine() is not None:
            self._witness_query(execution, sys._getframe(1).f_locals["self"])
        return flag

    def in_order(self, threads: Any) -> Any:
        """A pool is about to join its threads, a set: in order of creation, since that of a set is chance."""
        execution = self.mine()
        if execution is None:
            return threads
        ours = [task.thread for task in execution.tasks if task.thread in threads]
        return ours + [thread for thread in threads if thread not in ours]

    def stable_id(self, identity: Any) -> Any:
        """Futures are about to be locked in the order of their addresses: in that of their first appearance instead."""
        execution = self.mine()
        return identity if execution is None else execution.numbering.of

    # ---- counterparts ----

    def _counterpart(self, real: Any) -> Any:
        execution = self.active
        if execution is None or execution.current_ident != _get_ident():
            execution = self.mine()
            if execution is None:
                return None
        found = execution.locks.get(id(real))
        if found is not None:
            return found
        kind = type(real)
        if kind is LOCK or isinstance(real, RLOCK) or kind.__name__ == "SemLock":
            kinds: Any = ControlledLock, AnnouncedLock
        elif isinstance(real, SIMPLE_QUEUE):
            kinds = ControlledQueue, AnnouncedQueue
        else:
            return None
        made = kinds[execution.sees_operations](execution, real)
        execution.locks[id(real)] = made
        return made

    def _telling(self, real: Any, read: Callable[..., Any]) -> Callable[..., Any]:
        """Return what tells the time in a run, and for whoever has kept it as ``real`` does."""

        def tell(*args: Any, **kwargs: Any) -> Any:
            execution = self.mine()
            if execution is None:
                return real(*args, **kwargs)
            execution.clock_was_read()
            if not execution.record.asks_time and (frame := asking_frame(sys._getframe(1))) is not None:
                execution.record.asks_time = str(place_of(frame))
            return read(execution.clock, *args, **kwargs)

        return tell

    def _sleep(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        execution = self.mine()
        if execution is None:
            _REAL_SLEEP(seconds)
        else:
            execution.sleep(seconds)

    def _urandom(self, size: int) -> bytes:
        """Chance that is the same in every run: with the system's, no schedule would replay."""
        execution = self.mine()
        return _REAL_URANDOM(size) if execution is None else execution.chance.randbytes(size)

    def _start_new_thread(self, function: Any, args: Any, kwargs: Any = None, /) -> int:
        execution = self.mine()
        if execution is None:
            return _REAL_START(function, args, kwargs or {})
        thread = getattr(function, "__self__", None)
        is_thread = isinstance(thread, threading.Thread)
        body = _call(function, args, kwargs) if is_thread else self._raw_body(function, args, kwargs)
        name = thread_name(thread) if isinstance(thread, threading.Thread) else function_name(function)
        task = execution.spawn(name, body, daemon=not is_thread or bool(getattr(thread, "daemon", False)))
        task.thread = thread
        if is_thread:
            execution.boot(task)
        assert task.ident is not None, "a spawned task has a thread"
        return task.ident

    def _start_joinable_thread(self, function: Any, handle: Any = None, daemon: bool = True) -> Any:
        """CPython 3.13: the handle must belong to the OS thread, so that one is started here and carries the task."""
        execution = self.mine()
        if execution is None:
            return _start_joinable_thread(function, handle=handle, daemon=daemon)
        if handle is None:
            handle = _thread._ThreadHandle()
        thread = getattr(function, "__self__", None)
        name = thread_name(thread) if isinstance(thread, threading.Thread) else function_name(function)
        task = execution.spawn(name, function, daemon=daemon, handle=handle)
        task.thread = thread
        execution.locks[id(handle)] = ControlledHandle(execution, handle, task)
        if isinstance(thread, threading.Thread):
            execution.boot(task)
        return handle

    def _start_process(self, start: Any, *args: Any, **kwargs: Any) -> Any:
        """A process needs real time, and nobody sees what it does."""
        execution = self.mine()
        if execution is not None:
            execution.record.has_processes = True
            execution.clock.keep_step(execution.patience_s)
        return start(*args, **kwargs)

    def _set_sentinel(self) -> Any:
        real = _thread._set_sentinel()  # type: ignore[attr-defined]
        execution = self.mine()
        if execution is not None:
            execution.locks[id(real)] = ControlledSentinel(execution, real, execution.current)
        return real

    def _raw_body(self, function: Any, args: Any, kwargs: Any) -> Callable[[], Any]:
        """A raw thread ends silently on ``SystemExit``; any other exception is nobody's."""

        def body() -> None:
            try:
                self.target(function)(*args, **(kwargs or {}))
            except (SystemExit, TaskAborted):
                pass
            except BaseException as error:
                execution = self.mine()
                if execution is not None and not execution.is_over:
                    execution.current.exception, execution.current.is_unhandled = error, True

        return body

    def _note_failure(self, execution: Execution, thread: Any, invoke_excepthook: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, TaskAborted):
            return
        if threading.excepthook is not self.default_excepthook:
            invoke_excepthook(thread)  # the test has set a hook of its own: it handles the exception
        elif error is not None and not isinstance(error, SystemExit) and not execution.is_over:
            task = execution.current
            task.exception, task.is_unhandled = error, True

    def _announcer_of(self, placeholder: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], None]:
        tell = operation_teller(placeholder)
        kind, name, writes = placeholder[2:5]
        is_test, is_system = kind == "test", kind == "system"
        note = note_of(kind, name, writes)
        is_query = kind == "method" and name in STATE_QUERIES

        def announce(values: tuple[Any, ...]) -> None:
            execution = self.active
            if execution is None or execution.current_ident != _get_ident():  # the usual case first: a hot path
                execution = self.mine()
                if execution is None:
                    return
            if execution.numbering.kept:
                execution.numbering.let_go()
            if is_test and is_a(values[0], IMMUTABLE):
                execution.pass_unasked()
                return
            operation = tell(execution.numbering, values)
            if is_system:
                execution.record.calls_system = True
            execution.operate(operation)
            if note is not None and execution.note_touch is not None:
                note_more(note, execution, values)
            if execution.witness is not None:
                execution.witness.accessed(execution.current.id, operation, stack_from(sys._getframe(1)))
                if is_query:
                    self._witness_query(execution, values[0])

        return announce

    def _receiver_of(self, form: Form, told: str) -> Callable[[tuple[Any, ...]], None]:
        """Return what is told that code written in C is handed something, of which perhaps no operation tells."""

        def receive(values: tuple[Any, ...]) -> None:
            execution = self.active
            if execution is not None and execution.current_ident == _get_ident():
                if execution.numbering.kept:
                    execution.numbering.let_go()
                if execution.note_touch is not None:
                    note_handed(execution, form, told, values)
                if execution.witness is not None and form == "call":
                    operation = attribute_set_by(execution.numbering, values)
                    if operation is not None:
                        execution.witness.accessed(execution.current.id, operation, stack_from(sys._getframe(1)))

        return receive

    def _witness_query(self, execution: Execution, asked: object) -> None:
        """A task asks a ``Thread``, an ``Event`` or a ``Future`` how things are: it may learn what was done before."""
        witness, me = execution.witness, execution.current.id
        assert witness is not None, "called for a witness"
        for task in execution.tasks:
            if task.thread is asked and task.has_ended:
                execution.seen_ended(task)
        if not is_a(asked, _ASKED):
            return  # a look into objects of the program might run its code
        for held in list(vars(asked).values()):
            lock = held._lock if type(held) is threading.Condition else held  # type: ignore[attr-defined]
            if is_a(lock, (LOCK, RLOCK)):
                witness.got(me, execution.numbering.of(lock))

    def _observer_of(self, placeholder: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], None]:
        def observe(values: tuple[Any, ...]) -> None:
            if self.observer is not None and not self._is_observing and self.mine() is not None:
                self._is_observing = True  # what looking at an object runs is not what the program does
                try:
                    self.observer(placeholder, values)
                finally:
                    self._is_observing = False

        return observe


def _ends_with_a_poll(function: Any) -> bool:
    """Whether a function of the standard library takes or frees a lock behind what it does for others."""
    return function.__module__ in _TAKES_LOCKS and function.__name__ in _LETS_OTHERS_RUN


def _owner_of(method: Any) -> object:
    """Return the object that a bound method belongs to; anything else is its own."""
    return method.__self__ if type(method) in _BOUND else method


def _moment(clock: VirtualClock, tz: tzinfo | None = None) -> datetime:
    return datetime.fromtimestamp(clock.read_wall_ns() / 1e9, tz)


def _call(function: Any, args: Any, kwargs: Any) -> Callable[[], Any]:
    return lambda: function(*args, **(kwargs or {}))


def _nothing(*args: object, **kwargs: object) -> bool:
    return True


def _refuse(name: str, why: str) -> Callable[..., Any]:
    def refuse(*args: object) -> Any:
        raise ConcurrencyUsageError(f"{name} was called in a controlled run: {why}")

    return refuse
