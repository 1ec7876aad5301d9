"""What the local variables of a function hold, as far as that is plain to see: methods, numbers, words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from bytecode import BinaryOp, Instr, Label

from pytest_concur.instrument import interpreter
from pytest_concur.instrument.calls import call_of

IN_PLACE = frozenset(operator for operator in BinaryOp if operator.name.startswith("INPLACE"))
"""Operators that may change their first operand: ``+=`` and the like."""

WITH_ANYTHING = frozenset(
    {BinaryOp.MULTIPLY, BinaryOp.INPLACE_MULTIPLY, BinaryOp.REMAINDER, BinaryOp.INPLACE_REMAINDER}
)
"""Operators that put numbers or words and containers together; others can do nothing with such a pair."""

_OTHERS_SEE = frozenset({"STORE_DEREF", "STORE_GLOBAL", "STORE_NAME"})


def methods_shared(instructions: Sequence[object], names: Collection[str]) -> dict[str, str]:
    """Return the variables, shared with functions inside, in which a function keeps methods: by variable, its name.

    Args:
        instructions: Those of the function.
        names: Of the methods that count.
    """
    return _kept(instructions, names, interpreter.shared_stored)


def calls_of_kept_methods(
    instructions: Sequence[object], names: Collection[str], shared: Mapping[str, str]
) -> Iterator[tuple[str, int, int]]:
    """Yield the calls of methods that are kept in a variable: ``get = table.get``.

    pytest's ``assert`` does so with all methods. Each comes with the method's name, the place of the call and the
    number of values that lie above the method then.

    Args:
        instructions: Those of the function.
        names: Of the methods that count.
        shared: Those that are kept in variables shared with other functions, by variable.
    """
    kept = _kept(instructions, names, interpreter.local_stored)
    for index, instr in enumerate(instructions) if kept or shared else ():
        if not isinstance(instr, Instr):
            continue
        name = kept.get(interpreter.local_loaded(instr) or "") or shared.get(interpreter.shared_loaded(instr) or "")
        if name is not None and (called := call_of(instructions, index)) is not None:
            yield name, *called


def _kept(
    instructions: Sequence[object], names: Collection[str], stored: Callable[[Instr], str | None]
) -> dict[str, str]:
    kept: dict[str, str] = {}
    for load, store in _pairs(instructions):
        name, variable = interpreter.attribute_name(load), stored(store)
        if variable is not None and name in names:
            kept.setdefault(variable, str(name))
    return kept


class Variables:
    """Which local variables hold nothing but numbers and words, which nobody can change.

    What an operator makes of such a value and of another one is taken for one, too: no operator of a container's takes
    them but ``*`` and ``%``.
    """

    def __init__(self, instructions: Sequence[object], parameters: Collection[str]) -> None:
        """
        Args:
            instructions: Those of a function.
            parameters: Names of its parameters, whose values are anything.
        """
        self._instructions = [(index, each) for index, each in enumerate(instructions) if isinstance(each, Instr)]
        self._places = {index: place for place, (index, _) in enumerate(self._instructions)}
        self._all = instructions
        self._met_from_elsewhere = self._targets()
        stores = self._stores()
        self._plain = set(stores) - set(parameters)
        while True:
            wrong = {name for name in self._plain if not all(map(self._is_plain_store, stores[name]))}
            if not wrong:
                break
            self._plain -= wrong

    def is_plain(self, index: int) -> bool:
        """Whether what the instruction at ``index`` leaves on top of the stack is a number or a word."""
        return self._makes_plain(self._places[index])

    def is_plain_before(self, index: int) -> bool:
        """The same of the instruction before that one."""
        return self._gets_plain(self._places[index])

    def changes_in_place(self) -> Iterator[int]:
        """Yield where ``variable += value`` may change what the variable holds, which others may hold, too.

        Where an attribute or an item is changed so, the store that follows is a step of its own.
        """
        for place, (index, instr) in enumerate(self._instructions):
            operator = _operator(instr)
            has_number = place not in self._met_from_elsewhere and self._loads(place - 1, (int, float))
            if operator not in IN_PLACE or (operator not in WITH_ANYTHING and has_number):
                continue
            store = self._instructions[place + 1][1]
            variable = interpreter.local_stored(store)
            if store.name in _OTHERS_SEE or (variable is not None and variable not in self._plain):
                yield index

    def _targets(self) -> set[int]:
        """Return the instructions to which others jump: what lies on the stack may be made elsewhere."""
        found = set()
        is_target = False
        for index, each in enumerate(self._all):
            if isinstance(each, Instr):
                if is_target:
                    found.add(self._places[index])
                is_target = False
            else:
                is_target |= isinstance(each, Label)
        return found

    def _stores(self) -> dict[str, list[int]]:
        """Return where each variable is stored."""
        found: dict[str, list[int]] = {}
        for place, (_, instr) in enumerate(self._instructions):
            if instr.name.startswith("STORE_FAST"):
                names = instr.arg if isinstance(instr.arg, tuple) else (instr.arg,)
                for name in names:
                    found.setdefault(str(name), []).append(place)
            elif instr.name in ("DELETE_FAST", "LOAD_FAST_AND_CLEAR"):
                found.setdefault(str(instr.arg), []).append(place)
        return found

    def _is_plain_store(self, place: int) -> bool:
        """Whether a variable gets a number or a word, if it held one before."""
        instr = self._instructions[place][1]
        if instr.name not in ("STORE_FAST", "STORE_FAST_LOAD_FAST") or not place:
            return False
        index, previous = self._instructions[place - 1]
        if previous.name == "FOR_ITER":
            return iterates_range(self._all, index)
        operator = _operator(previous)
        if operator in IN_PLACE:
            return operator not in WITH_ANYTHING or self._gets_plain_operand(place - 1)
        return self._gets_plain(place)

    def _gets_plain(self, place: int) -> bool:
        """Whether an instruction finds a number or a word on top of the stack, by whatever way it is come to."""
        return place not in self._met_from_elsewhere and self._makes_plain(place - 1)

    def _gets_plain_operand(self, place: int) -> bool:
        return place not in self._met_from_elsewhere and self._is_plain_operand(place - 1)

    def _makes_plain(self, place: int) -> bool:
        """Whether a number or a word is on top of the stack behind an instruction. Goes back through an expression."""
        instr = self._instructions[place][1] if place >= 0 else None
        operator = _operator(instr)
        if operator is None:
            return self._is_plain_operand(place)
        if operator in IN_PLACE:
            return interpreter.local_stored(self._instructions[place + 1][1]) in self._plain
        if not self._gets_plain_operand(place):
            return False
        arg: Any = self._instructions[place - 1][1].arg
        has_both = isinstance(arg, tuple) and self._instructions[place - 1][1].name == "LOAD_FAST_LOAD_FAST"
        return operator not in WITH_ANYTHING or (arg[0] in self._plain if has_both else self._gets_plain(place - 1))

    def _is_plain_operand(self, place: int) -> bool:
        return self._loads(place, (int, float, str)) or self._is_plain_variable(place)

    def _is_plain_variable(self, place: int) -> bool:
        return place >= 0 and interpreter.local_loaded(self._instructions[place][1]) in self._plain

    def _loads(self, place: int, kinds: tuple[type, ...]) -> bool:
        """Whether a constant of one of these types is loaded."""
        instr = self._instructions[place][1] if place >= 0 else None
        return instr is not None and instr.name == "LOAD_CONST" and isinstance(instr.arg, kinds)


def iterates_range(instructions: Sequence[object], index: int) -> bool:
    """Whether the loop at ``index`` goes over ``range(...)`` called in place: its steps are nobody else's."""
    place = index - 1
    while place >= 0 and isinstance(instructions[place], Label):
        place -= 1
    if place < 1 or getattr(instructions[place], "name", "") != "GET_ITER":
        return False
    effect = 0
    for candidate in range(place - 1, max(place - 40, -1), -1):
        instr = instructions[candidate]
        if not isinstance(instr, Instr):
            return False
        effect += instr.stack_effect(jump=False)
        if effect == 1:
            return interpreter.global_name(instr) == "range"
    return False


def _pairs(instructions: Sequence[object]) -> Iterator[tuple[Instr, Instr]]:
    """Yield each instruction and the one behind it."""
    return pairwise(each for each in instructions if isinstance(each, Instr))


def _operator(instr: Instr | None) -> BinaryOp | None:
    return BinaryOp(instr.arg) if instr is not None and instr.name == "BINARY_OP" else None  # type: ignore[arg-type]
