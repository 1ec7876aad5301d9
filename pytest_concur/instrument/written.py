"""Names that some code writes. A read of anything else cannot race with a write, so it needs no scheduling point.

The unit is the module: a name counts if any function of a module taken into account stores it. That errs on the side
of more points; what it misses (``setattr`` with a computed name) is code that no static look can see.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

_STORES = {
    dis.opmap[name]: kind
    for name, kind in {
        "STORE_ATTR": "attribute",
        "DELETE_ATTR": "attribute",
        "STORE_GLOBAL": "global",
        "DELETE_GLOBAL": "global",
    }.items()
}
_STORE_DEREF, _DELETE_DEREF = dis.opmap["STORE_DEREF"], dis.opmap["DELETE_DEREF"]
_ALL_STORES = (*_STORES, _STORE_DEREF, _DELETE_DEREF)
_EXTENDED_ARG, _FOR_ITER = dis.opmap["EXTENDED_ARG"], dis.opmap["FOR_ITER"]
_DYNAMIC = frozenset({"setattr", "__setattr__", "delattr", "__dict__", "vars"})


@dataclass(frozen=True, slots=True)
class WrittenNames:
    """Names written by attribute or global stores, and by stores to variables of an enclosing function."""

    attributes: frozenset[str] = frozenset()
    globals: frozenset[str] = frozenset()
    cells: frozenset[str] = frozenset()

    def __or__(self, other: WrittenNames) -> WrittenNames:
        return WrittenNames(self.attributes | other.attributes, self.globals | other.globals, self.cells | other.cells)

    def relevant_to(self, code: types.CodeType) -> tuple[str, ...]:
        """The part of these names that can matter for ``code`` and the code nested in it, in a stable order."""
        mentioned: set[str] = set()
        for each in nested(code):
            mentioned.update(each.co_names, each.co_freevars, each.co_cellvars)
        return (
            *sorted(mentioned & self.attributes), "|",
            *sorted(mentioned & self.globals), "|",
            *sorted(mentioned & self.cells),
        )  # fmt: skip


def nested(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield ``code`` and all code objects inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from nested(constant)


def names_written(codes: Iterable[types.CodeType]) -> WrittenNames:
    """Return the names that any of these code objects, or code nested in them, writes."""
    found = [_written_by(each) for code in codes for each in nested(code)]
    return WrittenNames(
        frozenset().union(*(each.attributes for each in found)),
        frozenset().union(*(each.globals for each in found)),
        frozenset().union(*(each.cells for each in found)),
    )


@cache
def _written_by(code: types.CodeType) -> WrittenNames:
    attributes: set[str] = set()
    globals_: set[str] = set()
    cells: set[str] = set()
    raw = code.co_code
    stored_once: set[str] = set()
    opcodes = raw[::2]
    for place in sorted(place for store in _ALL_STORES if store in opcodes for place in _places_of(store, opcodes)):
        opcode = raw[place]
        kind = _STORES.get(opcode)
        if kind is not None:
            name = code.co_names[_argument(raw, place)]
            (attributes if kind == "attribute" else globals_).add(name)
            globals_.add(name)  # ``module.NAME = ...`` writes a global of that module
        elif opcode in (_STORE_DEREF, _DELETE_DEREF):
            name = _cell_name(code, _argument(raw, place))
            follows_loop = (place >= 2 and raw[place - 2] == _FOR_ITER) or (place >= 4 and raw[place - 4] == _FOR_ITER)
            if name in code.co_freevars or name in stored_once or name in code.co_varnames or follows_loop:
                cells.add(name)  # bound again after its first value: others can see both
            stored_once.add(name)
    if _DYNAMIC.intersection(code.co_names):
        attributes.update(c for c in code.co_consts if isinstance(c, str) and c.isidentifier())
    return WrittenNames(frozenset(attributes), frozenset(globals_), frozenset(cells))


def _places_of(opcode: int, opcodes: bytes) -> Iterator[int]:
    """Yield the offsets of an instruction: a search in C, since most instructions are others."""
    place = opcodes.find(opcode)
    while place >= 0:
        yield place * 2
        place = opcodes.find(opcode, place + 1)


def _argument(raw: bytes, place: int) -> int:
    value = raw[place + 1]
    shift = 8
    while place >= 2 and raw[place - 2] == _EXTENDED_ARG:
        place -= 2
        value |= raw[place + 1] << shift
        shift += 8
    return value


def _cell_name(code: types.CodeType, index: int) -> str:
    # localsplus: parameters and locals, then cells that are not parameters, then free variables (CPython 3.11+)
    locals_ = code.co_varnames
    cells = tuple(name for name in code.co_cellvars if name not in locals_)
    return (locals_ + cells + code.co_freevars)[index]
