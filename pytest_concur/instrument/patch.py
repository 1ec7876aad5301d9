"""Swap functions' code for rewritten code while a marked test runs, and back.

Rewriting takes about a millisecond a function, swapping a microsecond. So only what can block at once is rewritten
beforehand, a library's functions when they are called; the rest, and what is installed beside the project, when it is
first seen to run. A run that met new code or called a library's function for the first time is repeated by the caller,
so that all code of a run that counts is instrumented, and nothing else than instrumented, whatever ran before it.
"""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import repeat

from pytest_concur.instrument.blocking_code import (
    ModuleFacts,
    PackageFacts,
    library_recipe,
    may_block,
    package_recipe,
)
from pytest_concur.instrument.cache import CodeCache
from pytest_concur.instrument.discovery import Discovery
from pytest_concur.instrument.first_call import can_wait, code_until_first_call
from pytest_concur.instrument.points import Granularity
from pytest_concur.instrument.rewrite import (
    LENT,
    MARK,
    Caller,
    Flavour,
    Recipe,
    Site,
    bind,
    code_key,
    exchange,
    is_bound,
)
from pytest_concur.instrument.scope import OUR_FOLDER, Owner, Scope, functions_in, import_late_library
from pytest_concur.instrument.thread_state import looks_at_threads
from pytest_concur.instrument.written import WrittenNames, names_written, nested

Hooks = Callable[[tuple[object, ...]], object]

_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})


@dataclass(frozen=True, slots=True)
class Mode:
    """In which form the user's code is swapped in."""

    flavour: Flavour = "countdown"
    granularity: Granularity = "access"
    is_focused: bool = False
    """Points seen to touch only what one task uses are left out."""


@dataclass(slots=True)
class _Unit:
    """All function objects that share one code object."""

    code: types.CodeType
    owner: Owner
    module: str
    functions: dict[int, types.FunctionType]
    """By identity."""

    globals: dict[str, object]
    recipe: Recipe | None = None
    """How it is going to be rewritten, if that was laid down."""


