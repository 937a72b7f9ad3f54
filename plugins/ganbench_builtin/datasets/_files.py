"""Files that several processes may want at the same time: written whole, downloaded once and checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen
from uuid import uuid4

_SECONDS = 20  # without a word from the other side


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
