"""What a job does so that its memory stays the same, however long it runs."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

# `malloc_info` says which arenas there are.
_PROGRAM = """
import ctypes, threading, time
from batch_jobs.memory import share_arenas

def arenas():
    c, text, size = ctypes.CDLL(None), ctypes.c_char_p(), ctypes.c_size_t()
    c.open_memstream.restype = ctypes.c_void_p
    file = ctypes.c_void_p(c.open_memstream(ctypes.byref(text), ctypes.byref(size)))
    c.malloc_info(0, file)
    c.fclose(file)
    return text.value.count(b"<heap nr")

def work():
    [bytes(n) for n in range(1000)]
    time.sleep(0.5)

share_arenas(3)
import mlflow, numpy, xgboost
threads = [threading.Thread(target=work) for _ in range(12)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(arenas())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="another C library than glibc")
def test_threads_share_what_the_allocator_keeps() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert 1 < int(done.stdout) <= 3, "arenas of twelve threads; three were allowed"
