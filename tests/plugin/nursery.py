"""Run pytest in forks of a process that has imported it already: importing takes longer than most tests of a plugin.

A fork differs from a fresh process in one thing that matters here: hashes of strings are those of all other forks. What
must not depend on that is run in a fresh process; see ``fresh`` in :func:`project.run_pytest`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

IS_POSSIBLE = hasattr(os, "fork")

_PARENT = """\
import email.message, gc, importlib, json, os, sys

import pytest
from _pytest.config import default_plugins

for name in default_plugins:
    importlib.import_module(f"_pytest.{name}")
for name in ("fixture", "instrument.cache", "report.progress", "session.process", "session.runner"):
    importlib.import_module(f"pytest_concur.{name}")  # what each process with a marked test imports
gc.collect()
gc.freeze()  # each of several collections in a test would look through all this, and copy its memory

for line in sys.stdin:
    arguments, folder, environment, out, err = json.loads(line)
    child = os.fork()
    if not child:
        for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
            file = os.open(name, flags)
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        paths = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
        sys.path[:1] = [folder, *paths]  # in place of the empty one
        sys.argv = [pytest.__file__, *arguments]
        sys.exit(pytest.main())
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Nursery:
    """A process that forks; one for each process that runs tests."""

    def __init__(self) -> None:
        self._parent: subprocess.Popen[str] | None = None

    def run(self, arguments: Sequence[str], folder: Path, out: Path, err: Path, *, timeout_s: float) -> int:
        """Run pytest with these arguments in a folder; return its exit code.

        Args:
            arguments: Of pytest.
            folder: Is the current one, and the first on the path.
            out: File that takes what is written to standard output; it exists.
            err: The same for standard error.
            timeout_s: Kill it after so many seconds.

        Raises:
            TimeoutError: it was killed.
        """
        if self._parent is None:
            command = [sys.executable, "-c", _PARENT]
            self._parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        asks, answers = self._parent.stdin, self._parent.stdout
        assert asks is not None, "it is a pipe"
        assert answers is not None, "it is a pipe"
        asks.write(json.dumps([list(arguments), str(folder), dict(os.environ), str(out), str(err)]) + "\n")
        asks.flush()
        child = int(answers.readline())
        if not _has_more(answers, timeout_s):
            os.kill(child, signal.SIGKILL)
            answers.readline()
            raise TimeoutError
        return int(answers.readline())


def _has_more(file: IO[str], timeout_s: float) -> bool:
    """Whether there is something to read in time; nothing may be buffered."""
    ready, _, _ = select.select([file], [], [], timeout_s)
    return bool(ready)
