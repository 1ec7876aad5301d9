"""The import rule of docs/architecture.md, and the one table of options."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_concur
from pytest_concur import options, plugin
from pytest_concur.strategies import STRATEGIES

PACKAGE = Path(pytest_concur.__file__).parent

MAY_IMPORT = {
    "model": {"model"},
    "strategies": {"strategies", "model"},
    "instrument": {"instrument"},
    "engine": {"engine", "instrument", "model", "errors"},
    "explore": {"explore", "engine", "instrument", "strategies", "model", "errors"},
    "report": {"report", "model"},
    "measure": {"measure", "engine", "model", "errors"},
    "fixture": {"engine", "explore", "measure", "model", "errors"},
    "options": {"errors"},
    "errors": set(),
    "session": {"session", "explore", "measure", "engine", "instrument", "strategies", "report", "model", "errors",
                "options", "fixture"},
    "plugin": {"session"},
    "__init__": {"errors"},
    "__main__": {"errors", "measure", "report"},
}  # fmt: skip
KNOWS_PYTEST = {"plugin", "session"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "pytest_concur":
                yield from (f"pytest_concur.{alias.name}" for alias in node.names)
            yield node.module


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=lambda value: str(value).removeprefix(str(PACKAGE)))
def test_arrows_go_one_way(room, path):
    """A module imports only from the rooms that its own room may know."""
    names = [name.split(".") for name in imported(path)]
    ours = {name[1] for name in names if name[0] == "pytest_concur" and len(name) > 1}

    assert ours <= MAY_IMPORT[room]
    assert room in KNOWS_PYTEST or not {"pytest", "_pytest"} & {name[0] for name in names}


def about(option: options.Option) -> str:
    """What ``--help`` says of a setting."""
    text = f"{option.help}: {option.allowed}"
    return text if option.default in (None, ()) else f"{text} ({str(option.default).lower()})"


def test_one_table_of_options():
    """The names that the plugin registers are those of the table, and a strategy can be asked for if it exists."""
    assert {option.name: about(option) for option in options.OPTIONS} == plugin._OPTIONS
    assert set(options.STRATEGY_NAMES) == set(STRATEGIES)
