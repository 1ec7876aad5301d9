"""A shared object used as if it were local to the thread gives a task another one's value."""

from types import SimpleNamespace

import pytest


@pytest.mark.concurrency
def test_thread_local(concur):
    context = SimpleNamespace()

    def greet(name):
        context.user = name
        return f"hello {context.user}"

    greetings = concur.run(lambda: greet("ann"), lambda: greet("bob"))

    assert greetings == ["hello ann", "hello bob"]
