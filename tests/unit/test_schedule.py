"""Tokens: what is written is read back, and what is damaged is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_concur.model.schedule import Schedule, Segment, Token, TokenError, decode

SEGMENTS = st.builds(Segment, st.integers(0, 300), st.none() | st.integers(0, 10_000))
TOKENS = st.builds(
    Token,
    schedule=st.builds(
        Schedule,
        st.lists(SEGMENTS, max_size=40).map(tuple),
        st.lists(st.integers(0, 9), max_size=5).map(tuple),
    ),
    test=st.integers(0, 2**32 - 1),
    python=st.sampled_from([(3, 11), (3, 12), (3, 13)]),
    granularity=st.sampled_from(["access", "gil", "sync"]),
    timeouts=st.sampled_from(["last", "explore"]),
    is_sequential=st.booleans(),
    is_focused=st.booleans(),
    sites=st.lists(st.integers(0, 2**16 - 1), max_size=10).map(tuple),
)


@given(TOKENS)
def test_token_round_trip(token):
    """Decoding an encoded token gives the token."""
    assert decode(token.encode()) == token


@given(TOKENS, st.data())
def test_token_cut_short_is_refused(token, data):
    """A token without its end is refused; the checksum misses one in 2**24."""
    text = token.encode()
    end = data.draw(st.integers(0, len(text) - 1))

    with pytest.raises(TokenError):
        decode(text[:end])


def test_a_simple_failure_fits_a_line():
    """Two preemptions make a token of fewer than 60 characters."""
    segments = (Segment(0, None), Segment(1, 3), Segment(2, None), Segment(1, None), Segment(0, None))
    token = Token(Schedule(segments), 7, (3, 13), "access", "last", False, False, False, (1,))

    assert len(token.encode()) < 60


def test_fewer_preemptions_are_simpler():
    """Preemptions come before switches, switches before points."""
    one = Schedule((Segment(1, 500), Segment(2, None), Segment(1, None)))
    two = Schedule((Segment(1, 0), Segment(2, 0)))

    assert one.sort_key < two.sort_key
