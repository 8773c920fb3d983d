"""Processes that another one of the same host can look for: whether who holds something still runs."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path

import psutil


def is_alive(pid: int, started: float) -> bool:
    """Whether that very process of this host still runs (a reused number is another process)."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1.0
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def this_host() -> str:
    """What makes a process number comparable: host name, boot, and PID namespace (containers)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux: the minute of the boot is what there is
        boot, namespace = str(int(psutil.boot_time()) // 60), ""
    text = f"{platform.node()}|{boot}|{namespace}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def this_process() -> str:
    """A name that stands for this very process, of at most 48 characters; see `is_gone`."""
    return f"{this_host()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_gone(process: str) -> bool:
    """Whether the process that has this name was one of this host, and has ended.

    Of another host's processes, and of a name that is none, nobody can tell.
    """
    host, _, rest = process.partition(":")
    pid, _, started = rest.partition(":")
    try:
        return host == this_host() and not is_alive(int(pid), float(started))
    except ValueError:
        return False