class Patch:
    """The instrumentation of one test: which code is rewritten, in which flavour it is swapped in now."""

    def __init__(
        self, scope: Scope, cache: CodeCache, hooks: Hooks, test_module: str, *, waits_for_calls: bool = True
    ) -> None:
        """
        Args:
            scope: Whose code it is about.
            cache: Rewrites.
            hooks: Binds what is rewritten.
            test_module: The name of the test's module.
            waits_for_calls: A library's function is rewritten when it is first called. Not for runs that are not
                repeated: during such a call there is a frame more, and it takes longer.
        """
        self._scope = scope
        self._cache = cache
        self._hooks = hooks
        self._test_module = test_module
        self._units: dict[int, _Unit] = {}  # by id of the original code, which the unit keeps alive
        self._around: dict[
            int, _Unit
        ] = {}  # by id of a comprehension's code: its function lives only as long as it runs
        self._chosen: dict[int, _Unit] = {}  # invariant: a subset of _units; what gets rewritten
        self._ready: dict[tuple[Mode, int], types.CodeType] = {}
        self._known: set[int] = set()  # ids of codes that discovery need not report (again)
        self._keep: list[types.CodeType] = []  # keeps the ids in _known from being reused
        self._mode: Mode | None = None
        self._first_mode: Mode | None = None
        self._started: set[int] = set()  # ids of known codes that were seen to start
        self._stand_ins: dict[int, types.CodeType] = {}  # by id of the original, for code that was not seen to run
        self._stood_in_for: dict[int, _Unit] = {}  # by id of the stand-in
        self._by_module: dict[str, list[_Unit]] = {}
        self._names: dict[str, WrittenNames] = {}
        self._facts: dict[int, ModuleFacts] = {}
        self._calling: frozenset[Caller] = frozenset()
        self._muted: frozenset[Site] = frozenset()
        self._muted_codes: frozenset[str] = frozenset()
        self._differences: dict[Mode, list[tuple[types.FunctionType, types.CodeType, types.CodeType]]] = {}
        self._written = WrittenNames()
        self._touched: set[str] = set()
        self._waits_for_calls = waits_for_calls
        self._called: list[_Unit] = []  # for the first time, since absorb was called
        self.discovery = Discovery(self._is_new)
        self.has_late_names = False
        """Code of a module was seen to run whose written names came too late to be taken into account elsewhere."""

        self.looks_at_threads = False
        """Code of the user's may see or change what the system keeps for a thread."""

        self.seconds = 0.0
        """Wall time spent so far on finding and rewriting code."""

    def install(self, mode: Mode) -> None:
        """Swap rewritten code in; what was swapped in another mode is replaced."""
        if mode != self._mode:
            with self._working():
                self._install(mode)

    def _install(self, mode: Mode) -> None:
        if self._first_mode is None:
            self._first_mode = self._mode = mode
            self._scan()
            self._touch({self._test_module})
            self._swap_user_units()
        assert self._mode is not None, "after its removal a patch is not installed again"
        for function, _, first in self._difference(self._mode):
            function.__code__ = first
        self._mode = mode
        for function, code, _ in self._difference(mode):
            function.__code__ = code

    def mute(self, sites: frozenset[Site]) -> None:
        """Leave these points out in focused modes from now on."""
        self._muted, self._muted_codes = sites, frozenset(key for key, _ in sites)
        self._differences.clear()

    def is_users(self, frame: types.FrameType) -> bool:
        """Whether a frame runs code of the user's that is swapped in."""
        code, module = frame.f_code, str(frame.f_globals.get("__name__"))
        return is_bound(code) and self._scope.owner(module, code.co_filename) == "user"

    def mark_callers(self, callers: frozenset[Caller]) -> None:
        """Let these places, which call the system, have points from now on."""
        self._calling |= callers
        keys = {key for key, _, _ in callers}
        stale = {
            id(unit.code) for unit in self._chosen.values() if not keys.isdisjoint(map(code_key, nested(unit.code)))
        }
        self._differences.clear()
        self._ready = {key: code for key, code in self._ready.items() if key[1] not in stale}
        self._stand_ins = {place: code for place, code in self._stand_ins.items() if place not in stale}
        for place in stale:
            self._swap(self._chosen[place])

    @property
    def user_units(self) -> int:
        """How many code objects of the user's are rewritten."""
        return sum(unit.owner == "user" for unit in self._chosen.values())

    def remove(self) -> None:
        """Put every function's own code back."""
        self._mode = None  # first: see _prepare
        for unit in self._chosen.values():
            for function in unit.functions.values():
                function.__code__ = unit.code

    def absorb(self, *, freeze_names: bool) -> bool:
        """Rewrite the code seen running since the last call; return whether the run must be repeated.

        Args:
            freeze_names: Leave the set of written names as it is. The names are taken from the modules that run
                sequentially; later they must not change, or a replay would count other points.
        """
        seen = self.discovery.take()
        called, self._called = self._called, []
        if not seen and not called:
            return False
        with self._working():
            for unit in called:
                self._swap(unit)  # if that failed in the call, the error is raised here, and is ours
            return self._absorb(seen, freeze_names) or bool(called)

    @contextmanager
    def _working(self) -> Iterator[None]:
        start = time.perf_counter()
        with self.discovery.unheard():
            yield
        self.seconds += time.perf_counter() - start

    def _absorb(self, seen: list[types.CodeType], freeze_names: bool) -> bool:
        if any(id(code) not in self._stood_in_for and self._unit_of(code) is None for code in seen):
            self._scan()
        self._differences.clear()
        found = [self._stood_in_for.get(id(code)) or self._unit_of(code) for code in seen]
        fresh = [unit for unit in found if unit is not None]
        for code in seen:
            self._note_known(code)
            self._started.add(id(code))
            if self._first_mode is not None and (unit := self._stood_in_for.get(id(code))) is not None:
                self._ready.pop((self._first_mode, id(unit.code)), None)
        self._started.update(id(unit.code) for unit in fresh)
        for unit in fresh:
            self._choose(unit)
        if not freeze_names:
            self._touch({unit.module for unit in fresh})
        elif any(unit.owner == "user" and unit.module not in self._touched for unit in fresh):
            self.has_late_names = True
        for unit in fresh:
            self._swap(unit)
        self._swap_user_units()
        return bool(fresh)

    def _scan(self) -> None:
        """Find every function in scope, and choose those that may block before anyone has seen them run."""
        import_late_library()
        self._differences.clear()
        self._names.clear()
        self._facts.clear()  # modules may have been changed since
        packages = PackageFacts()
        mine: dict[int, _Unit] = {}
        swapped = self._stood_in_for | {id(code): self._units[place] for (_, place), code in list(self._ready.items())}
        for function, owner in functions_in(self._scope):
            if owner == "package" and not packages.may_wait(function):
                continue  # as most of them
            code = function.__code__
            known = swapped.get(id(code)) or self._units.get(id(code))
            if known is not None:
                known.functions[id(function)] = function
                continue
            if is_bound(code):
                continue  # a function that an earlier run made, and that outlived it
            unit = mine.get(id(code))
            if unit is None:
                module = str(function.__globals__.get("__name__"))
                unit = mine[id(code)] = _Unit(code, owner, module, {}, function.__globals__)
            unit.functions[id(function)] = function
        self._units.update(mine)
        for unit in mine.values():
            self._by_module.setdefault(unit.module, []).append(unit)
            self._around.update((id(code), unit) for code in nested(unit.code) if code.co_name in _COMPREHENSIONS)
        for unit in mine.values():
            if unit.owner == "package":
                continue  # unless it is seen to run
            if unit.module == self._test_module or self._may_block(unit):
                self._choose(unit)
                self._note_known(unit.code)
                if unit.owner == "library":
                    self._swap_when_called(unit)

    def _choose(self, unit: _Unit) -> None:
        self._chosen[id(unit.code)] = unit
        if unit.owner == "user" and not self.looks_at_threads:
            self.looks_at_threads = looks_at_threads(unit.code, unit.globals)

    def _touch(self, modules: set[str]) -> None:
        """Take the names written in these modules into account; what that changes is no longer ready."""
        new = modules - self._touched
        if not new:
            return
        self._touched |= new
        written = self._written
        for module in sorted(new):
            written = written | self._names_of(module)
        if written != self._written:
            self._written = written
            self._differences.clear()
            self._ready = {
                key: code for key, code in list(self._ready.items()) if self._stays(self._units[key[1]], code)
            }

    def _stays(self, unit: _Unit, code: types.CodeType) -> bool:
        """Whether a unit's code is good enough although other names are written now.

        What never ran becomes a stand-in: it blocks under control, and should it start, it is reported as new.
        """
        if unit.owner != "user":
            return True
        if not self.discovery.sees_all or self._has_started(unit):
            return False
        self._stood_in_for[id(code)] = unit
        self._known.discard(id(code))
        return True

    def _swap(self, unit: _Unit) -> None:
        assert self._mode is not None, "nothing is swapped in"
        code = self._code_for(unit, self._mode)
        for function in unit.functions.values():
            function.__code__ = code

    def _swap_user_units(self) -> None:
        for unit in self._chosen.values():
            if unit.owner == "user":
                self._swap(unit)

    def _swap_when_called(self, unit: _Unit) -> None:
        if not self._waits_for_calls or not can_wait(unit.code):
            self._swap(unit)
            return
        unit.recipe = self._recipe(unit, Mode())  # now: a test may replace what the module's names stand for
        self._cache.open(unit.code)
        for function in unit.functions.values():
            function.__code__ = code_until_first_call(unit.code, self._prepare(unit, function))

    def _prepare(self, unit: _Unit, function: types.FunctionType) -> Callable[[], types.FunctionType]:
        def prepare() -> types.FunctionType:  # a constant of code that others may print: nothing to be seen inside
            # Any thread may be here, and in the middle any other: finalizers and handlers of signals are users' code.
            # So there is no lock. Who removes the patch says so first and then puts the own code back.
            self._called.append(unit)
            try:
                with self._working():
                    self._swap(unit)
                is_ready = self._mode is not None
            except Exception:  # an error of ours is none of the caller's; see absorb
                is_ready = False
            if not is_ready:
                for each in unit.functions.values():
                    each.__code__ = unit.code
            return function

        return prepare

    def _difference(self, mode: Mode) -> list[tuple[types.FunctionType, types.CodeType, types.CodeType]]:
        """Return the functions whose code in ``mode`` is not that of the first mode, with both codes.

        Modes may change from schedule to schedule, and there may be thousands of functions: most stay as they are.
        """
        if mode == self._first_mode:
            return []
        assert self._first_mode is not None, "a mode was installed"
        found = self._differences.get(mode)
        if found is None:
            found = self._differences[mode] = []
            for unit in self._chosen.values():
                if unit.owner != "user":
                    continue  # no points: one form serves all
                code, first = self._code_for(unit, mode), self._code_for(unit, self._first_mode)
                if code is not first:
                    found += [(function, code, first) for function in unit.functions.values()]
        return found

    def _code_for(self, unit: _Unit, mode: Mode) -> types.CodeType:
        first = self._first_mode
        assert first is not None, "a mode was installed"
        if unit.owner != "user":
            mode = Mode()
        elif mode != first and not self._has_started(unit):
            return self._code_for(unit, first) if mode.is_focused else self._stand_in(unit)
        elif mode.is_focused and replace(mode, is_focused=False) == first and not self._has_muted(unit):
            mode = first
        key = mode, id(unit.code)
        code = self._ready.get(key)
        if code is None:
            rewritten = self._cache.rewritten(unit.code, self._recipe(unit, mode))
            mark = LENT if unit.owner == "package" else MARK
            code = self._ready[key] = bind(rewritten, self._hooks, mark=mark)
            for each in nested(code):
                self._note_known(each)
        return code

    def _has_muted(self, unit: _Unit) -> bool:
        return not self._muted_codes.isdisjoint(map(code_key, nested(unit.code)))

    def _has_started(self, unit: _Unit) -> bool:
        first = self._ready.get((self._first_mode, id(unit.code))) if self._first_mode is not None else None
        return id(unit.code) in self._started or id(first) in self._started

    def _stand_in(self, unit: _Unit) -> types.CodeType:
        """Return what stands in, until it starts, for code that was never seen to run: rewriting all would take long.

        It blocks under control like all code and has no points; should it start, it is reported as new.
        """
        assert self._first_mode is not None, "a mode was installed"
        code = self._stand_ins.get(id(unit.code))
        if code is None:
            countdown = self._hooks((MARK, "countdown"))
            code = exchange(self._code_for(unit, self._first_mode), countdown, repeat(None))
            self._stand_ins[id(unit.code)] = code
            self._stood_in_for[id(code)] = unit
            for each in nested(code):
                if each is not code:
                    self._note_known(each)
        return code

    def _recipe(self, unit: _Unit, mode: Mode) -> Recipe:
        if unit.recipe is not None:
            return unit.recipe
        intercepted = self._facts_of(unit).intercepted_in(unit.code)
        if unit.owner == "package":
            return package_recipe(intercepted)
        if unit.owner == "user":
            written = self._written
            if unit.module not in self._touched:
                written = written | self._names_of(unit.module)
            muted = self._muted if mode.is_focused else frozenset()
            return Recipe(
                mode.flavour,
                mode.granularity,
                written,
                muted=muted,
                calling=self._calling,
                globals_intercepted=intercepted,
            )
        return library_recipe(unit.module, unit.code, intercepted)

    def _is_new(self, code: types.CodeType) -> bool:
        if code.co_filename.startswith(OUR_FOLDER):
            return False  # most of what starts
        if id(code) in self._known:
            self._started.add(id(code))
            return False
        if id(code) in self._stood_in_for:
            return True
        if is_bound(code):
            return False
        unit = self._unit_of(code)
        if unit is not None:
            return unit.owner != "library" or self._may_block(unit)
        return self._scope.may_own(code.co_filename)

    def _unit_of(self, code: types.CodeType) -> _Unit | None:
        """Return the unit of functions with that code, or of those with that comprehension, if there is any yet."""
        return self._units.get(id(code)) or self._around.get(id(code))

    def _names_of(self, module: str) -> WrittenNames:
        """Return the names that the user's functions in a module write."""
        found = self._names.get(module)
        if found is None:
            codes = [unit.code for unit in self._by_module.get(module, ()) if unit.owner == "user"]
            found = self._names[module] = names_written(codes)
        return found

    def _may_block(self, unit: _Unit) -> bool:
        return may_block(unit.module, unit.code, self._facts_of(unit), is_library=unit.owner == "library")

    def _facts_of(self, unit: _Unit) -> ModuleFacts:
        facts = self._facts.get(id(unit.globals))
        if facts is None:
            facts = self._facts[id(unit.globals)] = ModuleFacts.of(unit.globals)
        return facts

    def _note_known(self, code: types.CodeType) -> None:
        if id(code) not in self._known:
            self._known.add(id(code))
            self._keep.append(code)
