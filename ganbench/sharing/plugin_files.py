"""Plugins that are single files: which of them go into an archive, and which of an archive's may be executed.

Only its content identifies a file: a run's identity holds the SHA-256 of what its components are made
of, so a file that was changed since is never packed, and one that no run was trained with is never right.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ganbench.errors import BadInput, Problem, nearest
from ganbench.sharing.archive import PLUGIN, PLUGINS
from ganbench.storage.owners import owner_of
from ganbench.storage.records import StackConfig
from ganbench.storage.stack_folder import StackFolder
from ganbench.text import printable

_PLUGINS = re.compile(r"^plugins\s*=\s*\[[^]]*\]", re.MULTILINE)
"""The line of a suite that names them."""


def needed(configs: Iterable[StackConfig]) -> dict[str, Path]:
    """SHA-256 -> where it lay, of every single file that these stacks' components are made of."""
    return {
        digest: Path(owner_of(config["versions"][component])["distribution"])
        for config in configs
        if "identity" in config  # an early version did not record it
        for component, (owner, digest) in config["identity"]["components"].items()
        if owner == "file"
    }


def gathered(
    stacks: Sequence[StackFolder], given: Sequence[Path]
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """(name in the archive -> content of the files that the stacks need, names of those not found).

    Files are searched among `given`, and where they lay when they were used.

    Raises BadInput where none of the runs was trained with a file of `given`, as it is now.
    """
    wanted = _needed(stacks)
    packed: dict[str, bytes] = {}
    missing = dict(wanted)
    for path in [*given, *wanted.values()]:
        content = _content(path)
        digest = hashlib.sha256(content or b"").hexdigest()
        if content is None or digest not in wanted:
            if path in given:
                what = "is not a file that these runs were trained with, or has changed since"
                raise BadInput(Problem(printable(str(path)), what))
        # an archive holds one file of a name, and no name that `Archive` would refuse
        elif PLUGIN.fullmatch(f"{PLUGINS}{path.name}") and packed.get(path.name, content) == content:
            packed[path.name] = content
            missing.pop(digest, None)
    names = sorted(path.name for path in missing.values())
    return {f"{PLUGINS}{name}": content for name, content in packed.items()}, tuple(names)


def _needed(stacks: Sequence[StackFolder]) -> dict[str, Path]:
    """`needed` of stacks on disk; empty where a configuration is damaged, which `verify` reports."""
    try:
        return needed(folder.config() for folder in stacks)
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def without_places(config: StackConfig) -> StackConfig:
    """A stack's configuration that does not say in which folders plugins lay."""
    owners = {component: owner_of(recorded) for component, recorded in config.get("versions", {}).items()}
    if all(owner["packaged"] for owner in owners.values()):
        return config
    for owner in owners.values():
        if not owner["packaged"]:
            owner["distribution"] = Path(owner["distribution"]).name
    return {**config, "versions": owners}


def naming(suite: bytes, folder: Path, packed: Mapping[str, bytes]) -> bytes:
    """The text of a suite that names the packed plugins where they lie in the archive, and is else the same.

    Arguments:
        folder: where the suite lies, which its plugins are relative to.
        packed: name in the archive -> content.
    """
    try:
        text = suite.decode("utf-8-sig")  # some editors write a byte-order mark, which TOML refuses
        before = tomllib.loads(text)
        named = [_packed_name(folder / name, packed) or name for name in before.get("plugins", ())]
    except (ValueError, TypeError, RecursionError):
        return suite
    after = {**before, "plugins": [*named, *(name for name in packed if name not in named)]}
    # At the top: below the header of a table, the line would belong to that table.
    line = f"plugins = {json.dumps(after['plugins'], ensure_ascii=False)}"
    # A function as replacement: in a string, backslashes would be escapes.
    changed = _PLUGINS.sub(lambda _: line, text, count=1) if "plugins" in before else f"{line}\n{text}"
    # The pattern may have hit a multi-line string: the text counts only if it reads as it should.
    return changed.encode() if packed and _reads_as(changed, after) else suite


def _packed_name(path: Path, packed: Mapping[str, bytes]) -> str:
    """Where in the archive this file is; empty where it is not."""
    content = _content(path)
    return next((name for name, held in packed.items() if held == content), "")


def _reads_as(text: str, document: Mapping[str, object]) -> bool:
    try:
        return tomllib.loads(text) == document
    except ValueError:
        return False


def _content(path: Path) -> bytes | None:
    """The content of a file; None where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def held(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of the plugins of an archive that was unpacked in `folder`."""
    paths = sorted((folder / PLUGINS).glob("*.py"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def trusted(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Paths of the unpacked plugins that the user allows to be executed; BadInput where one is not there."""
    there = held(folder)
    for name in names:
        if name not in there:
            hint = nearest(name, there) if there else "it holds none"
            raise BadInput(f"--trust: the archive holds no plugin {printable(name)!r}; {hint}")
    return tuple(str(folder / PLUGINS / name) for name in names)
