"""Turn an abstract program into real Python: real locks, real conditions, shared variables as plain attributes.

Every task becomes one function with its accesses written out, so that each ``Read``, ``Write``, ``If`` and ``While``
is exactly one attribute access in the bytecode of a module that lies in a real file. Registers are local variables.

    LOST_UPDATE  ->  class Shared:                      def task_0(shared):
                         def __init__(self):                r = 0
                             self.n = 0                     r = shared.n
                                                            shared.n = r + 1
                                                            return (('r', r),)

``as_functions`` imports that text; ``render_test_module`` puts a marked pytest test below it, which leaves the outcomes
it has seen in a JSON file, for ``read_outcomes``.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import dedent, indent
from typing import Any, TypeAlias, assert_never

from .machine import (
    Acquire,
    Condition,
    Event,
    EventSet,
    EventWait,
    Finished,
    If,
    Lock,
    Notify,
    NotifyAll,
    Operation,
    Pause,
    Program,
    Reacquire,
    Read,
    Release,
    Semaphore,
    SynchronizationObject,
    Values,
    Wait,
    While,
    Write,
    WriteSum,
    registers_of,
)

EXPLORING_TEST = "test_explore"
"""Name of the marked test of a rendered module."""

MAKE_SHARED = "Shared"

Shared: TypeAlias = Any
"""Has the variables and synchronization objects of one program as attributes, which no type checker can know."""

Task: TypeAlias = Callable[[Shared], Values]
"""Runs one task on the shared state and returns its registers."""


def as_functions(program: Program, directory: Path) -> tuple[Callable[[], Shared], list[Task]]:
    """Write ``program`` as a module to ``directory`` and import it.

    Returns:
        What makes a fresh shared state, and the tasks in order. Tasks block as the program says, forever if it does.
    """
    path = directory / f"{program.name}_tasks.py"
    path.write_text(render_program(program), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, f"{path} ends in .py"
    assert spec.loader is not None, f"{path} is a file"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, MAKE_SHARED), [getattr(module, name) for name in task_names(program)]


def render_test_module(program: Program, schedules: int, strategy: str, seed: int, outcomes: Path) -> str:
    """Return a pytest module that explores ``program`` and then writes to ``outcomes`` those it has seen.

    Runs that end in a deadlock leave no outcome; the plugin reports them.
    """
    test = f"""

        OUTCOMES = set()


        @pytest.mark.concurrency(
            strategy={strategy!r},
            schedules={schedules},
            seconds=120.0,
            seed={seed},
            outcome="any",
            data_races="ignore",
            lock_order="ignore",
        )
        def {EXPLORING_TEST}(concur):
            shared = {MAKE_SHARED}()
            registers = concur.run({", ".join(f"partial({name}, shared)" for name in task_names(program))})
            OUTCOMES.add(({final_variables(program)}, tuple(registers)))


        def test_write_outcomes():
            Path({str(outcomes)!r}).write_text(json.dumps(sorted(OUTCOMES)), encoding="utf-8")
        """
    imports = "import json\nfrom functools import partial\nfrom pathlib import Path\n\nimport pytest\n"
    return imports + render_program(program) + dedent(test)


def read_outcomes(text: str) -> frozenset[Finished]:
    """Return the outcomes that a rendered test module has written as ``text``."""
    return frozenset(
        Finished(_values(variables), tuple(_values(registers) for registers in tasks))
        for variables, tasks in json.loads(text)
    )


def render_program(program: Program) -> str:
    """Return the source text of the shared state and the tasks."""
    attributes = {name: str(value) for name, value in program.variables.items()}
    attributes |= {name: _construction(declared) for name, declared in program.objects.items()}
    initialize = _block("def __init__(self):", [f"self.{name} = {value}" for name, value in attributes.items()])
    tasks = (
        _block(f"def {name}(shared):", _task_lines(task))
        for name, task in zip(task_names(program), program.tasks, strict=True)
    )
    return "\n\n\n".join(["import threading", _block(f"class {MAKE_SHARED}:", [initialize]), *tasks]) + "\n"


def task_names(program: Program) -> list[str]:
    return [f"task_{number}" for number in range(len(program.tasks))]


def final_variables(program: Program) -> str:
    """Return the expression whose value is ``Finished.variables``."""
    return _pairs((name, f"shared.{name}") for name in sorted(program.variables))


def _construction(declared: SynchronizationObject) -> str:
    match declared:
        case Lock():
            return "threading.Lock()"
        case Semaphore(count):
            return f"threading.Semaphore({count})"
        case Condition(lock):
            return f"threading.Condition(self.{lock})"
        case Event():
            return "threading.Event()"
        case _:
            assert_never(declared)


def _task_lines(operations: tuple[Operation, ...]) -> Iterator[str]:
    registers = sorted(registers_of(operations))
    yield from (f"{register} = 0" for register in registers)
    yield from map(_statement, operations)
    yield f"return {_pairs((register, register) for register in registers)}"


def _statement(operation: Operation) -> str:
    match operation:
        case Read(variable, register):
            return f"{register} = shared.{variable}"
        case Write(variable, value):
            return f"shared.{variable} = {value}"
        case WriteSum(variable, register, add):
            return f"shared.{variable} = {register} + {add}"
        case Acquire(name):
            return f"shared.{name}.acquire()"
        case Release(name):
            return f"shared.{name}.release()"
        case Wait(name) | EventWait(name):
            return f"shared.{name}.wait()"
        case Notify(name):
            return f"shared.{name}.notify()"
        case NotifyAll(name):
            return f"shared.{name}.notify_all()"
        case EventSet(name):
            return f"shared.{name}.set()"
        case If(variable, value, body):
            return _block(f"if shared.{variable} == {value}:", map(_statement, body))
        case While(variable, value, body):
            return _block(f"while shared.{variable} == {value}:", map(_statement, body))
        case Reacquire() | Pause():
            raise ValueError(f"{operation} belongs to the machine and cannot be written in Python")
        case _:
            assert_never(operation)


def _block(head: str, statements: Iterable[str]) -> str:
    return "\n".join([head, *(indent(statement, "    ") for statement in statements)])


def _pairs(items: Iterable[tuple[str, str]]) -> str:
    """Return a tuple display of (name, value of an expression)."""
    return "(" + " ".join(f"({name!r}, {expression})," for name, expression in items) + ")"


def _values(pairs: Iterable[tuple[str, int]]) -> Values:
    return tuple((name, value) for name, value in pairs)
