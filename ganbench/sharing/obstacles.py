"""Why a run of an archive cannot be trained again here: not the same components, data or sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganbench.errors import BadInput
from ganbench.planning.run_key import Identities
from ganbench.plugins.discovery import Catalogue
from ganbench.sharing.plugin_files import held, needed
from ganbench.storage.owners import owner_text
from ganbench.storage.records import StackConfig


def obstacle(
    config: StackConfig,
    folder: Path,
    catalogue: Catalogue,
    identities: Identities,
    files: Sequence[str],
) -> str:
    """Why the runs of a stack are not trained here; empty where they are.

    Arguments:
        config: the stack's.
        folder: where the archive was unpacked.
        files: plugins that may be executed.
    """
    if "identity" not in config:
        return "trained by a version that did not record the parts of run keys"
    return (
        # files first: their components are not installed either, and this one says how to get them
        _missing_files(config, folder, catalogue, files)
        or _missing_packages(config, catalogue)
        or differing(config, identities)
    )


def _missing_files(config: StackConfig, folder: Path, catalogue: Catalogue, files: Sequence[str]) -> str:
    """Which single-file plugins are missing, and how to pass them; empty where none is."""
    components = config["identity"]["components"]
    if all(_is_here(name, catalogue) for name, (owner, _) in components.items() if owner == "file"):
        return ""
    wanted, there = needed([config]), held(folder)
    names = sorted({path.name for path in wanted.values()} - {Path(file).name for file in files})
    packed = sorted(name for name, digest in there.items() if digest in wanted and name in names)
    if packed:
        trust = " ".join(f"--trust {name}" for name in packed)
        return f"{', '.join(packed)}, which the archive holds, is not trusted; read it, then give {trust}"
    # No name is left where files of these names were passed, but their content is another.
    absent = ", ".join(names or sorted(path.name for path in wanted.values()))
    return f"the version of {absent} that was used in training is missing; pass it with --plugin FILE"


def _missing_packages(config: StackConfig, catalogue: Catalogue) -> str:
    """Which components no plugin here provides; empty where all are provided."""
    owners = {name: owner_text(owner) for name, owner in config.get("versions", {}).items()}
    names = [name for name in config["identity"]["components"] if not _is_here(name, catalogue)]
    labels = [f"the {name} ({owners[name]})" if name in owners else f"the {name}" for name in names]
    return f"not installed here: {', '.join(labels)}" if names else ""


def _is_here(component: str, catalogue: Catalogue) -> bool:
    kind, _, name = component.partition(" ")
    return name in catalogue.components[kind]


def differing(config: StackConfig, identities: Identities) -> str:
    """What differs here from a stack's identity, in words; empty where nothing does."""
    try:
        here = identities.of(config["variants"][0])
    except BadInput as error:
        return str(error)
    there, ours = config["identity"], here["components"]
    owners, sources = [], []
    for name, (owner, source) in there["components"].items():
        if owner != ours[name][0]:
            owners.append(f"{name} is of {owner} there, of {ours[name][0]} here")
        elif source != ours[name][1]:
            sources.append(name)
    faults = [*owners, *([f"another source here of {', '.join(sources)}"] if sources else [])]
    if there["data"] != here["data"]:
        faults.append("the data differ")
    if there["extractors"] != here["extractors"]:
        faults.append("the feature extractors differ")
    if there.get("draws") != here["draws"]:
        faults.append("random numbers are drawn in another way")
    if there["schema"] != here["schema"]:
        faults.append("the rows differ")
    return "; ".join(faults)
