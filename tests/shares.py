"""Which part of a long list of programs the everyday run takes: every third, on each Python other ones.

So the three supported versions together run them all, and none of them runs for long.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


def share(things: Iterable[T]) -> list[T]:
    """Return the third that is this Python's."""
    return list(things)[sys.version_info.minor % 3 :: 3]


def share_out(argument: str, cases: Mapping[str, Any]) -> pytest.MarkDecorator:
    """Parametrize a test by its cases, by name: this Python's share, and in the exhaustive run the others, too."""
    mine = share(cases)
    return pytest.mark.parametrize(
        argument,
        [
            pytest.param(case, id=name, marks=() if name in mine else pytest.mark.exhaustive)
            for name, case in cases.items()
        ],
    )


shared_out = pytest.mark.parametrize(
    "part", [pytest.param(share, id="a third"), pytest.param(list, id="all", marks=pytest.mark.exhaustive)]
)
"""The test takes ``part``, which picks from a list: this Python's share, or in the exhaustive run all of it."""
