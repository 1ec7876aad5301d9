"""Settings of the whole suite: plugin tests go through ``pytester``, in processes that load this plugin alone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep other plugins out of the pytest processes that tests start: importing them takes longer than most tests."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_concur.plugin")


@pytest.fixture(scope="session")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of rewritten code that the projects of all tests share."""
    return tmp_path_factory.mktemp("rewritten")


@pytest.fixture
def pytester(pytester: pytest.Pytester, rewritten: Path) -> pytest.Pytester:
    """Spare each project to rewrite the same parts of the standard library: a third of the time of a small run."""
    shared = pytester.path / ".pytest_cache" / "d"
    shared.mkdir(parents=True)
    (shared / "concur-code").symlink_to(rewritten, target_is_directory=True)
    return pytester
