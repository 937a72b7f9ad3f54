"""The conformance kit itself: each check fails what it is for, and passes the toys."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from toys import ToyBlob, ToyDuel, ToyGAN, ToyLoss, ToyMean, ToyPenalty

import ganbench
from ganbench import testing
from ganbench.components.kinds import KINDS
from ganbench.executors import Compiled, Eager
from ganbench.testing import Case, Finding, LossChecks, check, checks_of
from ganbench.testing import toys as kit
from ganbench.testing.classes import settle

DOC = "{} (Tester 2026, arXiv:0000.00000)."


def found(cls, catalogue, **settings):
    """Check -> finding."""
    return {finding.check: finding for finding in check(cls, catalogue, **settings)}


def named(base, **members):
    """A component of that kind, with these members."""
    members = {"name": "mine", "__doc__": DOC.format("Mine"), "__module__": __name__, **members}
    return dataclass(frozen=True)(type("Mine", (base,), members))


# -- what is right passes


@pytest.mark.parametrize(
    "cls",
    [kit.ToyGAN, kit.ToyLoss, ToyGAN, ToyLoss, ToyPenalty, ToyBlob, ToyMean, Eager],
    ids=lambda c: c.name,
)
def test_toys_conform(toys, cls):
    variant = {"model": "toy-gan", "loss": "toy-loss"} if cls is ToyPenalty else {}
    findings = found(cls, toys, variant=variant)
    wrong = {name: one.seen for name, one in findings.items() if not one.ok}
    assert set(wrong) <= {"is-documented"}  # the tests' toys are terse
    assert Counter(one.outcome for one in findings.values())["passed"] >= 4


def test_every_kind_has_checks_and_every_check_says_what_it_wants():
    for kind in KINDS:
        own = [one for one in checks_of(kind) if one.kinds]
        assert own, kind
        for one in checks_of(kind):
            assert one.expected.endswith("."), one.name
            assert one.fix, one.name


# -- what is wrong fails


class Detached(kit.ToyLoss):
    """A loss whose generator learns nothing (Tester 2026)."""

    name = "detached"

    def generator(self, out):
        return -(0 * out["fake_logits"]).mean()


class Hiding(kit.ToyLoss):
    """A loss that hides nan (Tester 2026)."""

    name = "hiding"

    def discriminator(self, out):
        return super().discriminator({name: x.nan_to_num() for name, x in out.items()})


class Summing(kit.ToyLoss):
    """A loss that sums (Tester 2026)."""

    name = "summing"

    def discriminator(self, out):
        return (out["fake_logits"] - out["real_logits"]).sum()

    def generator(self, out):
        return -out["fake_logits"].sum()


class Meddling(kit.ToyLoss):
    """A loss that changes what it is given (Tester 2026)."""

    name = "meddling"

    def generator(self, out):
        out["fake_logits"] *= 2
        return -out["fake_logits"].mean()


class Pairing(kit.ToyLoss):
    """A relativistic loss that does not say so (Tester 2026)."""

    name = "pairing"

    def generator(self, out):
        return (out["real_logits"] - out["fake_logits"]).mean()


class Inventing(kit.ToyLoss):
    """A loss that reads what no model gives (Tester 2026)."""

    name = "inventing"

    def generator(self, out):
        return out["fake_logit"].mean()


LOSSES = [
    (Pairing, "gives-a-scalar", "the generator's method reads 'real_logits'; on that turn there are fake"),
    (Inventing, "gives-a-scalar", "the generator's method reads 'fake_logit'; on that turn there are fake"),
    (Detached, "trains", "the generator did not move"),
    (Detached, "reaches-only-the-mover", "on its turn the generator has no gradient"),
    (Hiding, "hides-no-nan", "with a nan in fake_logits the discriminator's value is"),
    (Summing, "tells-of-an-empty-batch", "the discriminator's objective of an empty batch is 0"),
    (Meddling, "depends-on-its-input-alone", "'fake_logits' was changed in place"),
]


@pytest.mark.parametrize(
    ("cls", "name", "seen"), LOSSES, ids=[f"{cls.name} {name}" for cls, name, _ in LOSSES]
)
def test_wrong_losses(toys, cls, name, seen):
    finding = found(cls, toys)[name]
    assert finding.outcome == "failed"
    assert seen in finding.seen


def test_a_relativistic_loss_is_told_what_to_say(toys):
    assert found(Pairing, toys)["gives-a-scalar"].fix == "write `pairs = True` next to `family`"


class Level(kit.ToyGAN):
    """A GAN whose discriminator's last layer begins as zeros (Tester 2026)."""

    name = "level"

    def networks(self, spec):
        nets = super().networks(spec)
        for parameter in nets["discriminator"][-1].parameters():
            nn.init.zeros_(parameter)
        return nets


