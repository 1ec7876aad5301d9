"""A thread that has carried a task is as good as a new one, or is not used again."""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import decimal
import gc
import signal
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from typing import Any

import pytest

from pytest_concur.engine import carrier, departing, renewal
from pytest_concur.engine.task import Task

LOCAL = threading.local()
VARIABLE: contextvars.ContextVar[int] = contextvars.ContextVar("VARIABLE", default=0)


class CountedLocal(threading.local):
    made = 0

    def __init__(self) -> None:
        CountedLocal.made += 1
        self.value = 0


COUNTED = CountedLocal()


@pytest.fixture(autouse=True)
def _threads_as_without_libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What other tests have loaded into this process says nothing here."""
    for module in (renewal, carrier):
        monkeypatch.setattr(module, "may_call_libraries", lambda: False)
    carrier.dismiss_all()
    yield
    carrier.dismiss_all()


def carry(body: Callable[[], Any], number: int = 1, *, may_rest: bool = True) -> int:
    """Run ``body`` as a task to its end; return the ident of its thread."""
    done = threading.Event()
    task = Task(number, "task", lambda: None)

    def run(task: Task) -> bool:
        try:
            body()
        finally:
            done.set()
        return may_rest

    carrier.carry(task, run, may_be_used_again=True)
    assert task.ident is not None
    task.go_on()
    assert done.wait(10)
    _wait_until(lambda: task.ident not in departing._noted or task.ident not in sys._current_frames())
    return task.ident


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.001)


def look() -> dict[str, Any]:
    """What a task can see of what its thread keeps."""
    made = CountedLocal.made
    return {
        "local": vars(LOCAL).copy(),
        "counted local": (COUNTED.value, CountedLocal.made - made),
        "context variable": VARIABLE.get(),
        "decimal": decimal.getcontext().prec,
        "trace": sys.gettrace(),
        "profile": sys.getprofile(),
        "asyncgen hooks": tuple(sys.get_asyncgen_hooks()),
        "coroutine origins": sys.get_coroutine_origin_tracking_depth(),
        "running loop": asyncio._get_running_loop(),
        "thread": type(threading.current_thread()),
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "exception": sys.exc_info(),
    }


class Loop:
    """Stands for an event loop that somebody forgot to unset."""


def leave_behind() -> None:
    """Change all that ``look`` looks at, but for the mask of signals."""
    LOCAL.value = 1
    COUNTED.value = 1
    VARIABLE.set(1)
    decimal.getcontext().prec = 5
    sys.set_asyncgen_hooks(firstiter=print, finalizer=print)
    sys.set_coroutine_origin_tracking_depth(3)
    asyncio._set_running_loop(Loop())  # type: ignore[arg-type]
    asyncio._get_running_loop()
    departing.drop_dummy()
    sys.setprofile(lambda *event: None)
    sys.settrace(lambda *event: None)


def test_thread_that_is_used_again_is_as_a_new_one() -> None:
    seen: list[dict[str, Any]] = []

    def look_as_a_task() -> None:
        seen.append(look())
        departing.drop_dummy()

    _thread.start_new_thread(look_as_a_task, ())
    _wait_until(lambda: len(seen) == 1)
    first = carry(leave_behind)
    second = carry(look_as_a_task)
    third = carry(look_as_a_task)
    assert first == second == third
    assert seen[0] == seen[1] == seen[2]


def test_each_number_has_a_thread_of_its_own() -> None:
    idents = [carry(lambda: None, number) for number in (1, 2, 3)]
    assert len(set(idents)) == 3
    assert [carry(lambda: None, number) for number in (3, 1, 2)] == [idents[2], idents[0], idents[1]]


class Keeper:
    """Keeps another one of its kind in the thread when it goes."""

    def __init__(self, left: int, ended: list[int]) -> None:
        self.left, self.ended = left, ended

    def __del__(self) -> None:
        self.ended.append(self.left)
        if self.left and LOCAL is not None:  # a thread that ends leaves what is kept then to the end of the process
            LOCAL.keeper = Keeper(self.left - 1, self.ended)


def test_finalizers_of_locals_run_and_may_keep_something() -> None:
    ended: list[int] = []
    seen: list[bool] = []
    ident = carry(lambda: setattr(LOCAL, "keeper", Keeper(2, ended)))
    assert carry(lambda: seen.append(hasattr(LOCAL, "keeper"))) == ident
    assert ended == [2, 1, 0]
    assert seen == [False]


def test_nothing_that_a_task_used_is_kept_alive() -> None:
    class Thing:
        pass

    class Body:
        def __init__(self) -> None:
            self.thing = Thing()

        def __call__(self) -> None:
            VARIABLE.set(self.thing)  # type: ignore[arg-type]
            LOCAL.thing = self.thing

    body = Body()
    alive = weakref.ref(body.thing)
    gc.disable()
    try:
        carry(body)
        del body
        _wait_until(lambda: alive() is None)
    finally:
        gc.enable()


def _leave_a_thread() -> None:
    threading._active[_thread.get_ident()] = threading.main_thread()  # type: ignore[attr-defined]


def _block_a_signal() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})


def _keep_again_and_again() -> None:
    LOCAL.keeper = Keeper(renewal.MOST_CLEARINGS + 5, [])


@pytest.mark.parametrize("body", [_leave_a_thread, _block_a_signal, _keep_again_and_again])
def test_thread_that_cannot_be_made_new_ends(body: Callable[[], None]) -> None:
    before = set(threading._active)  # type: ignore[attr-defined]
    blocked: list[Any] = []
    ident = carry(body)
    assert not any(each.rests for each in carrier._carriers.values())
    _wait_until(lambda: ident not in sys._current_frames())
    for left in set(threading._active) - before:  # type: ignore[attr-defined]
        del threading._active[left]  # type: ignore[attr-defined]
    carry(lambda: blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    assert blocked == [set()]


def test_thread_whose_run_was_given_up_is_not_used_again() -> None:
    carry(lambda: None, may_rest=False)
    assert not any(each.rests for each in carrier._carriers.values())


def test_what_a_thread_inherits_makes_another_one_necessary() -> None:
    carry(lambda: None)
    kept = carrier._carriers[1]
    carry(lambda: None)
    assert carrier._carriers[1] is kept
    before = threading.stack_size(16 * 1024 * 1024)
    try:
        carry(lambda: None)
        assert carrier._carriers[1] is not kept
    finally:
        threading.stack_size(before)


def test_threads_end_with_their_test() -> None:
    idents = {carry(lambda: None, number) for number in range(1, 6)}
    assert idents <= set(sys._current_frames())
    carrier.dismiss_all()
    _wait_until(lambda: idents.isdisjoint(sys._current_frames()))


def test_carriers_beyond_the_most_end() -> None:
    ident = carry(lambda: None, carrier.MOST_CARRIERS)
    _wait_until(lambda: ident not in sys._current_frames())


@pytest.fixture
def _modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.undo()
    with pytest.MonkeyPatch.context() as patched:
        known = {name: module for name, module in sys.modules.items() if not renewal._is_foreign((name, module))}
        known.pop("ctypes", None)
        patched.setattr(sys, "modules", known)
        renewal.prepare()
        yield
    renewal.prepare()


@pytest.mark.parametrize(
    ("name", "origin", "is_foreign"),
    [
        ("ctypes", "/lib/ctypes.py", True),
        ("fast._core", f"/site/fast/_core{EXTENSION_SUFFIXES[0]}", True),
        ("linked_in", "built-in", True),
        ("coverage.tracer", f"/site/coverage/tracer{EXTENSION_SUFFIXES[0]}", False),
        ("_bz2", f"/lib/_bz2{EXTENSION_SUFFIXES[0]}", False),
        ("slow", "/site/slow.py", False),
    ],
)
@pytest.mark.usefixtures("_modules")
def test_compiled_code_of_others_is_noticed(name: str, origin: str, is_foreign: bool) -> None:
    assert not renewal.may_call_libraries()
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, origin=origin)
    sys.modules[name] = module
    assert renewal.may_call_libraries() == is_foreign


def test_finalizers_see_the_context_of_their_task() -> None:
    seen: list[int] = []

    class Asker:
        def __del__(self) -> None:
            seen.append(VARIABLE.get())

    def work() -> None:
        VARIABLE.set(7)
        LOCAL.asker = Asker()

    first = carry(work)
    assert carry(lambda: None) == first
    assert seen == [7]


def test_what_a_finalizer_of_the_context_keeps_is_forgotten() -> None:
    seen: list[bool] = []

    def work() -> None:
        VARIABLE.set(Keeper(1, []))  # type: ignore[arg-type]

    first = carry(work)
    assert carry(lambda: seen.append(hasattr(LOCAL, "keeper"))) == first
    assert seen == [False]


def test_finalizers_find_no_other_values() -> None:
    other = threading.local()
    seen: list[bool] = []

    class Asker:
        def __del__(self) -> None:
            seen.append(hasattr(LOCAL, "value") or hasattr(other, "value"))

    def work() -> None:
        LOCAL.value, LOCAL.asker = 1, Asker()
        other.value, other.asker = 1, Asker()

    first = carry(work)
    assert carry(lambda: None) == first
    assert seen == [False, False]


def test_thread_that_is_told_to_go_on_too_late_is_not_used_again() -> None:
    ended = threading.Event()
    task = Task(1, "task", lambda: None)

    def run(task: Task) -> bool:
        task.go_on()
        ended.set()
        return True

    carrier.carry(task, run, may_be_used_again=True)
    task.go_on()
    assert ended.wait(10)
    ident = task.ident
    assert ident is not None
    _wait_until(lambda: ident not in sys._current_frames())
    assert carry(lambda: None)  # by another one


def test_thread_whose_state_cannot_be_read_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("audited")

    monkeypatch.setattr(renewal, "_dictionary_of_state", refuse)
    ran: list[int] = []
    ident = carry(lambda: ran.append(1))
    _wait_until(lambda: ident not in sys._current_frames())
    assert ran == [1]


@pytest.mark.usefixtures("_modules")
def test_stand_ins_for_modules_are_not_asked() -> None:
    class Lazy:
        def __getattribute__(self, name: str) -> object:
            raise RuntimeError("not configured")

    class Slotted:
        __slots__ = ()

    sys.modules["lazy"] = Lazy()  # type: ignore[assignment]
    sys.modules["slotted"] = Slotted()  # type: ignore[assignment]
    assert not renewal.may_call_libraries()
