# SPDX-License-Identifier: MIT
"""One at a time. The lock goes with the processes that hold it, however they end: children that build inherit it, so it
lasts as long as the last of them.
"""
import fcntl
import os
import sys


class Lock:
    def __init__(self, folder, name, busy):
        self.path = os.path.join(folder, name)
        self.busy = busy
        self.file = None

    def __enter__(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        os.set_inheritable(self.file, True)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if self.busy:
                print(f"havoc: {self.busy}: waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(self.file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_):
        # By word, because a child that is still about to end has the file open.
        fcntl.flock(self.file, fcntl.LOCK_UN)
        os.close(self.file)