def test_a_model_may_begin_level(toys):
    """Nobody has a gradient then, before somebody has moved."""
    findings = found(Level, toys)
    assert [name for name, finding in findings.items() if not finding.ok] == []


class Undeclared(kit.ToyGAN):
    """Reads what it has not declared (Tester 2026)."""

    name = "undeclared"

    def play(self, player, nets, batch):
        return super().play(player, nets, {**batch, "noise": batch["nois"]})


class Seeded(kit.ToyGAN):
    """Begins at the same point whatever the seed (Tester 2026)."""

    name = "seeded"

    def networks(self, spec):
        nets = super().networks(spec)
        for net in nets.values():
            for parameter in net.parameters():
                nn.init.constant_(parameter, 0.1)
        return nets


class Flat(kit.ToyGAN):
    """Its samples have another shape (Tester 2026)."""

    name = "flat"

    def sample(self, nets, batch):
        return super().sample(nets, batch).flatten()


class Silent(kit.ToyGAN):
    """Does not show what it promises (Tester 2026)."""

    name = "silent"
    shows = ("codes",)


class Astray(kit.ToyGAN):
    """Its recipe is of another world (Tester 2026)."""

    name = "astray"
    recipe = {"loss": "toy-los"}


MODELS = [
    (Undeclared, "declares-its-draws", "it reads 'nois'; in the batch there are data, labels, noise, step"),
    (Seeded, "starts-by-seed", "seeds 0 and 1 begin at the same parameters"),
    (Flat, "samples-like-the-data", "12 samples are Tensor of shape (24,), not (12, 2)"),
    (Silent, "shows-what-it-says", "'codes' is not there; it gives nothing"),
    (Astray, "its-recipe-is-known", "unknown loss 'toy-los'; did you mean 'toy-loss'?"),
]


@pytest.mark.parametrize(("cls", "name", "seen"), MODELS, ids=[name for _, name, _ in MODELS])
def test_wrong_models(toys, cls, name, seen):
    finding = found(cls, toys)[name]
    assert finding.outcome == ("remark" if cls is Seeded else "failed")
    assert finding.seen == seen


class Forgetful(ganbench.Technique):
    """Remembers in the wrong place: not what a checkpoint holds (Tester 2026)."""

    name = "forgetful"

    def rule(self, inner):
        taken = []

        def apply(gradients, joint, memory, clock):
            taken.append(None)
            joint, memory = inner.apply(gradients, joint, memory, clock)
            return {player: flat / (1 + 1e-3 * len(taken)) for player, flat in joint.items()}, memory

        return inner._replace(apply=apply)


def test_wrong_techniques(toys):
    findings = found(named(Forgetful), toys)
    assert "restored, its parameters are off by" in findings["restores"].seen
    assert findings["reaches-only-the-mover"].seen == "on the turn of discriminator the generator moved"


METRICS = {
    "declares-its-values": (
        {"values": {"mine": "up"}},
        "the direction of 'mine' is 'up'; choose from higher, lower",
    ),
    "measures-what-it-declares": (
        {"measure": lambda self, e: {"other": 1.0}},
        "metric 'mine' measured 'other', which is not among its `values`; choose from mine",
    ),
    "measures-the-same-again": (
        {"measure": lambda self, e: {"mine": torch.rand(()).item()}},
        "torch's global generator was used",
    ),
    "changes-no-samples": (
        {"measure": lambda self, e: {"mine": float(e.real(9).mul_(2).sum())}},
        "the real samples were changed in place",
    ),
    "tells-nan": ({"measure": lambda self, e: {"mine": 3.0}}, "mine of samples that are nan is 3"),
}


