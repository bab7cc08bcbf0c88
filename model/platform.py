"""The only place with calls that exist on some operating systems and not on others."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LIVE_PRIORITY = 5


def keep_freed_memory() -> None:
    """Let glibc keep big freed blocks instead of returning them to the kernel.

    Every big array otherwise costs a page fault per 4 KiB each time it is made, which is most of the
    time of a short-time Fourier transform. Called by programs, never by the library for its users;
    does nothing where the C library is not glibc.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def die_with_parent(parent_pid: int | None = None) -> None:
    """Ask the kernel to kill this process when the one that started it dies (Linux).

    The kernel means the thread that started it: a child of a short-lived thread dies with that thread.
    With the parent's process id, ends at once where that parent is gone already (all but Windows).
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent_pid is not None and os.name == "posix" and os.getppid() != parent_pid:
        os._exit(1)


_keep_handler: Any = None


def survive_x_errors() -> None:
    """Let the windows of plug-ins go on after an X11 error.

    Xlib's own handler ends the process at the first error, even a harmless one such as a question about
    a window that is gone; hosts that show plug-ins replace it. Does nothing without X11.
    """
    global _keep_handler
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        _keep_handler = kind(lambda _display, _event: 0)  # Xlib keeps only the address
        ctypes.CDLL("libX11.so.6").XSetErrorHandler(_keep_handler)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable where the system has such a call."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold an exclusive lock on a file between processes; yields False if `wait` is off and it is taken.

    The lock goes with the process, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as handle:
        take, drop = _lock_calls(handle.fileno())
        try:
            take(wait)
        except OSError:
            if wait:
                raise
            yield False
            return
        try:
            yield True
        finally:
            drop()


def _lock_calls(descriptor: int) -> tuple[Callable[[bool], None], Callable[[], None]]:
    if sys.platform == "win32":
        import msvcrt

        def take(wait: bool) -> None:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

        def drop() -> None:
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        def take(wait: bool) -> None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

        def drop() -> None:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    return take, drop


def user() -> str:
    """Something that tells this system's users apart."""
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")


def free_memory() -> int | None:
    """Bytes of memory that can be had now, or None where the system does not say."""
    if sys.platform == "linux":
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def resident_memory(pid: int) -> int | None:
    """Bytes of memory that a process and the children it has hold, or None where that cannot be told."""
    if sys.platform != "linux":
        return None
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children")
        below = children.read_text().split() if children.exists() else []
    except (OSError, ValueError, IndexError):  # it has just ended
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident_memory(int(child)) or 0 for child in below)


def total_memory() -> int | None:
    """Bytes of memory that this machine has, or None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def give_way() -> None:
    """Let other work go before the calling thread's, for good; does nothing where none can (Linux can)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def hurry() -> bool:
    """Let the calling thread, and threads it starts, go before other work; whether that is allowed here.

    On Linux the lowest real-time priority, as audio servers give their clients (it needs `rtprio`, or
    `CAP_SYS_NICE`), else a better niceness.
    """
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_LIVE_PRIORITY))
        return True
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -10)
        return True
    return False


class SharedMemory:
    """Memory that this process and a child it starts both see; it has no name that could be left behind."""

    def __init__(self, size: int, token: str | None = None) -> None:
        """Make `size` bytes of zeros; with the `token` of the one who made them, look at the same bytes."""
        self.options: dict[str, Any] = {}
        """What `subprocess.Popen` needs for the child to be able to attach."""
        if sys.platform == "win32":
            self.token = token or f"stembridge-{os.getpid()}-{id(self)}"
            self.buffer = mmap.mmap(-1, size, tagname=self.token)
            return
        if token is not None:
            self.token = token
            self.buffer = mmap.mmap(int(token), size)
            return
        ram = Path("/dev/shm")
        self._file = tempfile.TemporaryFile(dir=ram if os.access(ram, os.W_OK) else None)  # noqa: SIM115
        self._file.truncate(size)
        self.token = str(self._file.fileno())
        self.options["pass_fds"] = (self._file.fileno(),)
        self.buffer = mmap.mmap(self._file.fileno(), size)

    def close(self) -> None:
        """Let go of it; arrays that look at the buffer keep it alive until they go."""
        if hasattr(self, "_file"):
            self._file.close()
        with contextlib.suppress(BufferError):
            self.buffer.close()


def restore_float_environment() -> None:
    """Let this thread compute with subnormal numbers again (Linux).

    A plug-in that was built with fast maths switches them off for the whole thread when it is loaded, and
    what is computed afterwards, networks too, is no longer what it would have been without it.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        libm = ctypes.CDLL("libm.so.6")
        libm.fesetenv(ctypes.c_void_p(-1))  # FE_DFL_ENV of glibc
