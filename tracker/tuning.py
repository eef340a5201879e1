"""How the interpreter, the allocator and the threads of this process are set up; every figure was measured.

Nothing here changes what is computed. Where the system knows no such setting, it is left alone.
"""

import ctypes
import gc
import os
import sys
import threading

SWITCH_SECONDS = 0.0005
"""How long a thread waits for the interpreter while another computes; by default a commit waits 5 ms."""

GC_THRESHOLDS = (50_000, 20, 50)
"""Events leave no cycles behind; with the default of 700 the collector looks at each of them in vain."""

TRIM_BYTES = 32 * 2**20
MMAP_BYTES = 4 * 2**20
"""glibc gives memory back from 128 KiB on and takes it again for the next request, at a page fault for every
4 KiB: encoding a row that is kept took 5 µs instead of 1. Large blocks still go back at once."""

BACKGROUND_NICENESS = 10
"""About a tenth of the share of a thread at 0 when both want the same core; without a rival all of it."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def tune() -> None:
    """Set the process up for many short-lived values beside threads that are in a hurry."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, TRIM_BYTES)
        mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def stay_in_background() -> None:
    """Let others go first from now on, for the calling thread alone: accepting goes before delivering."""
    if sys.platform == "linux":  # elsewhere niceness is the whole process's
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICENESS)
