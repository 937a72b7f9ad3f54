"""Pickles read as data: whatever they name is replaced by an inert object, so nothing in them can run."""

from __future__ import annotations

import io
import pickle  # noqa: TID251  only its reader of opcodes, and that can neither import nor call anything here
from typing import Any


class Inert:
    """Stands for anything but numbers, texts, lists, tuples and dictionaries, and keeps what made it.

    Arguments:
        args: what the constructor got.
    """

    state: Any = None
    """What the object was filled with afterwards."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Every name, of a harmless class or of os.system, is an inert object."""
        return Inert


def read_inert(content: bytes) -> Any:
    """What a pickle holds; byte strings of Python 2 as bytes. ValueError if it is none."""
    try:
        return _Reader(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # damaged opcodes fail in whatever way they come to fail
        raise ValueError(f"it is no pickle of plain data ({error})") from None
