"""Settings of the whole suite: plugin tests go through ``pytester``, in processes that load this plugin alone."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep other plugins out of the pytest processes that tests start: importing them takes longer than most tests."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_concur.plugin")
