"""What is told of an operation from what lies on the stack."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from itertools import accumulate, chain, count, islice

import pytest

from pytest_concur.engine.numbering import Numbering
from pytest_concur.engine.operations import ANYTHING, CHANGES_ANYTHING, containers_behind, operation_teller
from pytest_concur.model.operation import UNKNOWN

XS, YS = [3, 1, 2], [4]
MARK = "pytest-concur"


def tell(kind, name, *values, writes=False):
    numbering = Numbering()
    numbering.of(XS)  # number 0
    return operation_teller((MARK, "operate", kind, name, writes, ("module:1:f", 0)))(numbering, values)


def python_function(x):
    return x


class Own:
    """An iterator in Python: its steps have points of their own."""

    def __init__(self):
        self.inside = iter(XS)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.inside)


@pytest.mark.parametrize(
    ("iterator", "containers"),
    [
        (iter(XS), [XS]),
        (reversed(XS), [XS]),
        (enumerate(XS), [XS]),
        (zip(XS, YS, strict=False), [XS, YS]),
        (map(python_function, XS), [XS]),
        (filter(python_function, enumerate(XS)), [XS]),
        (islice(XS, 2), [XS]),
        (iter((XS, YS)), []),
        (enumerate((XS, YS)), []),
        (iter("text"), []),
        (count(), []),
        ((x for x in XS), []),
        (Own(), []),
        (enumerate(Own()), []),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else None,
)
def test_containers_behind(iterator, containers):
    """However many iterators of C code lie in between."""
    found = containers_behind(iterator)

    assert sorted(map(id, found)) == sorted(map(id, containers))


@pytest.mark.parametrize(
    "iterator",
    [
        map(len, [XS]),
        filter(None, [XS]),
        accumulate([XS, YS]),
        chain([XS], "text"),
        zip(*([n] for n in range(50)), strict=False),
    ],
)
def test_what_cannot_be_told(iterator):
    """C code that looks into elements, or too much of it: a step may touch anything."""
    assert containers_behind(iterator) is None
    assert tell("iterate", "", iterator) == CHANGES_ANYTHING


@pytest.mark.parametrize("name", ["len", "list", "sorted", "sum", "any", "heapify"])
def test_a_known_container(name):
    """The function touches the container that it is given, and nothing else."""
    found = tell("builtin", name, XS)

    assert (found.resource, found.part, found.writes) == (0, None, False)


@pytest.mark.parametrize("owner", ["text", 3, None, range(3)])
def test_plain_values_are_nobody_elses(owner):
    assert tell("builtin", "len", owner) == UNKNOWN


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("sorted", [[1], [2]]),  # compares what is behind the elements
        ("sum", list(range(1_000))),
        ("dict", {"a": []}),
        ("len", OrderedDict(a=1)),
        ("len", Counter("abc")),
        ("list", (x for x in XS)),
        ("max", ([1], [2])),
        ("set", map(abs, XS)),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_all_else_may_touch_anything(name, owner):
    assert tell("builtin", name, owner) == ANYTHING


def test_shallow_functions_do_not_look_into_elements():
    assert tell("builtin", "len", deque([[1]])).resource == 1
    assert tell("builtin", "list", {"a": []}).resource == 1


def test_a_second_container_counts():
    """``max`` of two lists compares what is in both."""
    assert tell("builtin", "max", XS, YS) == ANYTHING
    assert tell("builtin", "heappush", XS, 3, writes=True).resource == 0
