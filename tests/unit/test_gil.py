"""The table of polls in ``pytest_concur/instrument/gil.py`` agrees with the interpreter that runs this."""

from __future__ import annotations

import ctypes
import gc
import sys
import textwrap
import types
from _thread import get_ident
from functools import partial
from itertools import repeat

import pytest

from pytest_concur.engine.hooks import Hooks
from pytest_concur.instrument.rewrite import Recipe, bind, rewrite

SNIPPETS = {
    "attribute read": "arm.now; x.a\nend(1)",
    "attribute write": "arm.now; x.a = 1\nend(1)",
    "item read": "arm.now; data[0]\nend(1)",
    "item write": "arm.now; data[0] = 1\nend(1)",
    "increment": "arm.now; x.a += 1\nend(1)",
    "operator": "arm.now; one + one\nend(1)",
    "comparison": "arm.now; one < 2\nend(1)",
    "membership": "arm.now; 1 in data\nend(1)",
    "import": "arm.now; import sys\nend(1)",
    "format": "arm.now; f'{one}'\nend(1)",
    "unpacking": "arm.now; a, b = data\nend(1)",
    "building": "arm.now; [*data, 1]\nend(1)",
    "branch": "arm.now\nif one:\n    pass\nx.a\nend(1)",
    "raise": "try:\n    arm.now; raise KeyError\nexcept KeyError:\n    x.a\nend(1)",
    "raise an instance": "try:\n    arm.now; raise KeyError('k')\nexcept KeyError:\n    x.a\nend(1)",
    "call of a built-in function": "arm.now; abs(one)\nend(1)",
    "call with a keyword": "arm.now; sorted(data, reverse=True)\nend(1)",
    "call of a built-in method": "arm.now; data.append(3)\nend(1)",
    "call of a class": "arm.now; list(data)\nend(1)",
    "call of a Python class": "x.kind(arm)\nend(1)",
    "call of a callable object": "x.callable(arm)\nend(1)",
    "start of a Python function": "arm.now; plain(arm)\nend(1)",
    "return of a Python function": "returns_armed(arm)\nx.a\nend(1)",
    "return of a Python method": "x.returns_armed(arm)\nx.a\nend(1)",
    "return through keywords": "returns_armed(arm=arm)\nx.a\nend(1)",
    "starred call of a built-in": "arm.now; abs(*[one])\nend(1)",
    "starred return of a function": "returns_armed(*[arm])\nx.a\nend(1)",
    "starred return of a method": "x.returns_armed(*[arm])\nx.a\nend(1)",
    "double-starred return": "returns_armed(**{'arm': arm})\nx.a\nend(1)",
    "property in Python": "x.armed_property\nx.a\nend(1)",
    "super": "x.calls_super(arm)\nx.a\nend(1)",
    "entering a lock": "arm.now\nwith lock:\n    x.a\n    end(1)",
    "leaving a lock": "with lock:\n    arm.now\nx.a\nend(1)",
    "leaving a manager in Python": "with x.manager(arm):\n    end(1)\nx.a\nend(1)",
    "leaving a lock by an exception": "try:\n    with lock:\n        arm.now; {}[1]\nexcept KeyError:\n    x.a\nend(1)",
    "for": "for i in data:\n    if i == 2:\n        arm.now\nx.a\nend(1)",
    "end of a for": "for i in data:\n    if i == 1:\n        arm.now\nx.a\nend(1)",
    "continue": "for i in data:\n    if i == 1:\n        arm.now; continue\n    x.a\nend(1)",
    "while, going on": "n = 0\nwhile n < 2:\n    n += 1\n    if n == 1:\n        arm.now\nx.a\nend(1)",
    "while, going on at its end": "n = 0\nwhile n < 2:\n    n += 1\n    if n == 2: continue\n    arm.now\nx.a\nend(1)",
    "while, ended": "n = 0\nwhile n < 2:\n    n += 1\n    if n == 2:\n        arm.now\nx.a\nend(1)",
    "while not": "n = 2\nwhile not n <= 0:\n    n -= 1\n    if n == 1: arm.now\nx.a\nend(1)",
    "while not None": "n = 1\nwhile n is not None:\n    n = None if n == 3 else 3\n    if n == 3: arm.now\nx.a\nend(1)",
    "while None": "n = None\nwhile n is None:\n    n = 1\n    arm.now\nx.a\nend(1)",
    "list comprehension": "arm.now; [i for i in data]\nend(1)",
    "generator expression": "arm.now; sum(i for i in data)\nend(1)",
    "generator": "made = x.generate(arm)\nnext(made)\nx.a\nend(1)",
    "loop over a generator": "for _ in x.generate(arm):\n    x.a\nend(1)",
    "assert": "try:\n    arm.now; assert not one, x.a\nexcept AssertionError:\n    pass\nend(1)",
    "decorator": "arm.now\n@x.decorate\n@x.decorate\ndef f():\n    pass\nx.a\nend(1)",
    "lambda": "f = lambda: arm.now\nf()\nx.a\nend(1)",
    "chain of calls": "arm.now; data.copy().count(1)\nend(1)",
    "call of what a call returned": "x.give(returns_armed)(arm)\nx.a\nend(1)",
}
"""One thing each behind ``arm.now``, which asks for a poll without being one; ``end(1)`` polls in any case."""

