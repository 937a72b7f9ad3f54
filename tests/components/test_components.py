from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
import torch
from pydantic import Field
from toys import ToyGAN, ToyLoss, ToyPenalty

import ganbench
from ganbench.components.base import Component, bind, create, options_of, sweepable
from ganbench.components.data import Data
from ganbench.components.kinds import KINDS
from ganbench.components.optimizers import OPTIMIZERS, Adam
from ganbench.errors import BadInput, Problem, nearest


@dataclass(frozen=True)
class Many(ganbench.Loss):
    """All types of options."""

    name = "many"
    family = "toy-gan"
    weight: Annotated[float, Field(gt=0)] = 1.0
    count: Annotated[int, Field(gt=0)] = 3
    widths: tuple[int, ...] = (4, 4)
    betas: tuple[float, float] = (0.5, 0.9)
    mode: Literal["mean", "sum"] = "mean"
    flag: bool = False
    root: Path | None = None
    maybe: float | None = None


def problems(options, cls=Many, where="many"):
    with pytest.raises(BadInput) as caught:
        create(cls, options, where)
    return {problem.where: problem.what for problem in caught.value.problems}


# -- create


def test_options_are_taken_and_the_rest_are_defaults():
    made = create(
        Many, {"weight": 2, "widths": [8], "betas": [0, 0.9], "mode": "sum", "root": Path("/x"), "flag": True}
    )
    assert made == Many(weight=2.0, widths=(8,), betas=(0.0, 0.9), mode="sum", root=Path("/x"), flag=True)
    assert isinstance(made.weight, float)
    assert isinstance(made.widths, tuple)
    assert create(Many, {}) == Many()


def test_an_unknown_option_names_the_nearest():
    assert problems({"wieght": 1.0}) == {"many.wieght": "unknown option; did you mean 'weight'?"}
    assert "choose from betas, count, flag" in problems({"zzz": 1})["many.zzz"]


