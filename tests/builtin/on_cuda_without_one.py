"""The steps of all built-in components on CUDA, seen without CUDA: their operations, and Inductor's code.

`test_without_gpu.py` runs these tests. By default a small selection, all components among the slow ones.
"""

from __future__ import annotations

import pytest
import torch
from cuda_code import code, faults_of_code, faults_of_operations, operations, traced
from test_stacks import (
    LOSSES,
    MODELS,
    TECHNIQUES,
    first_home,
    homes,
    plain_loss,
    program,
    world,  # noqa: F401
)

from ganbench.components.optimizers import OPTIMIZERS
from ganbench.errors import BadInput

QUICK = ("mlp-gan", "elbo", "spectral-norm", "adamw")
"""What is looked at by default."""
CODED = (
    "r1",
    "spectral-norm",
    "minibatch-discrimination",
    "consistency",
    "diff-augment",
    "adaptive-augment",
    "symplectic",
)
"""Techniques with operations that no model has: second derivatives, power iterations, translations."""


@pytest.fixture(autouse=True)
def without_gpu():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU, which need not be pretended")


def of(names):
    return [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in names]


def single(world, *arguments, **changes):  # noqa: F811
    """A program in the precision that is trained in."""
    return program(world, *arguments, precision="float32", **changes)


def recipe(model):
    return tuple(MODELS[model].recipe.get("techniques", ()))


def model_of(loss):
    return "mlp-gan" if LOSSES[loss].family == "adversarial" else "mlp-vae"


# -- operations: nothing on the CPU, no copy between devices, no vector in float64; a wait is refused by torch


def sound(made, **values):
    assert faults_of_operations(operations(*made, **values)) == []


@pytest.mark.parametrize("model", of(MODELS))
def test_operations_of_models(world, model):  # noqa: F811
    sound(single(world, model, plain_loss(model), recipe(model)))


@pytest.mark.parametrize("loss", of(LOSSES))
def test_operations_of_losses(world, loss):  # noqa: F811
    sound(single(world, model_of(loss), loss))


@pytest.mark.parametrize("technique", of(TECHNIQUES))
def test_operations_of_techniques(world, technique):  # noqa: F811
    names = (*TECHNIQUES[technique].requires, technique)
    for model in homes(technique):
        made = single(world, model, plain_loss(model), names)
        try:
            made[0].draws()
        except BadInput:
            continue  # it wants images
        sound(made)


@pytest.mark.parametrize("name", of(OPTIMIZERS))
def test_operations_of_optimizers(world, name):  # noqa: F811
    made = single(world, "mlp-gan", "non-saturating", optimizer={"name": name, "lr": 1e-3})
    sound(made)
    sound(made, values=tuple({"optimizer.generator.lr": lr} for lr in (1e-3, 2e-3)))


@pytest.mark.slow
@pytest.mark.parametrize("loss", [name for name in LOSSES if LOSSES[name].family == "adversarial"])
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_operations_of_every_technique_with_every_loss(world, technique, loss):  # noqa: F811
    names = (*TECHNIQUES[technique].requires, technique)
    if any(TECHNIQUES[name]().fits(MODELS["mlp-gan"](), LOSSES[loss]()) for name in names):
        pytest.skip("they do not fit")
    made = single(world, "mlp-gan", loss, names)
    try:
        made[0].draws()
    except BadInput:
        pytest.skip("it wants images")
    sound(made)


KEPT = torch.ones(1)
WRONG = {
    "a tensor that is kept on the CPU": (lambda x: (x[0] * KEPT).sum(), "convert all Tensors to FakeTensors"),
    "a look at a number": (lambda x: x.mean() * float(x.mean()), "item"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_operations_are_found(world, monkeypatch, name):  # noqa: F811
    value, told = WRONG[name]
    monkeypatch.setattr(LOSSES["non-saturating"], "generator", lambda self, out: value(out["fake_logits"]))
    made = single(world, "mlp-gan", "non-saturating")
    with pytest.raises(Exception, match=told):
        operations(*made)


def test_faults_of_graphs_are_found():
    """What torch lets pass: copies between devices, vectors in float64."""

    def copies(x):
        return x.cpu().exp().to(x.device)

    def counts(x):
        return x.double() * 2

    for step, told in (
        (copies, "aten._to_copy.default copies between devices"),
        (copies, "aten.exp.default makes a tensor of shape (65,) on cpu"),
        (counts, "aten.mul.Tensor makes 65 numbers in float64"),
    ):
        assert told in faults_of_operations(traced(step, (torch.ones(65),)))


# -- Inductor's code: kernels of the GPU alone


CALL = "def call(self, args):\n    triton_poi_fused__to_copy_add_0.run(arg0, buf0, 2)\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("cpp_fused_add_1(arg0, buf0)", "a kernel on the CPU"),
        ("buf1 = empty_strided_cpu((2, ), (1, ), torch.float32)", "a buffer on the CPU"),
        ("buf1.copy_(arg1, False)", "a copy between devices"),
        ("buf1 = torch.ops.aten._to_copy.default(arg1, device='cpu')", "a copy between devices"),
        ("zuf0 = buf0.item()", "a wait"),
    ],
)
def test_faults_of_code_are_found(line, told):
    assert faults_of_code(CALL) == []
    (fault,) = faults_of_code(f"{CALL}    {line}\n")
    assert fault.startswith(told)


def runs_on_the_gpu_alone(made):
    pytest.importorskip("triton")
    assert faults_of_code(code(*made)) == []


@pytest.mark.parametrize("model", of(MODELS))
def test_code_of_models(world, model):  # noqa: F811
    runs_on_the_gpu_alone(single(world, model, plain_loss(model), recipe(model)))


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_code_of_losses(world, loss):  # noqa: F811
    runs_on_the_gpu_alone(single(world, model_of(loss), loss))


@pytest.mark.slow
@pytest.mark.parametrize("technique", CODED)
def test_code_of_techniques(world, technique):  # noqa: F811
    model, names = first_home(world, technique)
    runs_on_the_gpu_alone(single(world, model, plain_loss(model), names))
