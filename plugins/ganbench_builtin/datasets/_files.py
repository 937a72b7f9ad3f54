"""Files of data: where they lie, downloading them, and what is said of damaged ones.

Several processes may want a file at the same time: it is written whole, and checked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen
from uuid import uuid4

from platformdirs import user_cache_path

from ganbench import BadInput, Problem

_SECONDS = 20  # without a word from the other side


@dataclass(frozen=True)
class Remote:
    """A file that can be downloaded.

    Arguments:
        name: of the file, wherever it is put.
        urls: addresses, tried in order.
        md5: of its content, hexadecimal.
    """

    name: str
    urls: tuple[str, ...]
    md5: str


def data_folder(option: str, root: Path | None) -> Path:
    """The folder of data: what the option `root` names, or else `root`, or else one of the user's cache."""
    return Path(option).expanduser() if option else root or user_cache_path("ganbench") / "data"


def fetch(dataset: str, folder: Path, remotes: Sequence[Remote]) -> None:
    """Download the missing files of a data set into `folder`. BadInput, saying where to put them, if not."""
    try:
        for remote in remotes:
            download(remote.urls, folder / remote.name, "md5", remote.md5)
    except OSError as error:
        missing = ", ".join(remote.name for remote in remotes)
        reason = (
            f"the files are not there and cannot be downloaded ({error}): place {missing} in {folder}, "
            "or name another folder of data by the option root or by GANBENCH_DATA"
        )
        raise BadInput(Problem(dataset, reason)) from None


def damaged(path: Path, reason: object) -> BadInput:
    """What is said of a file that cannot be read, or does not hold what it should."""
    return BadInput(Problem(str(path), f"the file cannot be used: {reason}; replace it by a fresh copy"))


def write_whole(path: Path, content: bytes) -> None:
    """`path` appears with all of `content` or not at all, also when two processes write it."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def download(urls: Sequence[str], path: Path, algorithm: str, checksum: str) -> None:
    """The first of `urls` that answers with the right file, into `path`. OSError if none does.

    Arguments:
        algorithm: of hashlib, such as "sha256".
        checksum: how the hexadecimal digest of the file starts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    failure = OSError("there is no address to download from")
    for url in urls:
        try:
            with urlopen(url, timeout=_SECONDS) as answer:
                content: bytes = answer.read()
        except (OSError, HTTPException) as error:
            failure = OSError(f"{url}: {error}")
            continue
        if hashlib.new(algorithm, content, usedforsecurity=False).hexdigest().startswith(checksum):
            write_whole(path, content)
            return
        failure = OSError(f"{url}: the file is not the one expected")
    raise failure