@pytest.mark.parametrize("name", METRICS)
def test_wrong_metrics(toys, name):
    members, seen = METRICS[name]
    good = {"values": {"mine": "lower"}, "measure": lambda self, e: {"mine": math.nan}}
    finding = found(named(ganbench.Metric, **{**good, **members}), toys)[name]
    assert finding.outcome == "failed"
    assert finding.seen == seen


def test_a_metric_that_changes_its_samples(toys):
    members = {
        "values": {"mine": "lower"},
        "measure": lambda self, e: {"mine": float(e.samples.mul_(0).sum())},
    }
    finding = found(named(ganbench.Metric, **members), toys)["changes-no-samples"]
    assert finding.seen == "of the evaluation, the 'samples' was changed in place"


def test_what_a_metric_raises_is_told_once(toys):
    """The other checks point to the first, whose advice is not of numbers."""
    members = {"values": {"mine": "lower"}, "measure": lambda self, e: 1 / 0}
    findings = found(named(ganbench.Metric, **members), toys)
    assert [name for name, one in findings.items() if not one.ok] == ["measures-what-it-declares"]
    assert findings["measures-what-it-declares"].fix == "correct the code that raised it"
    echoes = [one for one in findings.values() if one.seen == "it raises; see `measures-what-it-declares`"]
    assert len(echoes) == 3


def test_a_metric_without_values_is_told_once(toys):
    findings = found(named(ganbench.Metric, measure=lambda self, e: {"mine": 1.0}), toys)
    failed = {name: one.seen for name, one in findings.items() if not one.ok}
    assert list(failed) == ["declares-its-values"]
    assert failed["declares-its-values"].startswith("Mine has no `values`")


def data(**changes):
    x = torch.zeros(4, 2)
    return ganbench.Data(**{"train": x, "test": x[:2], **changes})


DATASETS = {
    "says-what-it-lacks": (
        lambda self, root: (root / "a").read_text(),
        "in an empty folder it raised FileNotFoundError",
    ),
    "loads-the-same-again": (
        lambda self, root: data(train=torch.rand(4, 2)),
        "torch's global generator was used",
    ),
    "its-samples-are-sound": (
        lambda self, root: data(test=torch.zeros(2, 3)),
        "train is float32 4 x 2, the held-out part float32 2 x 3",
    ),
    "its-labels-are-sound": (
        lambda self, root: data(train_labels=torch.tensor([0, 1, 2, 3]), classes=3),
        "train_labels goes from 0 to 3, of 3 classes",
    ),
}


@pytest.mark.parametrize("name", DATASETS)
def test_wrong_datasets(toys, name):
    load, seen = DATASETS[name]
    finding = found(named(ganbench.Dataset, load=load), toys)[name]
    assert finding.outcome == "failed"
    assert seen in finding.seen


EXTRACTORS = {
    "gives-a-row-a-sample": (lambda x: x.flatten(), "features of 10 samples are Tensor of shape (2560,)"),
    "looks-at-each-sample-alone": (lambda x: x.flatten(1) - x.flatten(1).mean(0), "are off by"),
    "is-the-same-again": (lambda x: x.flatten(1) + torch.rand(()), "prepared twice, it gives other features"),
    "passes-nan-on": (
        lambda x: x.flatten(1).nan_to_num(),
        "samples that are nan have features that look sound",
    ),
}


@pytest.mark.parametrize("name", EXTRACTORS)
def test_wrong_extractors(toys, name):
    extract, seen = EXTRACTORS[name]
    members = {"prepare": lambda self, data, cache: extract, "digest": lambda self, data: "1"}
    finding = found(named(ganbench.Extractor, **members), toys)[name]
    assert finding.outcome == "failed"
    assert seen in finding.seen


def test_wrong_loggers(toys):
    finding = found(named(ganbench.Logger, started=lambda self, stack: stack["nothing"]), toys)
    assert finding["takes-a-runs-life"].seen.startswith("KeyError: 'nothing' (")
    finding = found(named(ganbench.Logger, finished=lambda self, stack, runs: runs.clear()), toys)
    assert (
        finding["changes-nothing-it-is-told"].seen
        == "the stack or rows that it was given were changed in place"
    )
    finding = found(named(ganbench.Logger, available=lambda self: "it needs a package"), toys)
    assert finding["takes-a-runs-life"].outcome == "not tried"


