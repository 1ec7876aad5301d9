"""Run a WSGI application in a real server on loopback, and talk to it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import urllib3

START_S = 20.0

Kind = Literal["single-threaded", "threaded", "waitress"]
"""gunicorn's ``sync`` worker, its ``gthread`` worker, waitress."""


class Client:
    """A real HTTP client with connections that are kept."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._pool = urllib3.PoolManager(maxsize=64, retries=False, timeout=30)

    def get(self, path: str = "/") -> urllib3.BaseHTTPResponse:
        return self._pool.request("GET", self._base + path)

    def post(self, path: str, body: bytes) -> urllib3.BaseHTTPResponse:
        return self._pool.request("POST", self._base + path, body=body)


@contextmanager
def serve(application: str, folder: Path, *, kind: Kind, instances: int = 1, threads: int = 8) -> Iterator[Client]:
    """Serve ``module:name`` of a folder until the block ends.

    Args:
        application: The WSGI callable.
        folder: Where the module is.
        kind: The server.
        instances: So many processes behind nginx if that is installed; else processes that share the port.
        threads: Of each process, where the server has threads.
    """
    with ExitStack() as stack:
        if instances > 1 and shutil.which("nginx") is not None and kind != "waitress":
            ports = [stack.enter_context(_server(application, folder, kind, 1, threads)) for _ in range(instances)]
            port = stack.enter_context(_balancer(ports))
        else:
            port = stack.enter_context(_server(application, folder, kind, instances, threads))
        yield Client(f"http://127.0.0.1:{port}")


@contextmanager
def _server(application: str, folder: Path, kind: Kind, instances: int, threads: int) -> Iterator[int]:
    port = _free_port()
    if kind == "waitress":
        command = ["waitress", f"--listen=127.0.0.1:{port}", f"--threads={threads}", application]
    else:
        workers = ["-k", "sync"] if kind == "single-threaded" else ["-k", "gthread", "--threads", str(threads)]
        command = ["gunicorn", *workers, "-w", str(instances), "-b", f"127.0.0.1:{port}", "--log-level", "error",
                   "--worker-tmp-dir", "/dev/shm" if Path("/dev/shm").is_dir() else ".", application]  # fmt: skip
    with _process([sys.executable, "-m", *command], folder, port):
        yield port


NGINX = """
daemon off;
pid {folder}/pid;
error_log stderr error;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream instances {{ least_conn; {servers} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://instances; proxy_http_version 1.1; }}
    }}
}}
"""


@contextmanager
def _balancer(ports: Sequence[int]) -> Iterator[int]:
    """Run nginx in front of servers on these ports."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        servers = " ".join(f"server 127.0.0.1:{each};" for each in ports)
        (Path(folder) / "nginx.conf").write_text(NGINX.format(folder=folder, servers=servers, port=port))
        with _process(["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"], Path(folder), port):
            yield port


@contextmanager
def _process(command: Sequence[str], folder: Path, port: int) -> Iterator[None]:
    """Run a server until the block ends; it begins when the port answers."""
    process = subprocess.Popen(command, cwd=folder)
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with exit code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the server did not listen on port {port} within {START_S:g} s")
