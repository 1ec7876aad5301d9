"""Each task finds in a `threading.local` what it stored there, and nobody else finds anything."""

import threading

import pytest


@pytest.mark.concurrency
def test_thread_local(concur):
    context = threading.local()

    def greet(name):
        context.user = name
        return f"hello {context.user}"

    greetings = concur.run(lambda: greet("ann"), lambda: greet("bob"))

    assert greetings == ["hello ann", "hello bob"]
    assert not hasattr(context, "user")
