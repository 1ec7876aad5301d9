"""The last of 27 threads has an inode number beyond the number of blocks, to which the assertion limits it."""

import threading
from functools import partial

import pytest

BLOCKS = 26
INODES = 32
THREADS = 27
TRIES = 13


@pytest.mark.concurrency
def test_fsbench(concur):
    inode_locks = [threading.Lock() for _ in range(INODES)]
    block_locks = [threading.Lock() for _ in range(BLOCKS)]
    inodes, busy = [0] * INODES, [False] * BLOCKS

    def create(i, inode_lock):
        assert i < BLOCKS
        with inode_lock:
            if inodes[i] == 0:
                block = (2 * i) % BLOCKS
                for _ in range(TRIES):
                    with block_locks[block]:
                        if not busy[block]:
                            busy[block] = True
                            inodes[i] = block + 1
                            break
                    block = (block + 1) % BLOCKS

    concur.run(*[partial(create, thread % INODES, inode_locks[thread % INODES]) for thread in range(THREADS)])
