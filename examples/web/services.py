"""One small service in several designs, as WSGI applications that any server can run.

``handle`` is what a request does; ``application`` makes a WSGI callable of a service.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

SLEEP_S = 0.010
"""What each request waits for: a database, another service."""

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class Service(Protocol):
    """Answers requests."""

    def handle(self, path: str) -> dict[str, Any] | None:
        """Return what is answered as JSON; ``None`` for no content."""


def application(service: Service) -> Application:
    def answer(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        try:
            body = json.dumps(service.handle(environ["PATH_INFO"])).encode()
        except Exception as error:
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [f"{type(error).__name__}: {error}\n".encode()]
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


class ReadWriteLock:
    """Many readers or one writer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._is_written = False

    def acquire_read(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_written)
            self._readers += 1

    def release_read(self) -> None:
        with self._changed:
            self._readers -= 1
            self._changed.notify_all()

    def acquire_write(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_written and not self._readers)
            self._is_written = True

    def release_write(self) -> None:
        with self._changed:
            self._is_written = False
            self._changed.notify_all()


class FanOutService:
    """Each request starts three threads: to count under a lock, to read under it, to wait."""

    def __init__(self, wait: Callable[[], None] = lambda: time.sleep(SLEEP_S)) -> None:
        self._lock = ReadWriteLock()
        self._wait = wait
        self.data = {"counter": 0}

    def handle(self, path: str) -> dict[str, Any]:
        threads = [threading.Thread(target=each) for each in (self._count, self._look, self._wait)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"status": "ok"}

    def _count(self) -> None:
        self._lock.acquire_write()
        try:
            self.data["counter"] += 1
        finally:
            self._lock.release_write()

    def _look(self) -> None:
        self._lock.acquire_read()
        try:
            self.data["counter"]
        finally:
            self._lock.release_read()


class SimpleService:
    """The same in line, without a lock: right where one request is handled at a time."""

    def __init__(self, wait: Callable[[], None] = lambda: time.sleep(SLEEP_S)) -> None:
        self._wait = wait
        self.data = {"counter": 0}

    def handle(self, path: str) -> dict[str, Any]:
        self.data["counter"] += 1
        self.data["counter"]
        self._wait()
        return {"status": "ok"}


class LockedApi:
    """Gets a value under the read side of a lock."""

    def __init__(self, data: dict[str, str]) -> None:
        self._lock = ReadWriteLock()
        self._data = data

    def get(self, key: str) -> str:
        self._lock.acquire_read()
        try:
            return self._data[key]
        finally:
            self._lock.release_read()

    def handle(self, path: str) -> dict[str, Any]:
        return {"value": self.get(path.strip("/"))}


class PlainApi:
    """Gets a value from a dictionary."""

    def __init__(self, data: dict[str, str]) -> None:
        self._data = data

    def get(self, key: str) -> str:
        return self._data[key]

    def handle(self, path: str) -> dict[str, Any]:
        return {"value": self.get(path.strip("/"))}


class Sessions:
    """Remembers sessions, and forgets old ones now and then beside the requests."""

    def __init__(self, *, lifetime_s: float = 60.0) -> None:
        self._lifetime_s = lifetime_s
        self._seen: dict[str, float] = {}
        self._mutex = threading.Lock()

    def handle(self, path: str) -> dict[str, Any]:
        with self._mutex:
            self._seen[path] = time.monotonic()
            return {"sessions": len(self._seen)}

    def clean(self) -> int:
        """Forget what is older than a lifetime; return how many went."""
        limit = time.monotonic() - self._lifetime_s
        with self._mutex:
            old = [path for path, seen in self._seen.items() if seen < limit]
            for path in old:
                del self._seen[path]
        return len(old)

    def clean_every(self, seconds: float, stop: threading.Event) -> None:
        """Run cleaning until ``stop`` is set: what a background thread does."""
        while not stop.wait(seconds):
            self.clean()


DATA = {str(key): f"value {key}" for key in range(100)}

fan_out = application(FanOutService())
simple = application(SimpleService())
locked_api = application(LockedApi(DATA))
plain_api = application(PlainApi(DATA))
sessions = application(Sessions())
