"""A suite file as raw data: reading TOML, `--set`, and collecting what is wrong with it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ganbench.errors import BadInput, Problem
from ganbench.text import printable

RawValue: TypeAlias = Any
"""A value as TOML has it: number, text, flag, date, list or table."""
RawTable: TypeAlias = dict[str, RawValue]

_LARGEST_FILE = 10_000_000  # bytes


class Problems:
    """Collects problems. Each is reported once; one below an overridden path names the override."""

    def __init__(self) -> None:
        # a dict as an ordered set: problems appear in the order they were found, once each
        self.found: dict[Problem, None] = {}
        self.renamed: dict[str, str] = {}
        self._places: set[str] = set()

    def add(self, where: str, what: str) -> None:
        """Record that `what` is wrong at `where`."""
        self._places.add(where)
        for path, shown in self.renamed.items():
            if where == path:
                where = shown
            elif where.startswith(path + "."):
                where = f"{shown}: {where}"
        self.found[Problem(printable(where), what)] = None

    def extend(self, problems: Iterable[Problem]) -> None:
        """Record several problems."""
        for problem in problems:
            self.add(problem.where, problem.what)

    def below(self, where: str) -> bool:
        """Whether there is one at `where` or below it."""
        return any(place == where or place.startswith(where + ".") for place in self._places)

    def check(self, causes: Iterable[str] = ()) -> None:
        """Raise BadInput if there are any problems. Possible causes come first."""
        if self.found:
            raise BadInput([*(Problem("", cause) for cause in dict.fromkeys(causes)), *self.found])


@dataclass(frozen=True)
class SuiteFile:
    """A suite file that was read and parsed, but not checked.

    Arguments:
        raw: the document. Loading the suite puts the values of the command line into it.
    """

    path: Path
    raw: RawTable

    @property
    def plugins(self) -> list[Path]:
        """The single-file plugins that it names, needed before it can be loaded."""
        names = self.raw.get("plugins", [])
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            return []  # loading the suite reports it
        return [self.path.parent / name for name in names]


def items_of(value: RawValue) -> Iterable[tuple[object, RawValue]]:
    """The entries of a table by key, or of a list by index; nothing for other values."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def read(path: Path | str) -> SuiteFile:
    """Read and parse a suite file."""
    return SuiteFile(Path(path), _raw(Path(path)))


def _raw(path: Path) -> RawTable:
    """The raw document. Whatever is wrong with the file becomes BadInput."""
    where = printable(str(path))
    try:
        # before reading: a named pipe would block for ever
        if path.exists() and not path.is_file():
            kind = "a directory" if path.is_dir() else "not a regular file"
            raise BadInput(Problem(where, f"is {kind}; a suite is a TOML file"))
        if path.exists() and path.stat().st_size > _LARGEST_FILE:
            raise BadInput(Problem(where, "is too large to be a suite (more than 10 MB)"))
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(Problem(where, "there is no such file")) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(Problem(where, f"cannot be read: {reason}")) from None
    return _parse(content, where)


def _parse(content: bytes, where: str) -> RawTable:
    if b"\0" in content:
        raise BadInput(Problem(where, "is a binary file; a suite is a TOML file"))
    if not content.strip():
        raise BadInput(Problem(where, "is empty; a suite begins with schema = 1"))
    try:
        # -sig: editors on Windows begin a file with a byte-order mark
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadInput(Problem(where, f"is not UTF-8 (at line {line})")) from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(Problem(where, f"is not TOML: {printable(str(error))}")) from None
    # ValueError also comes from integers of more than 4,300 digits
    except (ValueError, RecursionError) as error:
        what = "is nested too deeply" if isinstance(error, RecursionError) else f"is not TOML: {error}"
        raise BadInput(Problem(where, what)) from None


def override(document: RawTable, text: str) -> str:
    """Apply `path=value` to the raw document; return the path. BadInput where it cannot be."""
    shown = f"--set {text}"
    path, equals, value = text.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        raise BadInput(Problem(shown, "must look like defaults.steps=100 or verdict.modes_ratio=0.5"))
    place: RawValue = document
    for depth, key in enumerate(keys):
        index: str | int = key
        if isinstance(place, list):
            # int() of a very long text raises; eight digits are more than any list has
            index = int(key) if key.isdecimal() and len(key) < 9 else -1
            if not 0 <= index < len(place):
                raise BadInput(Problem(shown, f"{key!r} is not one of the {len(place)} entries there"))
        elif not isinstance(place, dict):
            raise BadInput(Problem(shown, f"{'.'.join(keys[:depth])} is not a table"))
        if depth == len(keys) - 1:
            place[index] = toml_value(value)
        else:
            place = place.setdefault(index, {}) if isinstance(place, dict) else place[index]
    return ".".join(keys)


def toml_value(text: str) -> RawValue:
    """A TOML value, or else the bare string (so that `--set defaults.loss=hinge` needs no quotes)."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    # text with a line break could define further keys
    return parsed["value"] if set(parsed) == {"value"} else text.strip()
