from __future__ import annotations

import re

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import cpu_vec_isa
from torch._inductor.codecache import CppPythonBindingsCodeCache
from torch._subclasses import FakeTensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from toys import variant

from ganbench.engine.program import Program
from ganbench.engine.trainers import Mapped, Runs
from ganbench.executors import Compiled, CudaGraph, Eager, UncompiledCudaGraph
from ganbench.executors.compiled import _skinny_product
from ganbench.executors.instruction_set import one_instruction_set
from ganbench.machine import gpus

CPU = torch.device("cpu")
GAN = variant(options={"toy-gan": {"norm": True}}, techniques=("toy-penalty",))
DUEL = variant("toy-duel", "toy-saddle", optimizer={"name": "sgd", "lr": 0.05}, players=("low", "high"))
STRUCTURES = {
    "duel": (DUEL, ({"toy-saddle.pull": 1.0}, {"toy-saddle.pull": 0.5})),
    "gan": (
        GAN,
        (
            {"toy-penalty.weight": 0.1, "optimizer.generator.betas.0": 0.0},
            {"toy-penalty.weight": 1.0, "optimizer.generator.betas.0": 0.9},
        ),
    ),
}


def mapped(toys, data, structure, executor, device=CPU):
    config, values = STRUCTURES[structure]
    return Mapped(Program(config, toys, data), Runs((0, 1), values), data, device, executor)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(pytree.tree_leaves(a), pytree.tree_leaves(b), strict=True))


def check(trainer, reference, steps=200):
    """Preparing takes no step, and then both take the same ones, also after being set back."""
    start = pytree.tree_map(torch.clone, trainer.state())
    trainer.load_chunk()
    assert same(trainer.state(), start)
    close = {"rtol": 1e-9, "atol": 1e-9, "equal_nan": True}
    rows = []
    for again in range(2):
        rows = []
        for n in (64, 64, 64, 64):
            now = min(n, steps - trainer.step)
            rows.append(trainer.advance(now))
            if not again:
                torch.testing.assert_close(rows[-1], reference.advance(now), **close)
        state = pytree.tree_map(lambda t: t.cpu(), trainer.state())
        torch.testing.assert_close(state, reference.state(), **close)
        assert not same(trainer.state(), start)
        trainer.restore(start, 0)


def test_compiled_equals_eager(toys, blob):
    check(mapped(toys, blob, "duel", Compiled()), mapped(toys, blob, "duel", Eager()))


@pytest.mark.slow
def test_compiled_equals_eager_on_networks(toys, blob):
    check(mapped(toys, blob, "gan", Compiled()), mapped(toys, blob, "gan", Eager()))


def test_a_compiled_step_is_kept_on_disk(toys, blob, tmp_path, monkeypatch):
    """Who needs the same step again finds it there: nothing is lowered anew, and the bits are the same."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    ends = []
    for found in ("fxgraph_cache_miss", "fxgraph_cache_hit"):
        torch._dynamo.reset()  # forgets what this process knows
        counters["inductor"].clear()
        trainer = mapped(toys, blob, "duel", Compiled())
        trainer.advance(9)
        assert counters["inductor"][found] == 1
        ends.append(trainer.state())
    assert same(*ends)


def in_two_kernels(x, weight):
    """A product that is left to the BLAS parts the kernels before and after it."""
    x.copy_(((x.sin() * 3) @ weight).tanh() + x)


def test_all_kernels_of_a_program_are_one_unit(tmp_path, monkeypatch):
    """One call of the C++ compiler, and the same bits as a call a kernel gives."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    units = []
    plainly = CppPythonBindingsCodeCache.load_pybinding

    def load_pybinding(argument_types, unit):
        units.append(unit)
        return plainly(argument_types, unit)

    monkeypatch.setattr(CppPythonBindingsCodeCache, "load_pybinding", load_pybinding)
    x, weight = torch.linspace(-3, 3, 15 * 20).reshape(15, 20), torch.full((20, 20), 0.1)
    together, apart = x.clone(), x.clone()
    Compiled().prepare(in_two_kernels, (together,), (weight,))()
    assert len(units) == 1
    monkeypatch.setattr("ganbench.executors.one_unit.NAMED", re.compile("no kernel is a plain one"))
    with torch._inductor.config.patch(force_disable_caches=True, compile_threads=1):
        Compiled().prepare(in_two_kernels, (apart,), (weight,))()
    assert len(units) == 3
    assert torch.equal(together, apart)
    in_two_kernels(x, weight)
    torch.testing.assert_close(together, x)


def test_one_set_of_vector_instructions_is_tried(monkeypatch):
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    monkeypatch.setattr(cpu_vec_isa, "x86_isa_checker", lambda: "avx2 fma f16c")
    monkeypatch.setattr(cpu_vec_isa.VecAVX2, "__bool__", lambda self: True)
    before = cpu_vec_isa.supported_vec_isa_list
    with one_instruction_set():
        assert [type(found) for found in cpu_vec_isa.supported_vec_isa_list] == [cpu_vec_isa.VecAVX2]
    monkeypatch.setattr(cpu_vec_isa.VecAVX2, "__bool__", lambda self: False)
    with one_instruction_set():
        assert cpu_vec_isa.supported_vec_isa_list == before, "left to Inductor"
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    with one_instruction_set():
        assert cpu_vec_isa.supported_vec_isa_list is before, "the user chose"


