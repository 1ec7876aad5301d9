"""Tell from a scheduling point, and from what lies on the stack there, which operation comes next."""

from __future__ import annotations

import _thread
import gc
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from itertools import count, islice, repeat
from sys import getrefcount
from types import (
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any

from pytest_concur.engine.numbering import Numbering
from pytest_concur.instrument.points import ARGUMENT
from pytest_concur.instrument.rewrite import Site
from pytest_concur.model.operation import UNKNOWN, Operation

CONTAINERS = (list, dict, set, deque, bytearray)
SEQUENCES = (list, deque, bytearray)
IMMUTABLE = (int, float, complex, str, bytes, bool, type(None), tuple, frozenset)
LOCKS = (_thread.LockType, _thread.RLock)
NUMBERS_AND_WORDS = frozenset({int, float, complex, str, bool, type(None)})
PLAIN = NUMBERS_AND_WORDS | {bytes, range}
"""Types of values that are all there is to them."""

ANYTHING = Operation("builtin", None)
"""C code reads nobody knows what."""

CHANGES_ANYTHING = Operation("builtin", None, None, True)
"""C code reads and changes nobody knows what, or where an iterator stands that others may have, too."""

OF_THE_SYSTEM = Operation("system", "the system", None, True, "the system")
"""A file, a socket, a database: which one, and what is done to it, is not known."""

DELEGATED_ITEM = "delegated item"
"""The same of an item: the object's class says in Python what that is."""

DELEGATED = "delegated attribute"
"""An access of an attribute that the object asked does not keep itself: what is touched is known to nobody else."""

STORED = 3
"""Values told where an item is stored: the container, the key, the item."""

_KEYS = frozenset({int, str, bytes, bool})
"""Types of keys that are told apart, by what they are equal to."""

_PLAIN_WAYS = {
    "__setattr__": (object.__setattr__, type.__setattr__),
    "__getattribute__": (object.__getattribute__, type.__getattribute__, ModuleType.__getattribute__),
}

ONLY_HERE = 4
"""References to an iterator that only the loop has: on the frame's stack, in what is told, two of the one who asks."""

_CONTAINERS: tuple[Any, ...] = ([], {}, {}.keys(), {}.values(), {}.items(), deque(), bytearray())
_SHOW_WITHOUT_KEYS = frozenset({memoryview, type({}.values()), type({}.items())})
_SHOW_ANOTHER = _SHOW_WITHOUT_KEYS | {MappingProxyType, type({}.keys())}
"""Types of objects whose items are those of another one."""

READS_WHAT_IT_GOES_OVER = frozenset(
    {enumerate, zip, islice, type(iter(set())), *(type(way(each)) for each in _CONTAINERS for way in (iter, reversed))}
)
"""Iterators of C code that touch the containers behind them and not what these contain."""

READS_NOTHING = frozenset(map(type, (iter(()), iter(""), iter("é"), iter(b""), iter(range(1)), count(), repeat(1))))
"""Iterators over what cannot change."""

SHALLOW = frozenset("len list tuple iter reversed enumerate".split())
"""Built-in functions that look at a container and not into what it contains."""

BY_NAME = frozenset("getattr hasattr setattr delattr".split())
"""Built-in functions that are given the name of an attribute."""

MOST_LOOKED_AT = 100
"""Elements of a container that are looked at to see whether anything lies behind them."""

MOST_BEHIND = 20
"""Objects looked at in search of what an iterator goes over."""


def is_a(thing: object, kinds: type | tuple[type, ...]) -> bool:
    """``isinstance`` that runs nobody's code: objects may have ways of their own to say what their ``__class__`` is."""
    return issubclass(type(thing), kinds)


def operation_teller(
    placeholder: tuple[Any, ...],
) -> Callable[[Numbering, tuple[Any, ...]], Operation]:
    """Return a function that tells the operation of one point, named as the rewritten code names it.

    The function takes what numbers the objects of the run, and what the stack held: the object touched, then the key if
    there is one, then the new value.
    """
    _, _, kind, name, writes, site = placeholder
    if kind == "global":
        always = _of_global(site[0].rsplit(":", 2)[0], name, writes)
        return lambda numbering, values: always
    if kind == "cell":
        return _teller_of_cell(name, writes, site)
    if kind == "builtin":
        return builtin_teller(name, writes)
    if kind in ("resume", "jump"):
        return lambda numbering, values: UNKNOWN
    if kind == "system":
        return lambda numbering, values: OF_THE_SYSTEM
    if kind == "attribute":
        return _teller_of_attribute(name, writes)

    def tell(numbering: Numbering, values: tuple[Any, ...]) -> Operation:
        owner = values[0]
        if kind == "iterate":
            behind = containers_behind(owner)
            if behind is None or (behind and getrefcount(owner) > ONLY_HERE + (name == ARGUMENT)):
                return CHANGES_ANYTHING
            if len(behind) > 1:
                return ANYTHING
            if not behind:  # a generator, say: a step changes it
                number = numbering.of(owner)
                return Operation(kind, number, None, True, (type(owner), number))
            owner = behind[0]
        elif is_a(owner, IMMUTABLE):
            return UNKNOWN
        elif type(owner) in _SHOW_ANOTHER:
            owner = owner.obj if type(owner) is memoryview else gc.get_referents(owner)[0]
        number = numbering.of(owner)
        family = type(owner), number
        if kind != "item":
            return Operation(kind, number, None, writes, family)
        way = "__contains__" if name == "in" else "__setitem__" if writes else "__getitem__"
        if type(find_in_class(owner, way)) is FunctionType:
            return Operation(DELEGATED_ITEM, number, None, writes, family)
        if not writes and adds_missing(owner, values[1:]):
            return Operation(kind, number, None, True, family)
        if type(values[0]) in _SHOW_WITHOUT_KEYS:
            return Operation(kind, number, None, writes, family)
        goes_through = name == "in" or (writes and len(values) < STORED)  # what is deleted moves what follows
        return Operation(kind, number, _part_of(owner, values[1:], goes_through=goes_through), writes, family)

    return tell


def _part_of(container: Any, keys: tuple[Any, ...], *, goes_through: bool) -> Hashable:
    """Return which part of a container is touched by its item, ``None`` if it is not one alone.

    Args:
        container: Whose item it is.
        keys: The key, and the new value if there is one.
        goes_through: Of a sequence more than the one item is touched.
    """
    if not keys or type(keys[0]) not in _KEYS:
        return None
    key: Hashable = keys[0]
    if is_a(container, (dict, set)):
        return key
    if not is_a(container, SEQUENCES) or goes_through or type(key) is not int:
        return None
    return key + len(container) if key < 0 else key


def adds_missing(container: Any, keys: tuple[Any, ...]) -> bool:
    """Whether a look at ``container[key]`` adds the key, or may do so: a ``defaultdict`` without it."""
    if not is_a(container, defaultdict) or not keys:
        return False
    (key,) = keys
    return type(key) not in PLAIN or not dict.__contains__(container, key)


def _is_its_own(owner: object, owner_type: type, name: str, *, writes: bool) -> bool:
    """Whether the object that is asked keeps the attribute itself, and neither a proxy nor code in Python answers."""
    way = find_in_class(owner, "__setattr__" if writes else "__getattribute__")
    if type(way) is FunctionType or _is_written_in_python(find_in_class(owner, name)):
        return False
    if all(type.__getattribute__(owner_type, way) in plain for way, plain in _PLAIN_WAYS.items()):
        return True
    namespace: Any = None
    for base in owner_type.__mro__:
        attributes = type.__getattribute__(base, "__dict__")
        if type(attributes.get(name)) is MemberDescriptorType:
            return True
        if namespace is None:
            namespace = attributes.get("__dict__")
    return type(namespace) is GetSetDescriptorType and name in namespace.__get__(owner)


def _is_written_in_python(descriptor: object) -> bool:
    """Whether an attribute is found by calling a function: a property's, or one that a class of the program has."""
    if type(descriptor) is property:
        return True
    ways = [find_in_class(descriptor, way) for way in ("__get__", "__set__")]
    return ways[1] is not None and FunctionType in map(type, ways)


def containers_behind(iterator: object) -> list[object] | None:
    """Return the containers that a step of an iterator reads in C code; ``None`` if that cannot be told.

    Python code, such as a generator's, has points of its own.
    """
    found: list[object] = []
    left = [iterator]
    for _ in range(MOST_BEHIND):
        if not left:
            return found
        looked_at = left.pop()
        kind = type(looked_at)
        if kind in READS_NOTHING or kind is GeneratorType or type(getattr(kind, "__next__", None)) is FunctionType:
            continue
        referents = gc.get_referents(looked_at)
        calls_python = kind in (map, filter) and any(type(each) is FunctionType for each in referents)
        if not (calls_python or kind in READS_WHAT_IT_GOES_OVER or kind is tuple):
            return None
        for each in referents:
            if is_a(each, CONTAINERS):
                found.append(each)
            elif type(each) is tuple or hasattr(type(each), "__next__"):  # ``zip`` keeps its iterators in a tuple
                left.append(each)
    return None


def _teller_of_attribute(name: str, writes: bool) -> Callable[[Numbering, tuple[Any, ...]], Operation]:
    told: dict[int, tuple[type, Operation]] = {}  # by number: making one each time takes longer than all the rest

    def tell_attribute(numbering: Numbering, values: tuple[Any, ...]) -> Operation:
        owner = values[0]
        owner_type = type(owner)
        if writes and len(values) > 1 and is_a(values[1], LOCKS):
            numbering.of(values[1])  # here, where its owner is made, its number is the same in more runs than later
        if issubclass(owner_type, threading.local):
            return UNKNOWN  # each thread has its own
        if owner_type is ModuleType:
            return _of_global(vars(owner).get("__file__"), name, writes)
        number = numbering.of(owner)
        known = told.get(number)
        if known is not None and known[0] is owner_type:
            return known[1]
        # of objects that tasks make, one takes the place of another from run to run
        whose = owner.__qualname__ if is_a(owner, type) else owner_type
        family = (whose, name, number) if number < numbering.early else (whose, name)
        if not _is_its_own(owner, owner_type, name, writes=writes):
            return Operation(DELEGATED, number, name, writes, family)
        operation = Operation("attribute", number, name, writes, family)
        told[number] = owner_type, operation
        return operation

    return tell_attribute


def _of_global(file: object, name: str, writes: bool) -> Operation:
    """A global variable, as its module's code says it, or an attribute of the module, as others say it."""
    place = "global", file, name
    return Operation("global", place, None, writes, place)


def attribute_set_by(numbering: Numbering, call: tuple[Any, ...]) -> Operation | None:
    """Return what ``object.__setattr__(owner, name, value)`` does, and the same by way of ``super()``; else ``None``.

    Args:
        numbering: The numbers of the run.
        call: A function and its arguments.
    """
    function, *arguments = call
    if function is object.__setattr__ and arguments:
        owner, *arguments = arguments
    elif type(function) is MethodWrapperType and function.__name__ == "__setattr__":
        owner = function.__self__
    else:
        return None
    if len(arguments) != 2 or type(name := arguments[0]) is not str:
        return None
    return Operation("attribute", numbering.of(owner), name, True, (type(owner), name))


def find_in_class(owner: object, name: str) -> object:
    """Return what the class of an object has under a name, as it stands there; ``None`` if it has nothing."""
    for kind in type(owner).__mro__:
        attributes = type.__getattribute__(kind, "__dict__")
        if name in attributes:
            return attributes[name]
    return None


def class_that_has(owner: object, name: str) -> type | None:
    """Return the class behind an object, or a class, that has an attribute which the object has not itself."""
    of: Any = owner if is_a(owner, type) else type(owner)
    for kind in of.__mro__:
        found = type.__getattribute__(kind, "__dict__").get(name, kind)
        if found is not kind:
            return kind if kind is not owner else None
    return None


def _teller_of_cell(name: str, writes: bool, site: Site) -> Callable[[Numbering, tuple[Any, ...]], Operation]:
    everywhere = "cell", site[0].rsplit(":", 2)[0], name

    def tell_cell(numbering: Numbering, values: tuple[Any, ...]) -> Operation:
        number = numbering.of(values[0])
        return Operation("cell", number, name, writes, (everywhere, number) if number < numbering.early else everywhere)

    return tell_cell


def builtin_teller(name: str, writes: bool) -> Callable[[Numbering, tuple[Any, ...]], Operation]:
    anything = Operation("builtin", None, None, writes)
    attributes: dict[str, Callable[[Numbering, tuple[Any, ...]], Operation]] = {}

    def tell_builtin(numbering: Numbering, values: tuple[Any, ...]) -> Operation:
        if not values:
            return anything
        owner = values[0]
        kind = type(owner)
        if kind in PLAIN:
            return UNKNOWN
        if name in BY_NAME and len(values) > 1 and type(values[1]) is str:
            if values[1] not in attributes:
                attributes[values[1]] = _teller_of_attribute(values[1], writes)
            return attributes[values[1]](numbering, values[:1])
        is_alone = all(type(each) in PLAIN for each in values[1:])  # ``max`` of two lists reads both
        if kind in CONTAINERS and is_alone and (name in SHALLOW or _has_plain_elements(owner)):
            number = numbering.of(owner)
            return Operation("method", number, None, writes, (kind, number))
        return anything

    return tell_builtin


def _has_plain_elements(container: Any) -> bool:
    """Whether there is nothing behind the elements that C code might read, too."""
    if len(container) > MOST_LOOKED_AT:
        return False
    values = container.values() if type(container) is dict else ()
    return all(type(each) in PLAIN for each in container) and all(type(each) in PLAIN for each in values)
