"""Exceptions as plugin authors see them: the frames of their own files, and how to fix the error."""

from __future__ import annotations

import importlib
import os
import traceback
from pathlib import Path

import pluggy

from ganbench._version import CORE
from ganbench.errors import BadInput

HINTS = {
    "torch": "import torch",
    "nn": "from torch import nn",
    "F": "from torch.nn import functional as F",
    "Tensor": "from torch import Tensor",
    "np": "import numpy as np",
    "math": "import math",
    "dataclass": "from dataclasses import dataclass",
    "ClassVar": "from typing import ClassVar",
    "ganbench": "import ganbench",
}
"""A name that authors forget to import -> how it is imported."""
RAISED = "correct the code that raised it"
# what lies between an author's frames when a plugin is loaded: pluggy and importlib call it
_FOLDERS = (CORE, Path(pluggy.__file__).parent, Path(importlib.__file__).parent)
_MACHINERY = tuple(f"{folder}{os.sep}" for folder in _FOLDERS)


class Unfit(BadInput):
    """A plugin returns something unusable: what is wrong, and how to fix it."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.fix = fix


def fix_of(error: BaseException) -> str:
    """How to fix an exception: by the import that was forgotten, or RAISED."""
    if isinstance(error, NameError) and error.name in HINTS:
        return f"did you forget `{HINTS[error.name]}`?"
    return RAISED


def trace_of(error: BaseException) -> str:
    """The traceback, of the author's files alone; empty where none of them raised."""
    report = traceback.TracebackException.from_exception(error)
    frames = own_frames(report.stack)
    # a file that cannot be parsed has no frame of its own, but the error shows its line
    if not frames and not isinstance(error, SyntaxError):
        return ""
    if not frames:
        return "".join(report.format_exception_only())
    report.stack = traceback.StackSummary.from_list(frames)
    # causes would bring back the frames of the core
    report.__cause__ = report.__context__ = None
    return "".join(report.format())


def own_frames(stack: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """The frames of the file that was entered first, and of files in its folder and below."""
    # frozen importlib has no path, but names such as <frozen importlib._bootstrap>
    outside = [frame for frame in stack if not frame.filename.startswith(("<frozen", *_MACHINERY))]
    if not outside:
        return []
    home = Path(outside[0].filename).parent
    return [frame for frame in outside if _below(Path(frame.filename), home)]


def _below(file: Path, home: Path) -> bool:
    """Whether a file lies in a folder, but not among the packages that are installed there."""
    # a single-module distribution lies among all the others: only its own file counts
    if home.name == "site-packages":
        return file.parent == home
    return file.is_relative_to(home) and "site-packages" not in file.relative_to(home).parts
