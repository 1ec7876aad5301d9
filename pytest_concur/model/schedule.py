"""A schedule: the decisions of one run, in a form that replays, and its printable token.

A run is a sequence of *segments*: a task runs for so many scheduling points and is then switched away, or runs until it
blocks or ends. Together with the answers given to ``concur.choose`` this determines a run completely.
A ``Schedule`` replays; it does not explain (that is what a ``ScheduleTrace`` is for).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

TOKEN_PREFIX = "c1"
UNTIL_BLOCKED = None


class Segment(NamedTuple):
    """One task running without being switched away."""

    task: int
    """Index of the task in order of creation; the test's own body is 0."""

    points: int | None
    """Scheduling points passed before the task was switched away; ``None``: it ran until it blocked or ended."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All decisions of one run, in order."""

    segments: tuple[Segment, ...]
    choices: tuple[int, ...] = ()
    """Indexes answered to ``concur.choose``, in order."""

    @property
    def preemptions(self) -> int:
        """Switches away from a task that could have gone on."""
        return sum(segment.points is not None for segment in self.segments)

    @property
    def sort_key(self) -> tuple[int, int, int]:
        """Smaller is simpler: preemptions, then switches, then points before the preemptions."""
        return self.preemptions, len(self.segments), sum(segment.points or 0 for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Executed:
    """A schedule as it was run."""

    schedule: Schedule
    passed: tuple[int, ...]
    """For each segment the scheduling points it passed, also where it ran until it blocked."""


@dataclass(frozen=True, slots=True)
class Token:
    """A schedule made portable: enough to run it again elsewhere and to notice that it no longer fits."""

    schedule: Schedule
    test: int
    """Digest of the node id, 32 bits."""

    python: tuple[int, int]
    """Minor version of CPython: the points of a schedule are counted in its bytecode."""

    granularity: str
    timeouts: str
    is_sequential: bool
    """The run was one of the sequential ones: a sleeping task went on."""

    is_focused: bool
    """Points that touch only what one task uses were left out."""

    is_witnessed: bool
    """It failed no run: a witness has seen a data race or locks in opposite orders."""

    sites: tuple[int, ...]
    """For each preempted segment, in order, 16 bits of a digest of where the task was switched away."""

    def encode(self) -> str:
        """Return one printable line: ``c1`` and URL-safe base64 of the packed fields and their checksum."""
        numbers = [
            self.python[1],
            GRANULARITIES.index(self.granularity),
            TIMEOUTS.index(self.timeouts) + 2 * self.is_sequential + 4 * self.is_focused + 8 * self.is_witnessed,
            len(self.schedule.segments),
            *(number for segment in self.schedule.segments for number in _pack_segment(segment)),
            len(self.schedule.choices),
            *self.schedule.choices,
        ]
        body = self.test.to_bytes(4, "big") + _varints(numbers) + b"".join(s.to_bytes(2, "big") for s in self.sites)
        packed = zlib.compress(body, 9)
        payload = b"\1" + packed if len(packed) < len(body) else b"\0" + body
        checked = payload + binascii.crc32(payload).to_bytes(4, "big")[:3]
        return TOKEN_PREFIX + base64.urlsafe_b64encode(checked).decode().rstrip("=")


GRANULARITIES = ("access", "gil", "sync")
TIMEOUTS = ("last", "explore")


class TokenError(ValueError):
    """The text is not a token this version can read; the message says why."""


def decode(text: str) -> Token:
    """Read what :meth:`Token.encode` wrote.

    Raises:
        TokenError: not a token, damaged, cut short, or of a later version.
    """
    text = text.strip()
    if not text.startswith(TOKEN_PREFIX):
        raise TokenError(f"it does not start with {TOKEN_PREFIX!r}")
    try:
        raw = text[len(TOKEN_PREFIX) :]
        checked = base64.b64decode(raw + "=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise TokenError("it has characters or a length that no token has") from None
    payload, check = checked[:-3], checked[-3:]
    if len(payload) < 2 or binascii.crc32(payload).to_bytes(4, "big")[:3] != check:
        raise TokenError("its checksum does not match: it was cut short or changed")
    try:
        body = zlib.decompress(payload[1:]) if payload[0] == 1 else payload[1:]
        return _unpack(body)
    except (IndexError, zlib.error) as error:
        raise TokenError(f"its content is not understood ({error})") from None


def _unpack(body: bytes) -> Token:
    reader = _VarintReader(body, 4)
    minor, granularity, timeouts = reader.read(), reader.read(), reader.read()
    segments = tuple(_unpack_segment(reader.read(), reader.read()) for _ in range(reader.read()))
    choices = tuple(reader.read() for _ in range(reader.read()))
    rest = body[reader.position :]
    sites = tuple(int.from_bytes(rest[i : i + 2], "big") for i in range(0, len(rest), 2))
    return Token(
        schedule=Schedule(segments, choices),
        test=int.from_bytes(body[:4], "big"),
        python=(3, minor),
        granularity=GRANULARITIES[granularity],
        timeouts=TIMEOUTS[timeouts % 2],
        is_sequential=bool(timeouts & 2),
        is_focused=bool(timeouts & 4),
        is_witnessed=bool(timeouts & 8),
        sites=sites,
    )


def digest(text: str, bits: int = 32) -> int:
    """A short stable hash, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=bits // 8).digest(), "big")


def _pack_segment(segment: Segment) -> tuple[int, int]:
    return segment.task, 0 if segment.points is None else segment.points + 1


def _unpack_segment(task: int, points: int) -> Segment:
    return Segment(task, None if points == 0 else points - 1)


def _varints(numbers: Iterable[int]) -> bytes:
    out = bytearray()
    for number in numbers:
        while number > 0x7F:
            out.append(number & 0x7F | 0x80)
            number >>= 7
        out.append(number)
    return bytes(out)


class _VarintReader:
    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self.position = position

    def read(self) -> int:
        number = shift = 0
        while True:
            byte = self._data[self.position]
            self.position += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number