def test_wrong_executors(toys):
    def keeping(self, step, written, read):
        kept = [tensor.clone() for tensor in read]
        return lambda: step(*written, *kept)

    def stepping(self, step, written, read):
        step(*written, *read)
        return lambda: step(*written, *read)

    lazy = named(ganbench.Executor, prepare=lambda self, step, written, read: lambda: None)
    for wrong in (lazy, named(ganbench.Executor, prepare=keeping)):
        assert "the state is off by" in found(wrong, toys)["does-what-the-step-does"].seen
    hasty = named(ganbench.Executor, prepare=stepping)
    assert "`prepare` has changed" in found(hasty, toys)["leaves-the-state-until-called"].seen


def test_options(toys):
    @dataclass(frozen=True)
    class Needy(kit.ToyLoss):
        """A loss with options."""

        name = "needy"
        places = ("weigth",)
        weight: float = None

    findings = found(Needy, toys)
    assert findings["refuses-unknown-options"].outcome == "failed"
    assert findings["cites-its-paper"].outcome == "remark"
    assert findings["is-documented"].seen == "the docstring does not mention 'weight'"
    sound = found(Needy, toys, options={"weight": 2.0})
    assert "did you mean 'weight'" in sound["refuses-unknown-options"].seen


def test_an_option_without_a_default_is_told_once(toys):
    @dataclass(frozen=True)
    class Open(kit.ToyLoss):
        """A loss that must be told its weight (Tester 2026)."""

        weight: float

    findings = found(Open, toys)
    assert {name: one.seen for name, one in findings.items() if not one.ok} == {
        "can-be-made": "toy-loss.weight: is missing"
    }
    assert findings["trains"].seen == "it cannot be made; see `can-be-made`"


def test_a_family_of_which_nothing_is_installed_is_not_tried(toys):
    findings = found(named(ganbench.Loss, family="nobody's", low=lambda self, out: out["x"].mean()), toys)
    assert findings["trains"].outcome == "not tried"
    assert findings["trains"].seen == 'no installed component is of its family "nobody\'s"'


def test_a_misspelt_family_is_no_family_of_its_own(toys):
    finding = found(named(kit.ToyLoss, family="adverserial"), toys)["is-of-a-known-family"]
    assert finding.seen.endswith("of its family 'adverserial'; did you mean 'adversarial'?")
    assert finding.fix == 'write `family = "adversarial"`'


def test_an_option_without_a_type_is_none(toys):
    finding = found(named(kit.ToyLoss, target=1.0, steep=True), toys)["types-its-options"]
    assert finding.seen == "`target` has no type, so it is no option; write `target: float = 1.0`"


def test_a_misspelt_arrow_wraps_nothing(toys):
    findings = found(named(ganbench.Technique, objectiv=lambda self, inner: inner), toys)
    told = "wraps none of network, play, objective, field, rule; it has a method `objectiv`"
    assert findings["wraps-something"].seen == f"Mine {told}; did you mean `objective`?"


def test_a_misspelt_method_beside_others(toys):
    """It wraps something, so that nothing else would tell."""
    members = {"objective": lambda self, inner: inner, "ruel": lambda self, inner: inner}
    findings = found(named(ganbench.Technique, **members), toys)
    assert findings["wraps-something"].ok
    assert findings["spells-its-members"].seen == "it has a method `ruel`; did you mean `rule`?"


class Halved(ganbench.Loss):
    """A loss whose discriminator's method is misspelt (Tester 2026)."""

    name = "halved"
    family = "adversarial"

    def discrimnator(self, out):
        return out["fake_logits"].mean()

    def generator(self, out):
        return -out["fake_logits"].mean()


def test_a_misspelt_player_is_told_once(toys):
    findings = found(dataclass(frozen=True)(Halved), toys)
    failed = {name: one.seen for name, one in findings.items() if not one.ok}
    told = "the loss has no objective for 'discriminator'; it has a method `discrimnator`"
    assert failed == {"gives-a-scalar": f"{told}; did you mean `discriminator`?"}
    assert findings["trains"].seen == "a player has no objective; see `gives-a-scalar`"


