"""Tasks started one by one, with arguments, hand back their own results."""

import pytest


@pytest.mark.concurrency
def test_started_tasks(concur):
    finished = set()

    def greet(name, *, mark="!"):
        finished.add(name)
        return name + mark

    ann = concur.start(greet, "ann")
    bob = concur.start(greet, "bob", mark="?")
    bob.join()

    assert "bob" in finished
    assert [ann.result(), bob.result()] == ["ann!", "bob?"]
