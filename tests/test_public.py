"""What others rely on: names, instant imports, and a core that needs no built-in."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BLOCK

import ganbench

TESTS = Path(__file__).parent
NAMES = [
    "SGD",
    "Adam",
    "BadInput",
    "Batch",
    "BuildNetworks",
    "Clock",
    "Data",
    "DataSpec",
    "Dataset",
    "Draw",
    "Dropout",
    "Evaluation",
    "Executor",
    "Extractor",
    "Flow",
    "GameView",
    "GradientField",
    "Joint",
    "Layout",
    "Logger",
    "Loss",
    "Memory",
    "Metric",
    "Model",
    "Named",
    "Nets",
    "Objective",
    "Out",
    "Play",
    "Problem",
    "Rule",
    "StepCount",
    "Technique",
    "Turn",
    "__version__",
    "bind",
    "cache_folder",
    "clip_by_norm",
    "compute_once",
    "hookimpl",
    "input_grad",
    "isolated_rng",
    "load",
    "nearest",
    "per_player",
    "slug",
    "stack_traces",
    "stream",
    "write_atomic",
]
TORCHLESS = [
    "suites.load",
    "storage.stack_folder",
    "results",
    "stats",
    "report",
    "judging.run_rows",
    "components",
    "plugins",
    "running.watch",
    "text",
    "hookspecs",
    "errors",
    "executors",
]
CORE = [
    "game/test_draws",
    "game/test_game",
    "game/test_step",
    "components/test_components",
    "plugins/test_discovery",
]
SLOWER_CORE = [
    "game/test_update_rules",
    "game/test_nets",
    "engine/test_trainers",
    "executors/test_executors",
]


def python(code: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_public_names_are_locked():
    assert ganbench.__all__ == NAMES


def imported_for_types() -> dict[str, str]:
    """Name -> module: what type checkers read instead of the lazy `__getattr__`."""
    tree = ast.parse(Path(ganbench.__file__).read_text("utf-8"))
    return {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("ganbench.")
        for alias in node.names
    }


def test_types_and_lazy_names_are_of_the_same_modules():
    homes = imported_for_types()
    assert sorted(homes) == sorted(NAMES)
    for name, module in homes.items():
        assert getattr(ganbench, name) is getattr(importlib.import_module(module), name)


def test_every_public_name_is_listed():
    assert dir(ganbench) == sorted(NAMES)
    namespace = {}
    exec("from ganbench import *", namespace)
    assert set(NAMES) <= set(namespace)


def test_another_name_is_not():
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = ganbench.no_such_name


def test_package_is_typed():
    assert Path(ganbench.__file__).with_name("py.typed").is_file()


IMPORTED = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sorted(sys.modules))"


def loaded_by(module: str) -> set[str]:
    return {name.partition(".")[0] for name in python(IMPORTED, module).split()}


def test_importing_the_package_is_instant():
    assert not loaded_by("ganbench") & {"torch", "pandas", "numpy", "pydantic", "pluggy", "ganbench_builtin"}


@pytest.mark.parametrize("module", TORCHLESS)
def test_no_torch_below_the_line(module):
    loaded = loaded_by(f"ganbench.{module}")
    assert "ganbench" in loaded
    assert not loaded & {"torch", "ganbench_builtin"}


def test_writing_a_component_imports_no_torch():
    code = "import ganbench, sys; ganbench.Loss, ganbench.hookimpl, ganbench.Technique; print(*sys.modules)"
    assert "torch" not in python(code).split()


END_TO_END = """
import sys
sys.path.insert(0, sys.argv[1])
import conftest  # blocks the built-ins
from pathlib import Path
import torch
from ganbench.plugins import discovery
from ganbench.engine.program import Program
from ganbench.engine.sampling import Sampler
from ganbench.game.draws import draw
from ganbench.executors import Eager
from ganbench.engine.trainers import Looped, Mapped, Runs, unstacked

catalogue = discovery.discover([Path(sys.argv[1]) / "toys.py"])
assert set(catalogue.plugins) == {"core", "toys"}, catalogue.plugins
blocked = [failure for failure in catalogue.failures if failure.plugin == "builtin"]
assert all("blocked" in failure.reason for failure in blocked)
assert catalogue.names("model") == ["toy-duel", "toy-gan"]

from toys import variant
data = catalogue.get("dataset", "toy-blob").cls().load(None)
config = variant(options={"toy-gan": {"norm": True}}, techniques=("toy-penalty",), batch=16)
program = Program(config, catalogue, data)
runs = Runs((0, 1), ({"toy-penalty.weight": 0.1}, {"toy-penalty.weight": 1.0}))
cpu = torch.device("cpu")
looped, mapped = Looped(program, runs, data, cpu), Mapped(program, runs, data, cpu, Eager())

def distance(joint, buffers):
    noise = draw(program.model.sample_draws(program.spec, 500), 9, "noise", program.dtype)
    return float((Sampler(program).sample(joint, buffers, noise).mean(0) - data.test.mean(0)).norm())

start = program.initial(0, runs.values[0])
before = distance(start.joint, start.buffers)
for _ in range(6):
    torch.testing.assert_close(looped.advance(64), mapped.advance(64), rtol=1e-9, atol=1e-9, equal_nan=True)
end = unstacked(mapped.state(), 0)
after = distance(end.joint, end.buffers)
assert mapped.died() == [0, 0]
assert after < before / 2, (before, after)
assert not any(name.startswith("ganbench_builtin") for name in sys.modules)
print(len(blocked), "blocked")
"""


@pytest.mark.slow
def test_a_toy_stack_trains_where_the_built_ins_are_blocked():
    from importlib import metadata

    installed = [entry for entry in metadata.entry_points(group="ganbench") if entry.name == "builtin"]
    found = int(python(END_TO_END, str(TESTS), **{BLOCK: "1"}).split()[0])
    assert found == min(len(installed), 1)


PYTEST = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"


def core_tests(*names: str) -> str:
    files = [str(TESTS / f"{name}.py") for name in names]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-n0"]
    return python(PYTEST, *options, *files, **{BLOCK: "1"})


@pytest.mark.slow
@pytest.mark.skipif(BLOCK in os.environ, reason="these are they")
def test_the_cores_tests_pass_where_the_built_ins_are_blocked():
    assert " passed" in core_tests(*CORE)


@pytest.mark.slow
@pytest.mark.skipif(BLOCK in os.environ, reason="these are they")
def test_the_cores_slower_tests_pass_where_the_built_ins_are_blocked():
    assert " passed" in core_tests(*SLOWER_CORE)
