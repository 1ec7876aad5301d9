"""What code written in C is handed: told with all that lies on the stack, and put in order with operations."""

from __future__ import annotations

import textwrap
from itertools import repeat
from typing import Any

import pytest

from pytest_concur.engine.operations import NUMBERS_AND_WORDS
from pytest_concur.instrument.rewrite import Recipe, bind, rewrite
from pytest_concur.model.operation import Operation
from pytest_concur.strategies.trace import Trace

CALLS = {
    "f(1, 2)": (len, "hand(items)"),
    "a method": (str.upper, "word.upper()"),
    "a method with arguments": (list.index, "items.index(items[0])"),
    "names": (dict, "dict(one=items, two=items)"),
    "arguments and names": (print, "print(items, items, sep=word, file=sink)"),
    "a star": (len, "hand(*pair)"),
    "two stars": (dict, "dict(*(), **table)"),
    "a method of the base": (list.append, "Child().add(1)"),
    "a call of what was called": (list.append, "(lambda: items.append)()(items)"),
    "a call in a call": (len, "hand(list(hand(items) * items))"),
    "in a comprehension": (len, "[hand(item) for item in items]"),
    "in a generator": (len, "list(hand(item) for item in items)"),
    "in a condition": (len, "hand(items if word else pair) if hand(word) else 1"),
    "in a context": (len, "enter(items)"),
    "a decorator": (len, "decorate()"),
}

HELPERS = """
import contextlib
import io

hand, word, items, pair, table, sink = len, "a", [[]], ([],), {"a": []}, io.StringIO()


class Child(list):
    def add(self, item):
        super().append(item)
        super(Child, self).append(item)
        return self


def enter(value):
    with contextlib.nullcontext(value) as it, contextlib.suppress(ValueError):
        raise ValueError(hand(it))


def decorate():
    @property
    @(lambda function: hand(items) and function)
    def decorated(self):
        return 1

    class Named(dict, metaclass=type(dict)):
        size = hand(items)

    return Named()
"""


def run(text: str) -> tuple[Any, list[tuple[str, tuple[Any, ...]]]]:
    """Return the value of an expression in rewritten code, and what was told to be handed over, by the form."""
    told: list[tuple[str, tuple[Any, ...]]] = []

    def binder(placeholder: tuple[Any, ...]) -> object:
        match placeholder[1]:
            case "handed":
                return lambda values: told.append((placeholder[2], values))
            case "type":
                return type
            case "plain":
                return NUMBERS_AND_WORDS
            case "operate":
                return lambda values: None
            case "countdown":
                return repeat(None)
        return lambda value: value

    code = compile(HELPERS + textwrap.dedent(text), "<rewritten>", "exec")
    namespace: dict[str, Any] = {"__name__": "rewritten"}
    exec(bind(rewrite(code, Recipe(flavour="operate")), binder), namespace)
    return namespace["value"], told


def plain(text: str) -> Any:
    namespace: dict[str, Any] = {"__name__": "plain"}
    exec(HELPERS + textwrap.dedent(text), namespace)
    return namespace["value"]


@pytest.mark.parametrize(("function", "call"), CALLS.values(), ids=CALLS.keys())
def test_every_form_of_call_tells_what_is_called(function, call):
    """A place on the stack that is empty would end the interpreter; one beside it would tell something else."""
    text = f"def work():\n    return {call}\n\nvalue = work()\n"
    value, told = run(text)
    called = [getattr(values[0], "__name__", None) for form, values in told if form in ("call", "starred")]

    assert function.__name__ in called
    assert str(value).partition(" object at")[0] == str(plain(text)).partition(" object at")[0]


OPERATORS = {
    "items + items": ("reads", 2),
    "items == pair": ("reads", 2),
    "f'{items}'": ("reads", 1),
    "'%s' % items": ("reads", 2),
    "items * 2": ("reads", 2),
    "Child().__dict__": ("names", 1),
}


@pytest.mark.parametrize("expression", OPERATORS)
def test_operators_tell_their_operands(expression):
    form, count = OPERATORS[expression]
    _, told = run(f"value = {expression}\n")

    assert [(each, len(values)) for each, values in told if each != "call"] == [(form, count)]


def test_operators_with_numbers_and_words_tell_nothing():
    _, told = run("one, two = 1.5, 2\nvalue = (one + two) * two - 1 == two, word + word, f'{two:>{two}}', 'a' < word\n")

    assert [form for form, _ in told if form != "call"] == []


# ---- order ----

WRITE = Operation("item", 7, None, True)
READ = Operation("item", 7)


def trace_of(*steps: tuple[int, Any]) -> Trace:
    """Two tasks: each step is an operation, or a touch of resource 7 that ``True`` says writes."""
    trace = Trace()
    trace.begin(0, 0)
    trace.begin(1, 0)
    for node, (task, what) in enumerate(steps):
        if isinstance(what, Operation):
            trace.add(task, what, node)
        else:
            trace.touch(task, 7, what, False, node - 1)
    return trace


LOCK = [Operation("acquire", "lock", None, True), Operation("release", "lock", None, True)]
ELSEWHERE = Operation("item", 8, None, True)


@pytest.mark.parametrize(
    ("steps", "is_unordered"),
    [
        ([(0, ELSEWHERE), (0, False), (1, WRITE)], True),
        ([(1, WRITE), (0, Operation("item", 9)), (0, False)], True),
        ([(0, ELSEWHERE), (0, False), (1, READ)], False),
        ([(0, ELSEWHERE), (0, True), (1, READ)], True),
        ([(0, WRITE), (0, True), (1, WRITE)], False),
        ([(0, ELSEWHERE), (0, False), (0, WRITE)], False),
        ([(0, LOCK[0]), (0, False), (0, LOCK[1]), (1, LOCK[0]), (1, WRITE), (1, LOCK[1])], False),
        ([(0, ELSEWHERE), (0, True), (1, Operation("item", 9)), (1, False)], True),
        ([(0, ELSEWHERE), (0, True), (1, ELSEWHERE), (1, True)], False),
    ],
)
def test_a_touch_and_an_access_are_in_order_if_operations_say_so(steps, is_unordered):
    assert trace_of(*steps).has_unordered_touch(1_000) is is_unordered


def test_what_takes_too_many_comparisons_may_be_unordered():
    assert trace_of((0, ELSEWHERE), (0, False), (0, WRITE)).has_unordered_touch(0)


def test_what_came_behind_a_decision_is_forgotten_with_it():
    trace = trace_of((0, ELSEWHERE), (1, WRITE), (0, Operation("item", 9)), (0, False))
    assert trace.has_unordered_touch(1_000)

    trace.cut(2)

    assert not trace.has_unordered_touch(1_000)
