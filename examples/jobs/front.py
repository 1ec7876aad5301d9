"""The front of the queue: a request becomes a job, 202 if the broker took it, 500 if not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from broker import Broker, BrokerGone


class Front:
    """A WSGI application that publishes the body of each request as a job."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        status, answer = self.take(environ["wsgi.input"].read(length))
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def take(self, body: bytes) -> tuple[str, dict[str, str]]:
        """Publish a request's body; return status and answer."""
        job = {"id": uuid.uuid4().hex, **json.loads(body)}
        try:
            self._broker.publish(job)
        except BrokerGone as error:
            return "500 Internal Server Error", {"error": str(error)}
        return "202 Accepted", {"status": "queued", "id": job["id"]}
