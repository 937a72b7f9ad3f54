"""Whether a stack that is trained again must give the same bits, and if not, why not.

Rounding depends on the machine, the packages and the way of training. On a GPU it also depends on the card's
model, on its libraries, and on how torch was set to compute on it; an operation without a deterministic
algorithm rounds differently every time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ganbench.storage.records import EngineRecord, way_of
from ganbench.storage.stack_folder import StackFolder
from ganbench.text import listed

_VERSIONS: Final = ("capability", "driver", "cuda", "cudnn", "triton")
"""What of a GPU's record rounding depends on, besides its name."""
_WORKSPACE: Final = "CUBLAS_WORKSPACE_CONFIG"

Env = Mapping[str, Any]
"""An `Environment` as it was read, perhaps one of an earlier version."""


def why_not_exact(there: StackFolder, here: StackFolder) -> str:
    """Why rows need not be equal bit for bit, in words; empty where they must be."""
    environments, engines = (there.env(), here.env()), (there.config()["engine"], here.config()["engine"])
    reasons = [*other_machine(*environments), *_other_ways(*engines)]
    reasons += _differences(*environments, ("float32_matmul_precision",))
    if _on_gpu(environments[0]) and _on_gpu(environments[1]):
        reasons += [*_other_settings(*environments), *_nondeterministic(*engines)]
    return "; ".join(reasons)


def other_machine(there: Env, here: Env) -> Iterator[str]:
    """What differs between machines and their packages: known before anything is trained."""
    places = _place(there), _place(here)
    if places[0] != places[1]:
        yield f"trained on {places[0]}, retrained on {places[1]}: rounding differs"
    else:
        yield from _differences(there, here, ("processor",))
        yield from _differences(_table(there, "gpu"), _table(here, "gpu"), _VERSIONS)
    theirs, ours = _table(there, "packages"), _table(here, "packages")
    yield from _differences(theirs, ours, sorted({*theirs, *ours}))


def _other_ways(there: EngineRecord, here: EngineRecord) -> Iterator[str]:
    yield from _differences({"executor": way_of(there)}, {"executor": way_of(here)}, ("executor",))
    yield from _differences(there, here, ("chunk",))
    # Runs that are stepped as one share their kernels, whose order of summation depends on how many they are.
    if there["mapper"] == "map":
        yield from _differences(there, here, ("size",))


def _other_settings(there: Env, here: Env) -> Iterator[str]:
    """What differs in the settings of two GPUs' arithmetic, or is not deterministic on both."""
    theirs, ours = _settings(there), _settings(here)
    if not theirs:
        yield "the archive does not record how its GPU was set to round"
        return
    yield from _differences(theirs, ours, sorted({*theirs, *ours}))
    yield from _differences(_table(there, "flags"), _table(here, "flags"), (_WORKSPACE,))
    if theirs == ours and not ours.get("inductor.deterministic"):
        yield "this version of torch chooses a GPU's kernels by timing them"


def _nondeterministic(there: EngineRecord, here: EngineRecord) -> Iterator[str]:
    names = sorted({*map(str, there.get("nondeterministic", ())), *here.get("nondeterministic", ())})
    if names:
        yield f"no deterministic algorithm on a GPU for {listed(names)}"


def _settings(env: Env) -> dict[str, object]:
    """The settings of a GPU's arithmetic, the compiler's as "inductor.NAME"; empty where not recorded."""
    settings = _table(env, "gpu_settings")
    inductor = {f"inductor.{name}": value for name, value in _table(settings, "inductor").items()}
    return {**{name: value for name, value in settings.items() if name != "inductor"}, **inductor}


def _differences(there: Env, here: Env, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if there.get(name) != here.get(name):
            yield f"{name} {_brief(there.get(name))} there, {_brief(here.get(name))} here"


def _place(env: Env) -> str:
    """The GPU's model, or that it is none."""
    return str(_table(env, "gpu").get("name")) if _on_gpu(env) else "a CPU"


def _on_gpu(env: Env) -> bool:
    return bool(_table(env, "gpu"))


def _table(env: Env, name: str) -> Env:
    """A table of the record: empty where it is null, absent, or no table (the archive is anybody's)."""
    value = env.get(name)
    return value if isinstance(value, Mapping) else {}


def _brief(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
