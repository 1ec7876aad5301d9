"""Settings of the whole suite: plugin tests go through ``pytester``."""

from __future__ import annotations

pytest_plugins = ["pytester"]
