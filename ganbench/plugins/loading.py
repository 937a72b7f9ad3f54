"""Loading one plugin: how long it took, what it printed, and whether it was written for this plugin API."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, TextIO, cast

from ganbench._version import __version__
from ganbench.hookspecs import API_VERSION
from ganbench.plugins.author_errors import Unfit

SLOW = 2.0
"""Seconds of loading above which a plugin is reported as slow: every command waits for it."""
LIMIT = 60.0
"""Seconds after which loading a plugin is given up, where that can be: in the main thread, not on Windows."""
VERSION = "ganbench_api"
"""The name of the global by which a plugin states its version of the API."""


class TooSlow(BaseException):
    """Loading took longer than LIMIT. Not an Exception: `except Exception` in a plugin must not catch it."""


@dataclass
class Loading:
    """How loading a plugin went.

    Arguments:
        seconds: it took, with all that it imports first.
        printed: what it wrote to standard output; it went to standard error.
    """

    seconds: float = 0.0
    printed: str = ""

    @property
    def slow(self) -> bool:
        """Whether it took so long that users should know."""
        return self.seconds > SLOW


class _Diverted:
    """Standard error in the place of standard output. A plugin may keep it, in a log handler say."""

    def __init__(self, loading: Loading) -> None:
        self.loading: Loading | None = loading

    def write(self, text: str) -> int:
        """Write, and remember while the plugin is being loaded."""
        if self.loading:
            self.loading.printed += text
        return sys.stderr.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


@contextmanager
def loaded() -> Iterator[Loading]:
    """Around the loading of a plugin: fills in a Loading, and raises TooSlow where it never ends."""
    loading, began = Loading(), time.perf_counter()
    diverted = _Diverted(loading)
    try:
        with contextlib.redirect_stdout(cast(TextIO, diverted)), _limited(LIMIT):
            yield loading
    finally:
        # a plugin may keep the stream: what it prints later is not part of loading
        diverted.loading = None
        loading.seconds = time.perf_counter() - began


def check_version(plugin: object) -> None:
    """Raise Unfit where a plugin says that it was written for another API."""
    refuse_other_version(getattr(plugin, VERSION, API_VERSION))


def check_version_of_raised(error: BaseException) -> None:
    """The same of a module that raised while it was imported, if it had said its version by then."""
    trace = error.__traceback__
    # each frame belongs to a module that was being imported, the plugin's among them
    while trace:
        refuse_other_version(trace.tb_frame.f_globals.get(VERSION, API_VERSION))
        trace = trace.tb_next


def refuse_other_version(wanted: object) -> None:
    """Raise Unfit where `wanted` is not a version of the API that this ganbench has."""
    # True is an int, and would pass for version 1
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        reason = f"{VERSION} is {wanted!r}: it names a version of the plugin API, such as {API_VERSION}"
        raise Unfit(reason, f"write `{VERSION} = {API_VERSION}`")
    if wanted > API_VERSION:
        fix = "upgrade ganbench, or install an older version of the plugin"
        reason = f"it needs plugin API {wanted}, and ganbench {__version__} has {API_VERSION}: {fix}"
        raise Unfit(reason, "upgrade ganbench, or write it for the version of the API that is installed")


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise TooSlow after that many seconds. A timer that runs already goes on afterwards."""
    # Windows has no interval timers, and signals reach the main thread alone
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TooSlow(f"it was still being imported after {seconds:g} s")

    began, handler = time.monotonic(), signal.signal(signal.SIGALRM, stop)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            # 0 would switch the other timer off
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - began)))