WORLD = """
import threading

def plain(arm):
    pass

def returns_armed(arm):
    return arm.now

class Base:
    def method(self, arm):
        return arm.now

class X(Base):
    a = 1
    class kind:
        def __init__(self, arm):
            arm.now
    class Callable:
        def __call__(self, arm):
            return arm.now
    callable = Callable()
    class manager:
        def __init__(self, arm):
            self.arm = arm
        def __enter__(self):
            pass
        def __exit__(self, *exc_info):
            self.arm.now
    def returns_armed(self, arm):
        return arm.now
    @property
    def armed_property(self):
        return world["arm"].now
    def calls_super(self, arm):
        super().method(arm)
        return self.a
    def generate(self, arm):
        yield arm.now
        yield 2
    @staticmethod
    def decorate(function):
        return function
    @staticmethod
    def give(function):
        return function

def run(arm, x, data, one, lock, end):
BODY
"""

PENDING = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
ASK = ctypes.pythonapi.Py_AddPendingCall
ASK.argtypes = [PENDING, ctypes.py_object]


def world_of(body):
    world = {"__name__": "world"}
    world["world"] = world
    exec(compile(WORLD.replace("BODY", textwrap.indent(body, "    ")), "world.py", "exec"), world)
    return world


def run(world, arm):
    world["arm"] = arm
    world["run"](arm, world["X"](), [1, 2], 1, world["threading"].Lock(), abs)


def place():
    """Return function and line of the innermost frame of the world."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename != "world.py":
        frame = frame.f_back
    return frame.f_code.co_qualname, frame.f_lineno


def poll_of_interpreter(body):
    """Return where the interpreter polls first after ``arm.now``.

    A pending call runs at the next poll of the main thread. Asking for one is no poll itself, as no Python function
    starts: the property's getter is written in C.
    """
    found = []

    @PENDING
    def polled(_):
        found.append(place())
        return 0

    class Arm:
        now = property(partial(ASK, polled))

    run(world_of(body), Arm())
    assert len(found) == 1
    return found[0]


class Counting:
    """Stands for a run, as far as the hooks ask, and notes the first point after ``arm.now``."""

    def __init__(self):
        self.current_ident = get_ident()
        self.polling_calls = set()
        self.is_armed = False
        self.found = []

    @property
    def now(self):
        self.is_armed = True

    def point(self):
        if self.is_armed:
            self.found.append(place())
            self.is_armed = False


def first_point(body):
    """Return where the rewritten code has its first point after ``arm.now``."""
    world, arm, hooks = world_of(body), Counting(), Hooks()

    def hook(placeholder):
        match placeholder[1]:
            case "countdown":
                return repeat(True)
            case "switch":
                return arm.point
            case "calls" | "called":
                return hooks.bind(placeholder)
        return lambda value: value

    for function in gc.get_objects():
        if isinstance(function, types.FunctionType) and function.__globals__ is world:
            function.__code__ = bind(rewrite(function.__code__, Recipe(granularity="gil")), hook)
    hooks.active = arm
    try:
        run(world, arm)
    finally:
        hooks.active = None
    assert len(arm.found) == 1
    return arm.found[0]


@pytest.mark.parametrize("body", SNIPPETS.values(), ids=SNIPPETS)
def test_points_are_where_the_interpreter_polls(body):
    """What was asked for at ``arm.now`` happens at the line where the rewritten code has its next point."""
    assert first_point(body) == poll_of_interpreter(body)


def test_the_experiment_can_tell_polls_apart():
    """It sees the calls that poll, and the accesses that do not."""
    first_line = poll_of_interpreter("arm.now; end(1)")[1]
    polls = {
        name: poll_of_interpreter(SNIPPETS[name])[1] - first_line
        for name in [
            "call of a built-in method",
            "increment",
            "return of a Python function",
            "starred return of a function",
            "leaving a manager in Python",
        ]
    }

    assert polls == {
        "call of a built-in method": 0,
        "increment": 1,
        "return of a Python function": 2,
        "starred return of a function": 0 if sys.version_info < (3, 12) else 2,
        "leaving a manager in Python": 0,
    }
