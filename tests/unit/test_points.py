"""Scheduling points stand where the access is."""

from __future__ import annotations

import ast
import bisect
import collections
import heapq
import inspect
import json.decoder
import logging
import textwrap
import tokenize
import types
import weakref
from collections.abc import Iterator

import bytecode
import pytest
from bytecode import Bytecode, Instr

from pytest_concur.instrument.points import find_points
from pytest_concur.instrument.rewrite import Recipe, bind, rewrite
from pytest_concur.instrument.written import WrittenNames

NOTHING_WRITTEN = WrittenNames()


def points_of(code: types.CodeType):
    instructions = list(Bytecode.from_code(code))
    found = find_points(instructions, "access", NOTHING_WRITTEN, is_generator=False)
    return [(instructions[place], point) for place, point in sorted(found.items())]


@pytest.mark.parametrize(
    ("source", "name", "stack"),
    [
        ("len(items)", "len", (1,)),
        ("heappush(heap, 3)", "heappush", (2, 1)),
        ("getattr(a, b, c)", "getattr", (3, 2)),
        ("sum(f(x, y))", "sum", (1,)),
        ("len(a if b else c)", "len", (1,)),
        ("len([f(each) for each in x])", "len", (1,)),
        ("heapq.heappush(heap, 3)", "heappush", (2, 1)),
    ],
)
def test_a_built_in_function_is_met_where_it_is_called(source, name, stack):
    """There its arguments lie on the stack, and nothing comes in between any more."""
    function = compile(f"lambda: {source}", "source", "eval").co_consts[0]
    (found,) = [(i, p) for i, p in points_of(function) if p.kind == "builtin"]

    assert found[0].name in ("CALL", "PRECALL")
    assert (found[1].name, found[1].stack) == (name, stack)


@pytest.mark.parametrize(
    "source",
    ["map_it(len, x)", "sorted(x, key=f)", "len", "(max, min)[i](a, b)", "len(*x)", "zip()"],
)
def test_where_that_is_not_plain_nothing_is_told_of_the_arguments(source):
    """The point stands where the function is loaded."""
    function = compile(f"lambda: {source}", "source", "eval").co_consts[0]
    found = [(i.name, p.stack) for i, p in points_of(function) if p.kind == "builtin"]

    assert found
    assert set(found) == {("LOAD_GLOBAL", ())}


@pytest.mark.parametrize(
    "source",
    [
        "items.append(f())",
        "items.append(x + 1)",
        "items.append(f() if x else g())",
        "items.extend([f(each) for each in x])",
        "items.update(last=f())",
        "items.append(x and f())",
        "items.insert(g(f()), words.join(x) or f())",
    ],
)
def test_a_method_is_met_where_it_is_called(source):
    """What its arguments run comes first, and what is run by others meanwhile."""
    function = compile(f"lambda: {source}", "source", "eval").co_consts[0]
    (found,) = [(i, p) for i, p in points_of(function) if p.kind == "bound"]

    assert found[0].name in ("CALL", "PRECALL", "KW_NAMES", "CALL_KW")
    assert found[1].name in source


@pytest.mark.parametrize(
    "source",
    [
        "items.update({1: f()})",
        "items.update(last=f())",
        "items.update({1: f()}, first=1, last=f())",
        "items.setdefault(f(), f() if items else f())",
        "items.update([(f(), f()) for _ in items])",
    ],
)
def test_what_is_told_of_a_call_is_whose_method_it_is(source):
    """Whatever lies above it on the stack."""
    told = []

    def binder(placeholder):
        if placeholder[1] != "operate":
            return lambda value: value
        return lambda values: told.append(values[0].__self__) if placeholder[2] == "bound" else None

    function = eval(f"lambda items, f: {source}")
    function.__code__ = bind(rewrite(function.__code__, Recipe(flavour="operate")), binder)
    items = {1: 2}
    function(items, lambda: ("a", 3)[1])

    assert len(told) == 1
    assert told[0] is items


@pytest.mark.parametrize("source", ["items.append(x)", "items.pop()", "items.append(*f())", "g(items.append)"])
def test_a_method_is_met_where_it_is_loaded_if_nothing_comes_in_between(source):
    """Or if it is not plain to see where it is called."""
    function = compile(f"lambda x, items: {source}", "source", "eval").co_consts[0]

    assert not [p for _, p in points_of(function) if p.kind == "bound"]


def test_the_call_is_that_of_the_method_that_was_loaded():
    """In the standard library the compiler and the syntax tree agree about all of them."""
    seen = 0
    for module in (ast, bisect, collections, heapq, inspect, json.decoder, logging, textwrap, tokenize, types, weakref):
        source = inspect.getsource(module)
        called = {
            (node.end_lineno, node.end_col_offset, node.func.attr): (node.func.end_lineno, node.func.end_col_offset)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        variables_called = {
            (node.end_lineno, node.end_col_offset)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        for code in all_codes(compile(source, "source", "exec")):
            instructions = list(Bytecode.from_code(code))
            found = find_points(instructions, "access", NOTHING_WRITTEN, is_generator=False)
            for place, point in found.items():
                if point.kind != "bound":
                    continue
                seen += 1
                call = instructions[place + (instructions[place].name == "KW_NAMES")].location
                end = call.end_lineno, call.end_col_offset
                if point.loaded_at is None:  # it was kept in a variable
                    assert end in variables_called, (module, code, point)
                    continue
                load = instructions[point.loaded_at].location
                assert called[*end, point.name] == (load.end_lineno, load.end_col_offset), (module, code, point)

    assert seen > 50


def all_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from all_codes(constant)


@pytest.mark.parametrize(
    "module", [ast, bisect, heapq, bytecode.concrete, bytecode.cfg, types], ids=lambda m: m.__name__
)
def test_calls_begin_where_the_compiler_says(module):
    """In real modules: the call at each such point begins in the source with the function's name."""
    with open(module.__file__, encoding="utf-8") as file:
        source = file.read()
    lines = source.splitlines()
    for code in all_codes(compile(source, module.__file__, "exec")):
        for instr, point in points_of(code):
            if point.kind == "builtin" and point.stack:
                assert isinstance(instr, Instr)
                place = instr.location
                assert lines[place.lineno - 1].encode()[place.col_offset :].startswith(point.name.encode() + b"(")
