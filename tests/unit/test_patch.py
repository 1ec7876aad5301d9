"""Code is swapped in as far as it runs, and put back."""

from __future__ import annotations

import sys
import threading
import types
from pathlib import Path

import pytest

from pytest_concur.engine.hooks import Hooks
from pytest_concur.instrument.cache import CodeCache
from pytest_concur.instrument.patch import Mode, Patch
from pytest_concur.instrument.scope import Scope

SOURCE = """\
import threading

LOCK = threading.Lock()
STATE = [0]


def runs():
    STATE[0] += 1


def runs_late():
    with LOCK:
        for _ in STATE:
            STATE[0] += 1


def reads_late():
    with LOCK:
        return STATE.x
"""


@pytest.fixture
def module(tmp_path):
    name = "module_of_test_patch"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    sys.path.insert(0, str(tmp_path))
    yield __import__(name)
    sys.path.remove(str(tmp_path))
    del sys.modules[name]


@pytest.fixture
def patch(module, tmp_path):
    holder = types.ModuleType("holder")
    made = Patch(Scope([tmp_path], (), holder), CodeCache(None), Hooks().bind, "holder")
    yield made
    made.remove()
    made.discovery.stop()


def test_code_not_seen_to_run_is_rewritten_for_another_mode_when_it_starts(module, patch):
    """In a second mode a stand-in serves until the code starts: it blocks under control; then it is reported as new."""
    own = module.runs_late.__code__
    patch.install(Mode())
    patch.discovery.start()
    module.runs()
    assert patch.absorb(freeze_names=False)

    patch.install(Mode(granularity="gil"))
    stand_in = module.runs_late.__code__
    module.runs_late()

    assert patch.absorb(freeze_names=True)
    assert module.runs_late.__code__ not in (own, stand_in)
    module.runs_late()
    assert not patch.absorb(freeze_names=True), "nothing is new any more"
    patch.remove()
    assert module.runs_late.__code__ is own


@pytest.mark.skipif(sys.version_info < (3, 12), reason="without sys.monitoring what starts late is not seen to start")
def test_code_that_never_ran_is_not_rewritten_for_more_written_names(module, patch, tmp_path, monkeypatch):
    """It has its points for these names as soon as it starts."""
    (tmp_path / "other_module_of_test_patch.py").write_text("class Box:\n    x = 0\n\n\ndef writes():\n    Box.x = 1\n")
    other = __import__("other_module_of_test_patch")
    monkeypatch.setitem(sys.modules, "other_module_of_test_patch", other)
    module.STATE = other.Box
    patch.install(Mode())
    before = module.reads_late.__code__
    patch.discovery.start()
    other.writes()
    assert patch.absorb(freeze_names=False)
    assert module.reads_late.__code__ is before

    module.reads_late()
    assert patch.absorb(freeze_names=False)
    after = module.reads_late.__code__
    assert len(after.co_code) > len(before.co_code), "another point"
    module.reads_late()
    assert not patch.absorb(freeze_names=True)
    assert module.reads_late.__code__ is after


def test_a_library_is_rewritten_as_far_as_it_is_called(patch):
    """The first call finds the rewritten code; a call of what waits still, after the removal, the function's own."""
    own, never = threading.Event.is_set.__code__, threading.Event.clear.__code__
    patch.install(Mode())
    waiting = threading.Event.is_set.__code__
    assert waiting is not own
    assert threading.Event.clear.__code__ is not never
    assert not is_rewritten(waiting)
    patch.discovery.start()
    assert threading.Event().is_set() is False
    assert is_rewritten(threading.Event.is_set.__code__)
    assert not is_rewritten(threading.Event.clear.__code__)
    assert patch.absorb(freeze_names=False), "a run with a first call is repeated"
    assert threading.Event().is_set() is False
    assert not patch.absorb(freeze_names=False)
    patch.remove()
    assert (threading.Event.is_set.__code__, threading.Event.clear.__code__) == (own, never)
    late = types.FunctionType(waiting, vars(threading))  # as if a thread stood in it all the time
    assert late(threading.Event()) is False
    assert threading.Event.is_set.__code__ is own


def is_rewritten(code):
    """Whether the code has hooks; what waits for its first call has one, too, and a variable of its own."""
    return any(map(callable, code.co_consts)) and "_concur" not in code.co_varnames


def test_helpers_beside_the_project_are_the_users(tmp_path_factory, monkeypatch):
    """What a test's module imports is instrumented although it lies outside the project; installed packages are not."""
    folder: Path = tmp_path_factory.mktemp("beside")
    (folder / "helper_of_test_patch.py").write_text("def help():\n    pass\n")
    monkeypatch.syspath_prepend(folder)
    helper = __import__("helper_of_test_patch")
    test_module = types.ModuleType("test_module")
    test_module.__dict__.update(helper=helper, raises=pytest.raises, json=__import__("json"))

    scope = Scope([folder / "project"], (), test_module)
    (folder / "other-1.0.dist-info").mkdir()
    scope_of_installed = Scope([folder / "project"], (), test_module)

    assert scope.owner("helper_of_test_patch", str(helper.__file__)) == "user"
    assert scope_of_installed.owner("helper_of_test_patch", str(helper.__file__)) is None
    assert scope.owner("json", str(__import__("json").__file__)) is None
    assert scope.owner("_pytest.raises", str(sys.modules["_pytest.raises"].__file__)) is None
