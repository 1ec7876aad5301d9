"""A function that waits for its first call looks and acts like itself."""

import inspect
import sys
import types

import pytest

from pytest_concur.instrument.first_call import can_wait, code_until_first_call


def plain():
    return "plain"


def defaults(a, b=2):
    return a, b


def every_kind(a, b, /, c, d=4, *rest, e, f=6, **more):
    return a, b, c, d, rest, e, f, more


def only_keywords(*, first, second=2):
    return first, second


def captured(a, *rest, **more):
    return [lambda: (a, rest, more)][0]()


def make_closure():
    count = 0

    def step(by):
        nonlocal count
        count += by
        return count

    return step


class Base:
    def name(self):
        return "base"


class Derived(Base):
    def name(self):
        return f"derived of {super().name()}"

    def __private(self, __argument=1):
        return __argument


CALLS = [
    (plain, (), {}),
    (defaults, (1,), {}),
    (defaults, (), {"b": 3, "a": 1}),
    (every_kind, (1, 2, 3), {"e": 5}),
    (every_kind, (1, 2, 3, 4, 5, 6), {"e": 7, "f": 8, "g": 9, "a": 10}),
    (only_keywords, (), {"first": 1}),
    (captured, (1, 2), {"three": 3}),
    (make_closure(), (2,), {}),
    (Derived.name, (Derived(),), {}),
    (Derived._Derived__private, (None,), {}),
]


def wait(function):
    """Make ``function`` wait; return the list of its calls of ``prepare``."""
    code, calls = function.__code__, []

    def prepare():
        calls.append(function)
        function.__code__ = code
        return function

    function.__code__ = code_until_first_call(code, prepare)
    return calls


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_the_first_call_prepares_and_every_call_answers(function, args, kwargs):
    twin = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    expected = twin(*args, **kwargs)
    calls = wait(twin)
    first, second = twin(*args, **kwargs), twin(*args, **kwargs)
    if function.__closure__ and function.__name__ == "step":
        assert (expected, first, second) == (2, 4, 6)
    else:
        assert expected == first == second
    assert calls == [twin]


@pytest.mark.parametrize("function", [function for function, _, _ in CALLS])
def test_it_looks_like_itself_while_it_waits(function):
    code, signature = function.__code__, inspect.signature(function)
    wait(function)
    try:
        assert function.__code__ is not code
        assert inspect.signature(function) == signature
        for name in ("co_name", "co_qualname", "co_filename", "co_firstlineno", "co_freevars"):
            assert getattr(function.__code__, name) == getattr(code, name)
    finally:
        function.__code__ = code


def test_wrong_arguments_are_refused_as_ever():
    with pytest.raises(TypeError) as expected:
        defaults()
    code = defaults.__code__
    calls = wait(defaults)
    try:
        with pytest.raises(TypeError) as refused:
            defaults()
        assert str(refused.value) == str(expected.value)
        assert calls == []
    finally:
        defaults.__code__ = code


def test_what_shows_does_not_wait():
    def generator():
        yield

    async def coroutine():
        pass

    async def both():
        yield

    comprehension = next(
        constant for constant in (lambda: (x for x in "")).__code__.co_consts if isinstance(constant, types.CodeType)
    )
    for code in (generator.__code__, coroutine.__code__, both.__code__, comprehension):
        assert not can_wait(code)
    assert can_wait(plain.__code__)


def test_no_frame_is_left_when_the_call_is_not_the_first():
    def depth():
        frame, count = sys._getframe(), 0
        while frame := frame.f_back:
            count += 1
        return count

    expected = depth()
    wait(depth)
    assert [depth(), depth()] == [expected + 1, expected]