@pytest.mark.slow
def test_every_write_of_a_step_arrives():
    """In whichever place, order and way a step writes into the state."""

    def step(x, y, count):
        x[1:].mul_(2)
        y.copy_(x + y)
        y[0] = count[0]
        count.add_(1)

    state = torch.arange(3.0), torch.ones(3), torch.zeros(1, dtype=torch.int64)
    expected = [tensor.clone() for tensor in state]
    run = Compiled().prepare(step, state, ())
    for _ in range(3):
        run()
        step(*expected)
    assert all(map(torch.equal, state, expected))


def test_eager_takes_no_step_while_preparing(toys, blob):
    check(mapped(toys, blob, "gan", Eager()), mapped(toys, blob, "gan", Eager()), 70)


@pytest.mark.parametrize(
    "shape", [(3, 1, 4), (3, 2, 4), (4, 3, 1), (4, 5, 2), (1, 5, 4), (2, 3, 4), (1, 1, 1)]
)
def test_skinny_products(shape):
    rows, inner, columns = shape
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(5, rows, inner, generator=generator, dtype=torch.float64)
    b = torch.randn(5, inner, columns, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(_skinny_product(a, b), a @ b, rtol=1e-13, atol=1e-13)


def test_wide_products_are_left_to_the_library():
    assert _skinny_product(torch.ones(2, 3, 4), torch.ones(2, 4, 5)) is NotImplemented


class Clones(TorchDispatchMode):
    """Takes note of the tensors that are cloned."""

    def __init__(self):
        super().__init__()
        self.places = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.clone.default and not isinstance(args[0], FakeTensor):
            self.places.append(args[0].data_ptr())
        return func(*args, **(kwargs or {}))


def test_only_what_a_step_writes_is_cloned(toys, blob, monkeypatch):
    """Neither tables nor draws, which may take much memory; and Inductor captures no graphs of its own."""
    captures = []

    def compile(graph, inputs):
        captures.append(torch._inductor.config.triton.cudagraphs)
        return lambda tensors: graph(*tensors)

    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx_inner", compile)
    monkeypatch.setattr("torch._inductor.config.triton.cudagraphs", True)
    trainer = mapped(toys, blob, "gan", Compiled())
    with Clones() as clones:
        trainer.load_chunk()
    written = {tensor.data_ptr() for tensor in pytree.tree_leaves(trainer.state())}
    read = {t.data_ptr() for t in pytree.tree_leaves((trainer._chunk, trainer.tables, trainer._values))}
    assert written <= set(clones.places)
    assert read.isdisjoint(clones.places)
    assert captures == [False]


def test_where_executors_are_available(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(gpus, "_cards", lambda: ())
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert Eager().available("cpu") is None
    assert "CUDA" in CudaGraph().available("cpu")
    for executor in (Compiled(), CudaGraph(), UncompiledCudaGraph()):
        assert executor.available("cuda:1") is None
    monkeypatch.setattr(gpus, "_cards", lambda: (gpus.Card("old", 10**9, (6, 1)),))
    assert "compute capability 7.0; here it is 6.1" in CudaGraph().available("cuda")
    monkeypatch.setattr(gpus, "_cards", lambda: (gpus.Card("new", 10**9, (9, 0)),))
    assert CudaGraph().available("cuda") is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "Triton, which is not installed" in CudaGraph().available("cuda")
    assert UncompiledCudaGraph().available("cuda") is None


def test_compilers_that_executors_need(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(gpus, "_cards", lambda: ())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "C++ compiler" in Compiled().available("cpu")
    assert "C compiler" in Compiled().available("cuda")
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if name == "clang++" else None)
    assert Compiled().available("cpu") is None
    assert "C compiler" in CudaGraph().available("cuda")
    monkeypatch.setenv("CC", "my-cc")
    assert CudaGraph().available("cuda") is None


# -- CUDA


def on_cuda(toys, blob, structure, executor):
    from ganbench.engine.data import on_device

    device = torch.device("cuda")
    return mapped(toys, on_device(blob, device), structure, executor, device)


@pytest.mark.gpu
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("executor", [Eager(), Compiled(), UncompiledCudaGraph(), CudaGraph()], ids=repr)
def test_cuda_executors_agree(toys, blob, structure, executor):
    # A GPU's draws are its own: the reference runs on the GPU too, and goes eagerly.
    reference = on_cuda(toys, blob, structure, Eager())
    trainer = on_cuda(toys, blob, structure, executor)
    reference_state = pytree.tree_map(torch.clone, reference.state())
    assert same(reference_state, trainer.state())
    reference.state = lambda: pytree.tree_map(lambda t: t.cpu(), reference._state)
    check(trainer, reference)


@pytest.mark.gpu
@pytest.mark.parametrize("executor", [Eager(), Compiled(), UncompiledCudaGraph(), CudaGraph()], ids=repr)
def test_the_loop_never_waits_for_the_gpu(toys, blob, executor):
    trainer = on_cuda(toys, blob, "gan", executor)
    trainer.load_chunk()
    trainer.advance(2)
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer._position.fill_(2)
        trainer._clock.fill_(3)
        for _ in range(20):
            trainer._fast()
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    assert trainer._position.item() == 22
    assert trainer.died() == [0, 0]
