"""Who is about to wait for a socket gives the turn away, if that is known to take long and there is nothing to read."""

from __future__ import annotations

import select
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from pytest_concur.engine.frames import place_of
from pytest_concur.engine.outside import Behind
from pytest_concur.engine.receiving import Receiving


class Run:
    """As much of a run as receiving knows of."""

    def __init__(self) -> None:
        self.known_places: dict[str, float] = {}
        self.gone: list[tuple[str, str]] = []

    def waits_outside(self, what: str, where: str) -> None:
        self.gone.append((what, where))


@pytest.fixture
def run() -> Run:
    return Run()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    here.settimeout(0.001)
    with here, there:
        yield here, there


def know(run: Run, frame: FrameType, *, is_known: bool = True, patience: float = 0.0) -> None:
    """Note that somebody was blocked where ``frame`` stands, or elsewhere."""
    run.known_places = {str(place_of(frame)) if is_known else "elsewhere": patience}


def load(run: Run, method: Any, **known: Any) -> Any:
    """Load a socket's method as rewritten code does."""
    hook = Receiving(lambda: run).from_socket  # type: ignore[arg-type, return-value]
    return know(run, sys._getframe(), **known) or hook(method)


def test_an_empty_socket_is_waited_for_without_the_turn(run, ends):
    receive = load(run, ends[0].recv)

    with pytest.raises(TimeoutError):
        receive(1)

    assert run.gone == [("return know(run, sys._getframe(), **known) or hook(method)", *run.known_places)]


def test_what_has_come_is_read_with_the_turn(run, ends):
    ends[1].send(b"x")

    assert load(run, ends[0].recv)(1) == b"x"
    assert run.gone == []


def test_an_answer_from_outside_is_given_some_time(run, ends):
    answer = threading.Timer(0.05, ends[1].send, [b"x"])
    answer.start()

    assert load(run, ends[0].recv, patience=30.0)(1) == b"x"
    assert run.gone == []
    answer.join()


@pytest.mark.parametrize("is_known", [True, False])
def test_only_known_places_are_asked_about(run, ends, is_known):
    method = load(run, ends[0].recv, is_known=is_known)

    assert (type(method) is Behind) is is_known
    assert (method, method.__name__) == (ends[0].recv, "recv")
    assert {method: "found"}[ends[0].recv] == "found"


def test_who_does_not_wait_keeps_the_turn(run, ends):
    ends[0].setblocking(False)

    assert load(run, ends[0].recv) == ends[0].recv


def test_a_closed_socket_says_so_itself(run, ends):
    ends[0].close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        load(run, ends[0].recv)(1)
    assert run.gone == []


def test_what_only_looks_like_a_socket_is_left_alone(run):
    pipe = SimpleNamespace(recv=lambda: "as written")

    assert load(run, pipe.recv) is pipe.recv


@pytest.mark.skipif(not hasattr(select, "poll"), reason="the system has no poll")
@pytest.mark.parametrize(("timeout", "gone"), [(None, 1), (5, 1), (0, 0)])
def test_selectors_give_the_turn_away_if_they_wait(run, timeout, gone):
    def wait(poll: Any, timeout: int | None) -> Any:
        hook = Receiving(lambda: run).from_any  # type: ignore[arg-type, return-value]
        return know(run, sys._getframe()) or hook(poll)

    wait(select.poll().poll, timeout)(0)

    assert len(run.gone) == gone
