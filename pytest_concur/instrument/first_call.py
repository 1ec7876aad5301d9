"""Code that waits for a function's first call, when there is work to do that most functions never need.

A library has a hundred functions that may block, and a test calls ten of them. The others are not worth rewriting.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cache

from pytest_concur.instrument.rewrite import MARK

_VARIABLE = "_concur"
_PLACEHOLDER = "\0first call"
_VARARGS, _VARKEYWORDS = 0x04, 0x08
_NOT_A_CALL = 0x20 | 0x80 | 0x200  # generators and coroutines, of which others ask whether they are

Prepare = Callable[[], Callable[..., object]]


def can_wait(code: types.CodeType) -> bool:
    """Whether nobody could tell a function with this code from one that waits for its first call.

    Generators and coroutines are asked for what they are; and the parameters need names that can be written down.
    """
    names = _parameters(code)
    return not code.co_flags & _NOT_A_CALL and all(map(str.isidentifier, names)) and _VARIABLE not in names


def code_until_first_call(code: types.CodeType, prepare: Prepare) -> types.CodeType:
    """Return code that, called in place of ``code``, calls what ``prepare`` returns with the same arguments.

    It has the name, place and parameters of ``code``. For the length of that first call there is a frame more.

    Args:
        code: What a function has as its code; defaults and closure stay the function's. See :func:`can_wait`.
        prepare: Puts the function's final code in place, and returns the function.
    """
    template = _template(
        _parameters(code),
        code.co_posonlyargcount,
        code.co_argcount,
        code.co_kwonlyargcount,
        bool(code.co_flags & _VARARGS),
    )
    return template.replace(
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_filename=code.co_filename,
        co_firstlineno=code.co_firstlineno,
        co_freevars=code.co_freevars,  # a function's closure must fit; nobody reads it here
        co_consts=(*(prepare if constant == _PLACEHOLDER else constant for constant in template.co_consts), MARK),
    )


def _parameters(code: types.CodeType) -> tuple[str, ...]:
    """Those by place, those by keyword only, ``*args``, ``**kwargs``."""
    stars = sum(bool(code.co_flags & flag) for flag in (_VARARGS, _VARKEYWORDS))
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + stars]


@cache
def _template(
    names: tuple[str, ...], only_by_place: int, by_place: int, by_keyword: int, has_varargs: bool
) -> types.CodeType:
    places, keywords, stars = names[:by_place], names[by_place : by_place + by_keyword], names[by_place + by_keyword :]
    varargs = [f"*{name}" for name in stars[:has_varargs]]
    varkeywords = [f"**{name}" for name in stars[has_varargs:]]
    bare_star = ["*"] if keywords and not varargs else []
    slash = ["/"] if only_by_place else []
    parameters = [
        *places[:only_by_place],
        *slash,
        *places[only_by_place:],
        *varargs,
        *bare_star,
        *keywords,
        *varkeywords,
    ]
    arguments = [*places, *varargs, *(f"{name}={name}" for name in keywords), *varkeywords]
    source = (
        f"def f({', '.join(parameters)}):\n"
        f" {_VARIABLE} = {_PLACEHOLDER!r}\n"
        f" return {_VARIABLE}()({', '.join(arguments)})"
    )
    module = compile(source, "<first call>", "exec", dont_inherit=True)
    [template] = (constant for constant in module.co_consts if isinstance(constant, types.CodeType))
    return template