class Rowwise(kit.ToyLoss):
    """A loss that gives a number a sample (Tester 2026)."""

    name = "rowwise"

    def generator(self, out):
        return -out["fake_logits"]


def test_what_is_no_scalar_is_told_once(toys):
    failed = [name for name, one in found(Rowwise, toys).items() if not one.ok]
    assert failed == ["gives-a-scalar"]


def test_a_forgotten_import_is_told_once_and_named(toys):
    members = {"generator": lambda self, out: F.relu(out["fake_logits"]).mean()}  # noqa: F821
    findings = found(named(kit.ToyLoss, **members), toys)
    failed = {name: one for name, one in findings.items() if not one.ok}
    assert list(failed) == ["gives-a-scalar"]
    assert failed["gives-a-scalar"].fix == "did you forget `from torch.nn import functional as F`?"


def test_a_component_of_a_family_of_its_own(toys):
    """A saddle of two scalars: players of other names, turns at once."""
    findings = found(ToyDuel, toys)
    assert findings["trains"].ok
    assert findings["mappable"].ok


def test_compiled_is_an_executor_like_any(toys):
    assert Compiled.kind == "executor"
    assert {one.name for one in checks_of("executor") if one.kinds} == {
        "does-what-the-step-does",
        "leaves-the-state-until-called",
    }


# -- in pytest


AUTHORS_TEST = """
from ganbench.testing import LossChecks, ModelChecks
from ganbench.testing.toys import ToyGAN, ToyLoss

class TestLoss(LossChecks):
    component = ToyLoss
    skip = ("mappable",)

class TestWrong(ModelChecks):
    component = ToyLoss

def test_game(ganbench_game):
    assert ganbench_game(ToyLoss).looped().advance(2).isfinite().any()

def test_check(ganbench_check, ganbench_points, ganbench_images):
    assert all(finding.ok for finding in ganbench_check(ToyLoss))
"""


def test_in_an_authors_tests(tmp_path, monkeypatch):
    """One test a check; what is skipped is skipped; a class of another kind says so; fixtures are there."""
    path = tmp_path / "test_mine.py"
    path.write_text(AUTHORS_TEST)
    monkeypatch.chdir(tmp_path)

    class Outcomes:
        found = {}

        def pytest_runtest_logreport(self, report):
            if report.when == "call" or report.failed:
                self.found[report.nodeid.partition("::")[2]] = report.outcome

    plugin = [] if registered() else ["-p", "ganbench.testing.plugin"]
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--rootdir",
        str(tmp_path),
        *plugin,
        str(path),
    ]
    pytest.main(arguments, plugins=[Outcomes()])
    names = [one.name for one in checks_of("loss")]
    for name in names:
        assert Outcomes.found[f"TestLoss::test_it[{name}]"] == ("skipped" if name == "mappable" else "passed")
    assert Outcomes.found["test_game"] == Outcomes.found["test_check"] == "passed"
    wrong = {outcome for name, outcome in Outcomes.found.items() if "TestWrong" in name}
    assert wrong == {"failed"}


def registered():
    """Whether pytest has found the plugin by its entry point."""
    from importlib.metadata import entry_points

    return any(entry.value == "ganbench.testing.plugin" for entry in entry_points(group="pytest11"))


def test_how_a_finding_ends_a_test():
    settle(Finding("a", "passed", "All is well."))
    with pytest.raises(AssertionError, match="expected: All is well"):
        settle(Finding("a", "failed", "All is well.", "it is not", "fix it"))
    with pytest.raises(pytest.skip.Exception, match="no files"):
        settle(Finding("a", "not tried", "All is well.", "no files"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        settle(Finding("a", "remark", "All is well.", "nearly"))
    assert caught[0].category is testing.CheckRemark


def test_the_public_names():
    assert sorted(testing.__all__) == testing.__all__
    assert all(hasattr(testing, name) for name in testing.__all__)
    assert LossChecks.kind == "loss"
    assert Case.__doc__