@pytest.mark.parametrize(
    ("options", "path", "sentence"),
    [
        ({"weight": "1"}, "many.weight", "number"),
        ({"weight": True}, "many.weight", "number"),
        ({"weight": 0}, "many.weight", "greater than 0"),
        ({"weight": float("nan")}, "many.weight", "finite"),
        ({"weight": float("inf")}, "many.weight", "finite"),
        ({"weight": None}, "many.weight", "number"),
        ({"count": 1.5}, "many.count", "integer"),
        ({"count": -1}, "many.count", "greater than 0"),
        ({"count": True}, "many.count", "integer"),
        ({"widths": [4, "x"]}, "many.widths.1", "integer"),
        ({"widths": 4}, "many.widths", "array"),
        ({"betas": [0.5]}, "many.betas.1", "missing"),
        ({"mode": "meen"}, "many.mode", "'mean' or 'sum'"),
        ({"flag": "yes"}, "many.flag", "boolean"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(options, path, sentence):
    (where, what), *others = problems(options).items()
    assert where == path
    assert sentence in what
    assert not others


def test_all_problems_are_told_at_once():
    found = problems({"weight": -1, "cuont": 3, "mode": 7, "widths": [1, 2.5]})
    assert set(found) == {"many.weight", "many.cuont", "many.mode", "many.widths.1"}
    assert "got -1" in found["many.weight"]


def test_a_long_value_is_told_short():
    assert len(problems({"mode": "x" * 10_000})["many.mode"]) < 200


def test_without_a_place_the_path_is_the_option():
    assert set(problems({"weight": -1}, where="")) == {"weight"}


# -- options_of


@pytest.mark.parametrize(
    "made",
    [
        Many(),
        Many(weight=0.1, widths=(), betas=(1 / 3, 0.0), root=Path("a/b"), maybe=2.0),
        ToyGAN(width=9),
        ToyPenalty(weight=0.0),
        *(cls() for cls in OPTIMIZERS.values()),
    ],
    ids=repr,
)
def test_options_round_trip(made):
    import json

    options = options_of(made)
    assert json.loads(json.dumps(options)) == options
    assert create(type(made), options) == made


# -- sweepable


def test_options_typed_float_can_be_swept():
    assert sweepable(Many) == {"weight"}
    assert sweepable(ToyLoss) == {"sharpness"}
    assert sweepable(ToyPenalty) == {"weight", "damping"}
    assert sweepable(Adam) == {"eps", "lr", "weight_decay"}


def test_options_that_shape_networks_cannot():
    @dataclass(frozen=True)
    class Model(ToyGAN):
        slope: float = 0.2

    @dataclass(frozen=True)
    class Wraps(ganbench.Technique):
        name = "wraps"
        strength: float = 1.0

        def network(self, name, net):
            return net

    assert sweepable(Model) == sweepable(Wraps) == frozenset()


def test_a_class_without_options_sweeps_nothing():
    class Plain(ganbench.Technique):
        name = "plain"

    assert sweepable(Plain) == frozenset()


# -- bind


def test_bound_values_take_the_place_of_options():
    made, value = Many(count=5), torch.tensor(2.0)
    bound = bind(made, {"weight": value})
    assert bound.weight is value
    assert bound.count == 5
    assert made.weight == 1.0
    assert type(bound) is Many


def test_binding_keeps_what_a_component_made_of_its_options():
    @dataclass(frozen=True)
    class Prepared(ganbench.Loss):
        name = "prepared"
        weight: float = 1.0
        table: tuple[int, ...] = field(init=False, default=())

        def __post_init__(self):
            object.__setattr__(self, "table", (1, 2))

    assert bind(Prepared(), {"weight": 3.0}).table == (1, 2)


def test_a_component_with_slots_can_be_bound():
    @dataclass(frozen=True, slots=True)
    class Slotted(ganbench.Technique):
        weight: float = 1.0
        other: int = 2

    bound = bind(Slotted(), {"weight": 3.0})
    assert (bound.weight, bound.other) == (3.0, 2)


# -- the kinds


def test_every_kind_has_a_hook():
    from ganbench import hookspecs

    assert set(KINDS) == set(hookspecs.HOOKS)
    assert all(hasattr(hookspecs, hook) for hook in hookspecs.HOOKS.values())
    assert all(issubclass(cls, Component) and cls.kind == kind for kind, cls in KINDS.items())


def test_what_a_technique_does_not_wrap_it_returns_as_is():
    class Nothing(ganbench.Technique):
        name: ClassVar[str] = "nothing"

    nothing, thing = Nothing(), object()
    arrows = (nothing.objective, nothing.field, nothing.rule)
    assert nothing.network("n", thing) is thing
    assert all(arrow(thing) is thing for arrow in arrows)
    assert nothing.draws(None, 3) == {}
    assert nothing.fits(None, None) is None


def test_turns_default_to_one_player_after_another():
    assert ganbench.Model.turns(ToyGAN()) == (("generator",), ("discriminator",))


def test_data_tell_what_a_model_may_know():
    data = Data(train=torch.zeros(5, 3, 4), test=torch.zeros(2, 3, 4), classes=7)
    assert data.spec == ganbench.DataSpec((3, 4), 7)
    assert data.spec.numel == 12


# -- errors


def test_nearest():
    assert nearest("hinje", ["hinge", "elbo"]) == "did you mean 'hinge'?"
    assert nearest("q", ["b", "a"]) == "choose from a, b"
    assert nearest("q", []) == "there are none"
    assert nearest("q", [f"n{i}" for i in range(30)]).endswith(", …")


def test_bad_input_tells_all_its_problems():
    error = BadInput([Problem("a.b", "is wrong"), Problem("", "so is this")])
    assert str(error) == "a.b: is wrong\nso is this"
    assert BadInput("one").problems == (Problem("", "one"),)


def test_an_option_without_a_type_is_told_as_such():
    @dataclass(frozen=True)
    class Bare(ganbench.Loss):
        name = "bare"
        target = 1.0
        other: float = 2.0

    told = "`target` has no type, so it is no option; write `target: float = 1.0`"
    with pytest.raises(BadInput, match=re.escape(told)):
        create(Bare, {"target": 2.0}, "bare")
    with pytest.raises(BadInput, match="unknown option; did you mean 'other'"):
        create(Bare, {"othr": 2.0}, "bare")
