"""Which variables hold nothing but numbers and words, and which calls are those of methods kept in variables."""

from __future__ import annotations

import textwrap

import pytest
from bytecode import Bytecode, Instr

from pytest_concur.instrument.variables import Variables, calls_of_kept_methods, methods_shared

PLAIN = {
    "constants": "x = 1\nx = 'a'\ny = x",
    "steps of a range": "for x in range(3):\n    y = x",
    "what operators make of them": "x = 1\ny = (x * 3 + 2) % 7\nx = y - x\ny = given + x\nx = y ^ 1",
    "what is added up": "x = 0\nfor y in range(3):\n    x += given\n    y -= x\n    x *= 2",
}
NOT_PLAIN = {
    "a parameter": "x = given",
    "a list": "x = [1]",
    "one of several": "x = 1\nif given:\n    x = []",
    "by way of another": "y = []\nx = y",
    "a product": "x = given * 2",
    "a formatted one": "x = '%s' % given\nx = given % 2",
    "steps of anything": "for x in given:\n    pass",
    "a product in place": "x = 1\nx *= given",
    "taken apart": "x, y = given",
    "an error": "try:\n    x = 1\nexcept ValueError as x:\n    pass",
    "one of two": "x = given if given else 1",
    "the other of two": "x = 1 if given else given",
    "either": "x = given or 1",
    "a sum with either": "x = 1\nx = given + (given or x)",
    "a parameter with a default": "given = 1\nx = given",
}


def variables_of(body: str) -> Variables:
    source = "def f(given):\n" + textwrap.indent(body, "    ")
    code = compile(source, "f", "exec").co_consts[0]
    return Variables(list(Bytecode.from_code(code)), code.co_varnames[: code.co_argcount])


@pytest.mark.parametrize("body", PLAIN.values(), ids=PLAIN.keys())
def test_what_holds_numbers_and_words(body):
    assert variables_of(body)._plain == {name for name in "xy" if f"{name} " in body}


@pytest.mark.parametrize("body", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_what_may_hold_anything(body):
    assert "x" not in variables_of(body)._plain


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("given += [1]", 1),
        ("given += 1", 0),
        ("given *= 2", 1),
        ("given += [1] if given else 1", 1),
        ("given += other or 1", 1),
        ("given += 'ab'", 1),
        ("x = 0\nx += given", 0),
        ("x = given\nx |= given", 1),
        ("given.x += [1]", 0),
        ("given[0] += given", 0),
        ("global z\nz += given", 1),
    ],
)
def test_what_may_be_changed_in_place(body, count):
    assert len(list(variables_of(body).changes_in_place())) == count


METHODS = {"get", "append"}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("get = given.get\nget(1)\nget(2)", ["get", "get"]),
        ("get = given.get\nother(get)", []),
        ("get = given.get\nget(other(1), given)", ["get"]),
        ("get = given.fetch\nget(1)", []),
        ("assert_1 = given.append\nx = 3\ny = assert_1(x)", ["append"]),
        ("append = given.append\nlambda: append(1)", []),
    ],
)
def test_methods_kept_in_variables(source, names):
    code = compile("def f(given):\n" + textwrap.indent(source, "    "), "f", "exec").co_consts[0]
    instructions = list(Bytecode.from_code(code))
    found = list(calls_of_kept_methods(instructions, METHODS, {}))

    assert [name for name, _, _ in found] == names
    assert all(isinstance(instructions[place], Instr) for _, place, _ in found)


def test_methods_kept_for_functions_inside():
    source = "append, size = given.append, 1\nappend = given.append\nlambda: (append(size), given.get)"
    outer = compile("def f(given):\n" + textwrap.indent(source, "    "), "f", "exec").co_consts[0]
    inner = next(constant for constant in outer.co_consts if hasattr(constant, "co_code"))
    shared = methods_shared(list(Bytecode.from_code(outer)), METHODS)
    found = list(calls_of_kept_methods(list(Bytecode.from_code(inner)), METHODS, shared))

    assert shared == {"append": "append"}
    assert [name for name, _, _ in found] == ["append"]
