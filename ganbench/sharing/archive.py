"""The archive: a zip of uncompressed files and a manifest of checksums; the same bytes for the same rows.

An archive may come from anybody. It is opened only if every name in it is one that `pack` gives, none twice,
and nothing in it is compressed, linked or larger than the archive itself: so it can neither write elsewhere
nor grow. The tables in it are compressed, and are looked at before they are read.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NotRequired, TypedDict, cast

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ganbench.errors import BadInput, Problem
from ganbench.storage.atomic import write_atomic
from ganbench.storage.suite_lock import LOCK_NAME
from ganbench.text import printable

FORMAT = "ganbench-results"
SCHEMA = 1
"""Of the archive."""
MANIFEST = "manifest.json"
SUITE = "suite.toml"
MOST_FILES = 200_000
"""Most files of an archive: one with more would fill a disk with folders and empty files."""
LARGEST_TEXT = 64 * 2**20
"""Most bytes of a file of JSON, which is read as a whole."""
PLUGINS = "plugins/"
"""Where plugins lie that are single files."""
# No dot or hyphen first: neither a hidden file, nor a name that a command takes for an option.
PLUGIN = re.compile(rf"{PLUGINS}[A-Za-z0-9_][A-Za-z0-9_.-]{{0,99}}\.py", re.ASCII)
# re.ASCII: elsewhere, \d matches the digits of every script. 19 digits: the longest 64-bit integer.
_NAME = re.compile(
    rf"{re.escape(LOCK_NAME)}|suite\.toml|stacks/[a-z0-9-]{{1,100}}/"
    r"((config|env|status)\.json|(evals|runs)\.parquet|trace-\d{1,19}-\d{1,19}\.parquet"
    r"|samples/(?:run\d{1,9}-step\d{1,19}|real)\.png)",
    re.ASCII,
)
# The earliest time that a zip can record; times of the files would change the bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = (
    zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError, struct.error,
)  # fmt: skip
"""What Python raises where a zip is broken in one way or another."""

Content = bytes | Path


class ListedFile(TypedDict):
    """What the manifest records of a file."""

    sha256: str
    bytes: int


class Manifest(TypedDict):
    """manifest.json. An archive from elsewhere is known to have the first three keys only."""

    format: str
    schema: int
    files: dict[str, ListedFile]
    ganbench: NotRequired[str]
    suite: NotRequired[str]
    runs: NotRequired[int]
    traces: NotRequired[str | int]
    versions: NotRequired[list[str]]


def write_archive(path: Path, files: Mapping[str, Content], facts: Mapping[str, object]) -> str:
    """Write an archive of `files` (name -> bytes, or the file to copy), atomically. Return its digest.

    Arguments:
        facts: further keys of the manifest.
    """
    listed = {name: _fingerprint(files[name]) for name in sorted(files)}
    manifest = {"format": FORMAT, "schema": SCHEMA, **facts, "files": listed}
    text = (json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w") as archive:
            # by name: the bytes must not depend on the order in which stacks were listed
            for name, content in sorted({**files, MANIFEST: text}.items()):
                _add(archive, name, content)

    write_atomic(path, write)
    return hashlib.sha256(text).hexdigest()


def _add(archive: zipfile.ZipFile, name: str, content: Content) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system, info.external_attr = 3, 0o644 << 16  # the same wherever it was packed
    info.file_size = _size(content)  # from 2 GiB on, zipfile needs it for a Zip64 header
    with _reader(content) as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, 2**20)


def _reader(content: Content) -> io.BytesIO | io.BufferedReader:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


def _fingerprint(content: Content) -> ListedFile:
    with _reader(content) as source:
        return {"sha256": hashlib.file_digest(source, "sha256").hexdigest(), "bytes": _size(content)}


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


class Archive:
    """An archive that was found safe to unpack: `with Archive(path) as archive: archive.unpack(folder)`.

    Raises BadInput, with one sentence, where it is none or is not safe.

    Arguments:
        manifest: what it says of itself.
        digest: SHA-256 of its manifest, which covers everything else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise self._bad("there is no such file") from None
        except _UNREADABLE:
            raise self._bad("is not an archive that `ganbench pack` made") from None
        try:
            self._check_entries()
            text = self._text(MANIFEST)
            self.digest = hashlib.sha256(text).hexdigest()
            self.manifest = self._read_manifest(text)
        except BaseException:  # no `with` has begun that would close the file
            self._zip.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def unpack(self, folder: Path) -> list[str]:
        """Write all files below `folder`. Return the names of those that differ from their checksums."""
        altered = []
        for name, listed in self.manifest["files"].items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:  # "x": never over a file, never through a link
                whole = self._copy(name, file)
            if not whole or _fingerprint(target) != listed:
                altered.append(name)
        return altered

    def _copy(self, name: str, file: BinaryIO) -> bool:
        """Write an entry's content. Return False where the zip's own checksum does not match."""
        try:
            with self._zip.open(name) as source:
                shutil.copyfileobj(source, file, 2**20)
        except _UNREADABLE:
            return False
        return True

    def _check_entries(self) -> None:
        """Raise BadInput for names, sizes and kinds of entries that `pack` never writes."""
        entries = self._zip.infolist()
        if len(entries) > MOST_FILES:
            raise self._bad(f"holds {len(entries):,} files; the most is {MOST_FILES:,}")
        # orig_filename is the name in the file: zipfile cuts `filename` at a null byte. casefold: where
        # file systems ignore case, as on macOS, such names are one file.
        names: set[str] = set()
        for entry in entries:
            if entry.orig_filename != MANIFEST and not any(
                pattern.fullmatch(entry.orig_filename) for pattern in (_NAME, PLUGIN)
            ):
                raise self._bad(f"holds the file {entry.orig_filename!r}, which `ganbench pack` never writes")
            if entry.filename.casefold() in names:
                raise self._bad(f"holds the file {entry.filename!r} twice")
            names.add(entry.filename.casefold())
            self._check_entry(entry)
        # Overlapping entries make a zip bomb without any nesting (Fifield, WOOT 2019).
        if sum(entry.file_size for entry in entries) > self.path.stat().st_size:
            raise self._bad("holds files that overlap, so that they are larger than itself")

    def _check_entry(self, entry: zipfile.ZipInfo) -> None:
        plain = entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
        kind = entry.external_attr >> 16 & 0o170000  # S_IFMT of the Unix mode; 0: none was recorded
        # bit 0 of the flags: encrypted
        if not plain or entry.flag_bits & 1 or kind not in (0, 0o100000):
            raise self._bad(f"holds {entry.filename!r} compressed, encrypted or as a link")
        if not entry.filename.endswith((".parquet", ".png")) and entry.file_size > LARGEST_TEXT:
            raise self._bad(f"holds {entry.filename!r}, which is too large ({entry.file_size:,} bytes)")

    def _text(self, name: str) -> bytes:
        try:
            return self._zip.read(name)
        except KeyError:
            raise self._bad(f"holds no {name}: it is not an archive that `ganbench pack` made") from None
        except _UNREADABLE:
            raise self._bad(f"is damaged: its {name} cannot be read") from None

    def _read_manifest(self, text: bytes) -> Manifest:
        try:
            manifest = json.loads(text)
            form, schema, files = manifest["format"], manifest["schema"], manifest["files"]
            listed = {str(name): (str(file["sha256"]), int(file["bytes"])) for name, file in files.items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise self._bad("has a manifest that cannot be read") from None
        if form != FORMAT or not isinstance(schema, int):
            raise self._bad("is not an archive that `ganbench pack` made")
        if schema > SCHEMA:
            raise self._bad(f"was made by a later version of ganbench (schema {schema}, not {SCHEMA})")
        held = {entry.filename: entry.file_size for entry in self._zip.infolist()}
        held.pop(MANIFEST, None)
        odd = sorted(held.keys() ^ listed.keys()) + [n for n in listed if held.get(n) != listed[n][1]]
        if odd or LOCK_NAME not in held:
            raise self._bad(f"does not hold what its manifest lists ({(odd or [LOCK_NAME])[0]!r})")
        return cast(Manifest, manifest)

    def _bad(self, what: str) -> BadInput:
        return BadInput(Problem(printable(str(self.path)), printable(what, 500)))


def oversized(folder: Path) -> str:
    """Why the tables of a stack's folder cannot be read within this machine's memory; empty where they can.

    A table that is small on disk may hold one number a billion times.
    """
    room = psutil.virtual_memory().total / 2  # the other half is for the copies that judging makes
    for path in sorted(folder.glob("*.parquet")):
        try:
            with pq.ParquetFile(path) as file:
                room -= _bytes(file)
                texts = [field.name for field in file.schema_arrow if not _is_number(field.type)]
                lengths = _longest_text(path, texts) if room > 0 else 0
                room -= file.metadata.num_rows * lengths
        except (pa.ArrowException, OSError, ValueError) as error:
            return f"{path.name} cannot be read: {str(error).partition(chr(10))[0]}"
        if room < 0:
            return f"{path.name} is too large to be read in the memory of this machine"
    return ""


def _bytes(file: pq.ParquetFile) -> int:
    """What its columns take in memory at most, texts counted as eight bytes a cell."""
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    # The recorded size is that of encoded pages: a value repeated a million times takes a few bytes there.
    cells = file.metadata.num_rows * file.metadata.num_columns
    return max(8 * cells, sum(group.total_byte_size for group in groups))


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _longest_text(path: Path, columns: list[str]) -> int:
    """The longest text of these columns, read without repeating any. ValueError where one is no text."""
    if not columns:
        return 0
    table = pq.read_table(path, columns=columns, read_dictionary=columns)
    longest = 0
    for column in table.itercolumns():
        for chunk in column.chunks:
            if not pa.types.is_dictionary(chunk.type) or not pa.types.is_string(chunk.type.value_type):
                raise ValueError(f"a column is of the type {chunk.type}")
            longest = max(longest, pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0)
    return longest
