"""Who holds an object, and under which name: what a reader calls a lock."""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Callable
from typing import Any

from pytest_concur.engine.stacks import stacks

_OURS = __package__.partition(".")[0]


def name_of(real: object) -> str:
    """Return the name under which somebody holds this object; empty if unknown.

    ``Account.lock``, ``bank.LOCK``; ``Bank.locks['a']`` if it lies in a container that has such a name; else that of a
    variable which a function shares with the one around it, or of a local one of a function that is being run.
    """
    ways = _name_in_object, _name_in_container, _name_in_modules, _name_of_variable, _name_of_local
    return next((name for way in ways if (name := way(real))), "")


def _name_in_object(real: object) -> str:
    for owner in gc.get_referrers(real):
        if isinstance(owner, dict):
            if isinstance(owner.get("__name__"), str) and "__builtins__" in owner:
                found = _key_of(owner, real)
                if found:
                    return f"{owner['__name__']}.{found}"
            for holder in gc.get_referrers(owner):
                if getattr(holder, "__dict__", None) is owner and (found := _key_of(owner, real)):
                    return f"{_type_name(holder)}.{found}"
        elif not isinstance(owner, list | tuple | Callable):
            found = _key_of(getattr(owner, "__dict__", {}), real) or _slot_of(owner, real)
            if found and not type(owner).__module__.startswith(__package__):
                return f"{_type_name(owner)}.{found}"
    return ""


def _name_in_container(real: object) -> str:
    for owner in gc.get_referrers(real):
        if type(owner) not in (dict, list):
            continue
        items = owner.items() if type(owner) is dict else enumerate(owner)
        key = next((key for key, value in list(items) if value is real and type(key) in (str, int)), None)
        if key is not None and (name := _name_in_object(owner) or _name_in_modules(owner) or _name_of_variable(owner)):
            return f"{name}[{key!r}]"
    return ""


def _name_of_variable(real: object) -> str:
    for cell in gc.get_referrers(real):
        if type(cell) is not types.CellType:
            continue
        for cells in gc.get_referrers(cell):
            for function in gc.get_referrers(cells) if type(cells) is tuple else ():
                is_users = type(function) is types.FunctionType and not function.__module__.startswith(_OURS)
                if is_users and function.__closure__ is cells:
                    return str(function.__code__.co_freevars[cells.index(cell)])
    return ""


def _name_of_local(real: object) -> str:
    for innermost in stacks().values():
        frame: types.FrameType | None = innermost
        while frame is not None:
            package = str(frame.f_globals.get("__name__")).partition(".")[0]
            if package != _OURS and package not in sys.stdlib_module_names:
                for name, value in frame.f_locals.items():
                    if value is real and name != "self" and name.isidentifier():
                        return name
            frame = frame.f_back
    return ""


def _name_in_modules(real: object) -> str:
    """Return the name of a global variable, or of a class's attribute.

    Who held it before the runs began is frozen, and not among the referrers that the collector knows of. Modules are
    not asked by their own ways: a stand-in for one may run anything.
    """
    for name, module in list(sys.modules.items()):
        if not issubclass(type(module), types.ModuleType):
            continue
        namespace = object.__getattribute__(module, "__dict__")
        if found := _key_of(namespace, real):
            return f"{name}.{found}"
        for value in list(namespace.values()):
            if not issubclass(type(value), type):
                continue
            attributes = type.__getattribute__(value, "__dict__")
            if attributes.get("__module__") == name and (found := _key_of(attributes, real)):
                return f"{_type_name(value)}.{found}"
    return ""


def _type_name(owner: object) -> str:
    return owner.__qualname__ if isinstance(owner, type) else type(owner).__qualname__


def _key_of(mapping: Any, real: object) -> str | None:
    return next((str(key) for key, value in list(mapping.items()) if value is real), None)


def _slot_of(owner: object, real: object) -> str | None:
    for kind in type(owner).__mro__:
        for slot in getattr(kind, "__slots__", ()):
            if getattr(owner, slot, None) is real:
                return str(slot)
    return None
