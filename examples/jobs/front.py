"""The front of the queue: a request becomes a job, 202 if the broker took it, 500 if not. Beside it one with no queue.

``front:queueing()`` and ``front:in_line()`` are for a server; they find folder and queue in the environment.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import worker
from broker import Broker, BrokerGone

FOLDER, QUEUE = "CONCUR_EXAMPLES_FOLDER", "CONCUR_EXAMPLES_QUEUE"


class Application:
    """A WSGI application that makes a job of the body of each request."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        status, answer = self.take(environ["wsgi.input"].read(length))
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def take(self, body: bytes) -> tuple[str, dict[str, str]]:
        """Return status and answer."""
        return self.do({"id": uuid.uuid4().hex, **json.loads(body)})

    def do(self, job: dict[str, Any]) -> tuple[str, dict[str, str]]:
        raise NotImplementedError


class Front(Application):
    """Jobs are published."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def do(self, job: dict[str, Any]) -> tuple[str, dict[str, str]]:
        try:
            self._broker.publish(job)
        except BrokerGone as error:
            return "500 Internal Server Error", {"error": str(error)}
        return "202 Accepted", {"status": "queued", "id": job["id"]}


class InLine(Application):
    """Jobs are done while the request waits."""

    def __init__(self, results: Path) -> None:
        self._results = results

    def do(self, job: dict[str, Any]) -> tuple[str, dict[str, str]]:
        worker.process(job, self._results)
        return "200 OK", {"status": "done", "id": job["id"]}


def queueing() -> Application:
    return Front(Broker(Path(os.environ[FOLDER]), os.environ[QUEUE]))


def in_line() -> Application:
    return InLine(Path(os.environ[FOLDER]) / "results")
