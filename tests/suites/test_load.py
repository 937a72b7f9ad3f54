"""Suites: what a good file becomes, and that each fault of a bad one is told once, with its path."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from suite_parts import CASES, GOOD, Damp, spoilt, toys

from ganbench.errors import BadInput, Problem
from ganbench.planning.run_key import run_key
from ganbench.plugins.discovery import Catalogue, Failure, Registered
from ganbench.results.pairing import against
from ganbench.suites.load import canonical, find_suite, json_schema, load_suite, plugin_files, structure


@pytest.fixture
def catalogue() -> Catalogue:
    return toys()


SMALL = """
schema = 1
name = "small"
[defaults]
dataset = "dots"
model = "duel"
loss = "push"
steps = 100
"""


def problems_of(path: Path, catalogue: Catalogue, **how: Any) -> list[tuple[str, str]]:
    with pytest.raises(BadInput) as caught:
        load_suite(path, catalogue, **how)
    return [(problem.where, problem.what) for problem in caught.value.problems]


def toml(value: Any) -> str:
    """Plain data as TOML: JSON, but for tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def document(content: dict[str, Any]) -> str:
    return "\n".join(f"{key} = {toml(value)}" for key, value in content.items())


# ---- good suites


def test_a_full_suite_becomes_resolved_variants(catalogue):
    suite = load_suite(GOOD, catalogue)
    assert (suite.name, suite.seeds, suite.plugins) == ("good", (0, 1, 2), ())
    assert [variant.label for variant in suite.variants] == [
        "dots/duel/push/plain",
        "dots/duel/push/damp [damp.gamma=0.1]",
        "dots/duel/push/damp [damp.gamma=1]",
        "dots/duel/push/damp+wrap [damp.gamma=0.1]",
        "dots/duel/push/damp+wrap [damp.gamma=1]",
        "dots/duel/pull/plain",
        "dots/duel/pull/damp+wrap [damp.gamma=0.1]",
        "dots/duel/pull/damp+wrap [damp.gamma=1]",
        "dots/mirror/copy/plain",
    ]
    adam = {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.999], "eps": 1e-8, "weight_decay": 0.0}
    assert suite.variants[1].swept == {"damp.gamma": 0.1}
    assert suite.variants[1].config == {
        "dataset": {"name": "dots", "options": {"size": 10}},
        "model": {"name": "duel", "options": {"hidden": [8, 8], "shape": "round", "slope": 0.2}},
        "loss": {"name": "push", "options": {"margin": 1.0}},
        "techniques": [{"name": "damp", "options": {"gamma": 0.1}}],
        "optimizer": {"discriminator": adam, "generator": adam | {"lr": 2e-3}},
        "steps": 100,
        "batch": 8,
        "precision": "float32",
        "evaluate": {
            "every": 50,
            "samples": 20,
            "metrics": [{"name": "spread", "options": {}}, {"name": "gap", "options": {"power": 2}}],
            "extractors": {},
            "probes": [],
        },
    }
    mirror = suite.variants[-1].config
    assert mirror["model"] == {"name": "mirror", "options": {"depth": 4}}
    assert (mirror["steps"], mirror["optimizer"]) == (200, {"vae": adam})
    assert suite.verdict["vanish_steps"] == 300
    assert suite.verdict["vanish_ratio"] == 1e-3
    assert suite.compare == {"metric": "gap", "baseline": {"loss": "push", "techniques": []}}


def test_a_suite_without_matrix_is_one_variant_with_the_defaults(catalogue, write):
    [variant] = (suite := load_suite(write(SMALL), catalogue)).variants
    assert suite.seeds == tuple(range(10))
    assert suite.compare == {"metric": None, "baseline": None}
    assert variant.config["evaluate"] == {
        "every": 100,
        "samples": 2500,
        "metrics": [],
        "extractors": {},
        "probes": [],
    }
    assert variant.config["optimizer"]["generator"]["name"] == "adam"


def test_tf32_is_in_a_variant_only_where_it_is_true(catalogue, write):
    """So that the run keys of suites that do not ask for it stay what they were."""
    plain, false, true = (
        load_suite(write(SMALL + text), catalogue).variants[0].config
        for text in ("", "tf32 = false", "tf32 = true")
    )
    assert plain == false
    assert true == {**plain, "tf32": True}
    assert run_key(true, 0, {}) != run_key(plain, 0, {})


def test_tf32_can_be_varied(catalogue, write):
    path = write(SMALL + "[matrix]\ntf32 = [false, true]\n[compare]\nbaseline = { tf32 = false }")
    suite = load_suite(path, catalogue)
    assert [variant.label for variant in suite.variants] == [
        "dots/duel/push/plain [tf32=false]",
        "dots/duel/push/plain [tf32=true]",
    ]
    shapes = {canonical(structure(variant.config, catalogue)[0]) for variant in suite.variants}
    assert len(shapes) == 2  # they never share a stack
    configs = {variant.label: variant.config for variant in suite.variants}
    pair = ("dots/duel/push/plain [tf32=true]", "dots/duel/push/plain [tf32=false]")
    assert against(list(configs), configs, dict.fromkeys(configs, suite.compare["baseline"]), True) == [pair]


def test_zero_is_a_seed(catalogue, write):
    assert load_suite(write(SMALL + "seeds = [7, 0]"), catalogue).seeds == (7, 0)


def swept(catalogue, path) -> list[dict[str, float]]:
    return [variant.swept for variant in load_suite(path, catalogue).variants]


def test_a_shared_learning_rate_is_swept_for_all_players_together(catalogue, write):
    path = write(SMALL + 'optimizer = { name = "sgd", lr = { logspace = [1e-3, 1e-1, 3] } }')
    both = [{"optimizer.discriminator.lr": v, "optimizer.generator.lr": v} for v in (0.001, 0.01, 0.1)]
    assert swept(catalogue, path) == both
    assert load_suite(path, catalogue).variants[1].label == "dots/duel/push/plain [lr=0.01]"


def test_a_players_own_sweep_leaves_the_others_alone(catalogue, write):
    path = write(
        SMALL + 'optimizer = { name = "adam", lr = { sweep = [0.1, 0.2] }, '
        "betas = [{ linspace = [0, 0.5, 2] }, 0.9], discriminator = { lr = { sweep = [1, 2, 3] } } }"
    )
    suite = load_suite(path, catalogue)
    assert len(suite.variants) == 2 * 2 * 3
    last = suite.variants[-1]
    assert last.label == "dots/duel/push/plain [lr.discriminator=3, betas.0=0.5, lr=0.2]"
    assert last.swept == {
        "optimizer.discriminator.lr": 3.0,
        "optimizer.discriminator.betas.0": 0.5,
        "optimizer.generator.betas.0": 0.5,
        "optimizer.generator.lr": 0.2,
    }
    assert last.config["optimizer"]["generator"]["betas"] == [0.5, 0.9]


def test_a_sweep_that_every_player_overrides_makes_no_variants(catalogue, write):
    path = write(
        SMALL + 'optimizer = { name = "sgd", lr = { sweep = [1, 2] }, discriminator = { lr = 3 }, '
        'generator = { name = "momentum" } }'
    )
    [variant] = load_suite(path, catalogue).variants
    assert variant.config["optimizer"]["discriminator"]["lr"] == 3.0
    assert variant.config["optimizer"]["generator"] == {
        "name": "momentum", "lr": 0.001, "momentum": 0.9, "weight_decay": 0.0,
    }  # fmt: skip


def test_a_player_that_only_some_models_have_is_overridden_where_it_is(catalogue, write):
    text = SMALL + (
        'optimizer = { name = "sgd", vae = { lr = 5.0 } }\n'
        '[[matrix.include]]\nloss = "push"\n[[matrix.include]]\nmodel = "mirror"\nloss = "copy"'
    )
    duel, mirror = load_suite(write(text), catalogue).variants
    assert {table["lr"] for table in duel.config["optimizer"].values()} == {0.001}
    assert mirror.config["optimizer"] == {"vae": {"name": "sgd", "lr": 5.0, "weight_decay": 0.0}}


def test_structural_options_are_swept_too(catalogue, write):
    suite = load_suite(write(SMALL + "[options.dots]\nsize = { sweep = [1, 2] }"), catalogue)
    assert [v.config["dataset"]["options"]["size"] for v in suite.variants] == [1, 2]
    shapes = {canonical(structure(v.config, catalogue)[0]) for v in suite.variants}
    assert len(shapes) == 2


def test_labels_tell_batches_apart_and_hash_what_they_cannot(catalogue, write):
    text = SMALL + '[matrix]\nbatch = [1, 2]\noptimizer = [{ name = "sgd" }, { name = "adam" }]'
    labels = [variant.label for variant in load_suite(write(text), catalogue).variants]
    assert len(set(labels)) == 4
    assert all(label.startswith("dots/duel/push/plain [batch=") and " #" in label for label in labels)


def test_options_in_the_options_table_apply_to_metrics(catalogue, write):
    text = SMALL + 'evaluate = { metrics = ["gap"] }\n[options.gap]\npower = 3'
    [variant] = load_suite(write(text), catalogue).variants
    assert variant.config["evaluate"]["metrics"] == [{"name": "gap", "options": {"power": 3}}]


def test_an_include_may_change_the_metrics_alone(catalogue, write):
    text = SMALL + 'evaluate = { every = 10, metrics = ["gap"] }\n[[matrix.include]]\nloss = "push"\n'
    [variant] = load_suite(write(text + 'evaluate = { metrics = ["spread"] }'), catalogue).variants
    assert variant.config["evaluate"]["every"] == 10
    assert [metric["name"] for metric in variant.config["evaluate"]["metrics"]] == ["spread"]


INCLUDED = """optimizer = { name = "adam", lr = 0.5, betas = [0.0, 0.9], discriminator = { lr = 0.25 } }
[[matrix.include]]
loss = "push"
"""


@pytest.mark.parametrize(
    ("own", "generator", "discriminator"),
    [
        ("{ lr = 0.125 }", ("adam", 0.125, [0.0, 0.9]), ("adam", 0.25, [0.0, 0.9])),
        ("{ discriminator = { betas = [0.5, 0.9] } }", ("adam", 0.5, [0.0, 0.9]), ("adam", 0.25, [0.5, 0.9])),
        ("{ generator = { lr = 1.0 } }", ("adam", 1.0, [0.0, 0.9]), ("adam", 0.25, [0.0, 0.9])),
        ('{ name = "sgd", lr = 2.0 }', ("sgd", 2.0, None), ("sgd", 2.0, None)),
    ],
)
def test_the_optimizer_of_an_include_is_merged_with_the_defaults(
    catalogue, write, own, generator, discriminator
):
    [variant] = load_suite(write(SMALL + INCLUDED + f"optimizer = {own}"), catalogue).variants
    tables = variant.config["optimizer"]
    for player, expected in (("generator", generator), ("discriminator", discriminator)):
        table = tables[player]
        assert (table["name"], table["lr"], table.get("betas")) == expected


def test_options_of_an_include_are_its_own_and_merged(catalogue, write):
    text = (
        SMALL
        + """[matrix]
loss = ["push"]
[[matrix.include]]
loss = "push"
options = { duel = { slope = 0.5 } }
[options.duel]
hidden = [8]
"""
    )
    usual, own = load_suite(write(text), catalogue).variants
    assert usual.config["model"]["options"] == {"hidden": [8], "shape": "round", "slope": 0.2}
    assert own.config["model"]["options"] == {"hidden": [8], "shape": "round", "slope": 0.5}


# ---- the command line's changes


def test_overrides_change_the_document(catalogue):
    how = ["defaults.batch=16", "matrix.loss.1=push2", "matrix.loss=[\"pull\"]", "options.damp.gamma=2.5",
           "matrix.include.0.steps=100", "matrix.exclude=[]", "compare.baseline.loss=pull"]  # fmt: skip
    suite = load_suite(GOOD, catalogue, overrides=how, seeds=[4, 0], steps=10)
    assert suite.seeds == (4, 0)
    assert len(suite.variants) == 4
    configs = [variant.config for variant in suite.variants]
    assert {c["batch"] for c in configs} == {16}
    assert {c["steps"] for c in configs} == {10}
    assert {c["evaluate"]["every"] for c in configs} == {10}
    assert configs[1]["techniques"] == [{"name": "damp", "options": {"gamma": 2.5}}]


def test_options_of_a_component_that_an_override_has_dropped_are_left_over_not_wrong(catalogue):
    without = ["matrix.techniques=[[]]", "matrix.include=[]", "matrix.exclude=[]"]
    suite = load_suite(GOOD, catalogue, overrides=without)
    assert all(not variant.config["techniques"] for variant in suite.variants)
    [(place, sentence)] = problems_of(GOOD, catalogue, overrides=[*without, "options.damq.gamma=1"])
    assert (place, sentence.partition(";")[0]) == ("options.damq", "no variant uses 'damq'")


@pytest.mark.parametrize(
    ("how", "where", "what"),
    [
        ({"overrides": ["defaults.steps"]}, "--set defaults.steps", "must look like defaults.steps=100"),
        ({"overrides": ["=3"]}, "--set =3", "must look like defaults.steps=100"),
        ({"overrides": ["defaults..steps=3"]}, "--set defaults..steps=3", "must look like"),
        ({"overrides": ["matrix.loss.9=x"]}, "--set matrix.loss.9=x", "'9' is not one of the 2 entries"),
        ({"overrides": ["name.x=1"]}, "--set name.x=1", "name is not a table"),
        ({"overrides": ["defaults.steps=-1"]}, "--set defaults.steps=-1", "must be at least 1 (got -1)"),
        ({"overrides": ["defaults.stesp=1"]}, "--set defaults.stesp=1", "unknown key; did you mean 'steps'?"),
        ({"overrides": ["defaults.loss=pul"]}, "--set defaults.loss=pul", "unknown loss 'pul'; did you mean"),
        ({"overrides": ["defaults.batch=1\nx=2"]}, "--set defaults.batch=1\\x0ax=2", "must be a whole"),
        (
            {"overrides": ["defaults.optimizer={name='sgd', lr='x'}"]},
            "--set defaults.optimizer={name='sgd', lr='x'}: defaults.optimizer.lr",
            "input should be a valid number",
        ),
        ({"seeds": 0}, "--seeds", "there must be at least one seed (got 0)"),
        ({"seeds": [1, 1]}, "--seeds", "entry 1 repeats 1"),
        ({"steps": 0}, "--steps", "must be at least 1 (got 0)"),
    ],
)
def test_bad_overrides_are_named_as_they_were_given(catalogue, how, where, what):
    [(place, sentence)] = problems_of(GOOD, catalogue, **how)
    assert place == where
    assert sentence.startswith(what)


# ---- bad suites


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
@pytest.mark.timeout(10)
def test_each_fault_is_told_once_and_where_it_is(catalogue, write, case):
    told = problems_of(write(spoilt(case)), catalogue)
    wheres, whats = (v if isinstance(v, list) else [v] for v in (case["where"], case["what"]))
    assert sorted(where for where, _ in told) == sorted(wheres)
    for where, what in told:
        expected = whats[wheres.index(where)]
        assert what == expected or (expected.endswith("…") and what.startswith(expected[:-1].rstrip()))
        assert (where + what).isprintable()


def test_there_are_forty_kinds_of_bad_suites():
    assert len({case["id"] for case in CASES}) == len(CASES) >= 40


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is a binary file"),
        (b'schema = 1\nname = "\xff"', "is not UTF-8 (at line 2)"),
        (b"schema = 1\nname = ", "is not TOML: Invalid value (at"),
        (b"schema = 1\nschema = 2", "is not TOML: Cannot overwrite a value (at"),
        (b"a = " + b"[" * 100_000, "is nested too deeply"),
        (b"a = 1" + b"0" * 5000, "is not TOML: Exceeds the limit"),
        (b"#" * 10_000_001, "is too large"),
    ],
)
def test_files_that_are_no_suites(catalogue, write, content, what):
    path = write(content)
    [(where, sentence)] = problems_of(path, catalogue)
    assert where == str(path)
    assert sentence.startswith(what)
    with pytest.raises(BadInput):
        plugin_files(path)


@pytest.mark.parametrize(
    ("name", "what"),
    [("nowhere.toml", "there is no such file"), (".", "is a directory; a suite is a TOML file"),
     ("a\0b.toml", "cannot be read"), ("/dev/zero", "is not a regular file")],
)  # fmt: skip
def test_paths_that_are_no_files(catalogue, tmp_path, name, what):
    [(_, sentence)] = problems_of(tmp_path / name, catalogue)
    assert sentence.startswith(what)


def test_faults_in_all_parts_are_told_at_once(catalogue, write):
    text = GOOD.read_text("utf-8")
    faults = {
        "batch = 8": "batch = 0",
        '["push", "pull"]': '["push", "pul"]',
        "depth": "dept",
        "vanish_steps": "vanish_step",
        "lr = 1e-3": 'lr = "a"',
        "= 2e-3": "= -1.0",
    }
    for old, new in faults.items():
        text = text.replace(old, new)
    assert [where for where, _ in problems_of(write(text), catalogue)] == [
        "defaults.batch",
        "matrix.loss.1",
        "matrix.include.0.options.mirror.dept",
        "defaults.optimizer.lr",
        "defaults.optimizer.generator.lr",
        "verdict.vanish_step",
    ]


# ---- plugins that are not there


BROKEN = Failure("frail", "frail-dist", "ImportError: no module named 'x\n'")


def test_a_failed_plugin_takes_only_its_own_variants(write):
    text = SMALL + '[matrix]\nloss = ["push", "margin-push", "zzz"]\n[options.margin-push]\nmargin = 2'
    plain, margin, other = load_suite(write(text), toys(BROKEN)).variants
    assert plain.unavailable is None
    assert margin.config["loss"] == {"name": "margin-push", "options": {"margin": 2}}
    reason = "loss 'margin-push' is not there; plugin 'frail' of frail-dist failed: ImportError"
    assert margin.unavailable.startswith(reason)
    assert margin.unavailable.isprintable()
    assert "zzz" in other.unavailable
    assert structure(margin.config, toys(BROKEN))[1]["optimizer.generator.lr"] == 1e-3


def test_a_model_that_is_not_there_keeps_its_optimizer(write):
    text = SMALL.replace('"duel"', '"lost"')
    text += 'optimizer = { name = "sgd", lr = { sweep = [1, 2] }, one = { lr = 3 } }'
    first, second = load_suite(write(text), toys(BROKEN)).variants
    assert first.config["optimizer"]["*"]["lr"] == 1.0
    assert second.swept == {"optimizer.*.lr": 2.0}
    assert "model 'lost'" in second.unavailable


def test_a_failed_plugin_is_told_before_what_it_may_have_caused(write):
    text = SMALL + '[matrix]\nloss = ["margin-push"]\n[compare]\nbaseline = { loss = "push" }'
    [(first, why), (where, what)] = problems_of(write(text), toys(BROKEN))
    assert (first, why[:64]) == ("", "loss 'margin-push' is not there; plugin 'frail' of frail-dist fa")
    assert (where, what) == ("compare.baseline", "no variant has loss = push; choose from margin-push")


def test_a_typo_stays_a_typo_beside_a_failed_plugin(write):
    [(where, what)] = problems_of(write(SMALL.replace('"push"', '"pushh"')), toys(BROKEN))
    assert (where, what) == ("defaults.loss", "unknown loss 'pushh'; did you mean 'push'?")


def test_a_component_whose_code_breaks_is_told_as_a_fault(catalogue, write):
    @dataclass(frozen=True)
    class Broken(Damp):
        name: ClassVar[str] = "broken"

        def fits(self, model, loss):
            raise ZeroDivisionError("oh")

    catalogue.components["technique"]["broken"] = Registered(Broken, "toys", "toys", "1")
    told = problems_of(write(SMALL + 'techniques = ["broken"]'), catalogue)
    assert told == [("defaults.techniques", "its plugin fails when asked: ZeroDivisionError: oh")]


# ---- finding


def test_suites_are_found_by_name_or_path(catalogue, tmp_path):
    catalogue.suites["good"] = GOOD
    assert find_suite("good", catalogue) == GOOD
    assert find_suite(str(GOOD), catalogue) == GOOD
    with pytest.raises(BadInput, match=r"unknown suite 'goood'; did you mean 'good'\?"):
        find_suite("goood", catalogue)
    with pytest.raises(BadInput, match="there is no such file"):
        load_suite(find_suite("./nowhere.toml", catalogue), catalogue)


def test_plugins_lie_beside_the_suite(catalogue, write):
    path = write('plugins = ["my.py"]\n' + SMALL)
    assert plugin_files(path) == [path.parent / "my.py"]
    (path.parent / "my.py").write_text("")
    assert load_suite(path, catalogue).plugins == (path.parent / "my.py",)
    assert plugin_files(write('plugins = "my.py"\n' + SMALL)) == []


# ---- structure and canonical JSON


def test_structure_takes_out_what_can_differ_inside_a_stack(catalogue):
    first, second = (v.config for v in load_suite(GOOD, catalogue).variants[3:5])
    (shape, values), (other, _) = structure(first, catalogue), structure(second, catalogue)
    assert canonical(shape) == canonical(other)
    assert shape["techniques"][0]["options"] == {"gamma": None}
    assert shape["techniques"][1]["options"] == {"scale": 1.0}, "it wraps networks: structural"
    assert shape["model"] == first["model"]
    assert values["damp.gamma"] == first["techniques"][0]["options"]["gamma"] == 0.1
    assert values["push.margin"] == 1.0
    assert values["optimizer.generator.lr"] == 2e-3
    assert values["optimizer.discriminator.betas.1"] == 0.999
    assert len(values) == 2 + 2 * 5


def test_canonical_refuses_what_json_has_not():
    assert canonical({"b": [1, 0.1], "a": None}) == '{"a":null,"b":[1,0.1]}'
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical({"a": value})


def test_the_schema_tells_every_key():
    schema = json_schema()
    json.dumps(schema)
    assert schema["properties"].keys() >= {"schema", "name", "defaults", "matrix", "options", "verdict"}
    assert "seeds" in schema["$defs"]["Defaults"]["properties"]
    assert schema["required"] == ["schema", "name"]


def test_suites_need_no_torch():
    code = "import sys, ganbench.suites.load; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- all suites


LOSSES, TECHNIQUES = ["push", "pull"], [[], ["damp"], ["wrap"], ["damp", "wrap"], ["wrap", "damp"]]


@st.composite
def documents(draw) -> tuple[dict[str, Any], int]:
    """A valid document, and the number of its variants."""

    def some(choices):
        return draw(st.lists(st.sampled_from(choices), min_size=1, unique_by=str))

    lists = {"loss": some(LOSSES), "techniques": some(TECHNIQUES), "batch": some([1, 2, 64])}
    cells = [dict(zip(lists, cell, strict=True)) for cell in itertools.product(*lists.values())]
    excluded = draw(st.lists(st.sampled_from(cells), max_size=2, unique_by=str))
    extra = draw(st.lists(st.sampled_from(TECHNIQUES), min_size=1, max_size=3))
    included = [{"batch": 1000 + i, "techniques": techniques} for i, techniques in enumerate(extra)]
    gammas = draw(st.lists(st.floats(0, 1e6), min_size=1, max_size=4, unique=True))
    rates = draw(st.integers(2, 4))
    kept = [cell for cell in cells if cell not in excluded] + included
    count = rates * sum(len(gammas) if "damp" in cell["techniques"] else 1 for cell in kept)
    options = {"damp": {"gamma": {"sweep": gammas}}} if any("damp" in c["techniques"] for c in kept) else {}
    defaults = {
        "dataset": "dots", "model": "duel", "loss": "push", "steps": draw(st.integers(1, 1000)),
        "optimizer": {"name": "adam", "lr": {"logspace": [1e-5, 1.0, rates]}},
    }  # fmt: skip
    matrix = lists | {"exclude": excluded, "include": included}
    return {"schema": 1, "name": "any", "defaults": defaults, "matrix": matrix, "options": options}, count


def shuffled(value: Any) -> Any:
    """The same document with the keys of its tables the other way round (not of the matrix: they order)."""
    if isinstance(value, list):
        return [shuffled(item) for item in value]
    return {key: shuffled(value[key]) for key in reversed(value)} if isinstance(value, dict) else value


@given(documents())
@settings(max_examples=40, deadline=None)
def test_a_suite_has_the_variants_of_its_matrix(tmp_path_factory, drawn):
    content, count = drawn
    path = tmp_path_factory.mktemp("suites") / "any.toml"
    path.write_text(document(content))
    suite = load_suite(path, toys())
    assert len(suite.variants) == len({variant.label for variant in suite.variants}) == count
    assert len({canonical(variant.config) for variant in suite.variants}) == count
    for variant in suite.variants:
        _, values = structure(variant.config, toys())
        assert variant.swept.items() <= values.items()
        assert json.loads(canonical(variant.config)) == variant.config
    path.write_text(document(shuffled(content)))
    assert [canonical(v.config) for v in load_suite(path, toys()).variants] == [
        canonical(v.config) for v in suite.variants
    ]


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
))  # fmt: skip
def test_canonical_json_does_not_depend_on_the_order_of_keys(value):
    assert canonical(shuffled(value)) == canonical(value)
    assert json.loads(canonical(value)) == value


PLACES = [
    "name", "plugins", "defaults.steps", "defaults.optimizer", "defaults.optimizer.lr", "defaults.evaluate",
    "defaults.evaluate.metrics", "matrix", "matrix.loss", "matrix.techniques", "matrix.include",
    "matrix.exclude", "options", "options.damp", "options.damp.gamma", "verdict", "compare",
    "compare.baseline",
]  # fmt: skip


@given(st.sampled_from(PLACES), st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("damp"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["loss", "sweep", "name", "lr", "generator", "x"]), inner, max_size=3),
))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_nothing_but_bad_input_comes_out_of_any_document(place, value):
    shown = toml(value).replace("NaN", "nan").replace("Infinity", "inf")
    told: tuple[Problem, ...] = ()
    try:
        load_suite(GOOD, toys(), overrides=[f"{place}={shown}"])
    except BadInput as error:
        told = error.problems
    assert all((problem.where + problem.what).isprintable() for problem in told)


# -- recipes, and techniques that quarrel

RECIPE = """
schema = 1
name = "recipe"
[defaults]
dataset = "dots"
steps = 100
model = "classic"
"""


def test_a_recipe_fills_what_the_suite_leaves_out(write, catalogue):
    [variant] = load_suite(write(RECIPE), catalogue).variants
    assert variant.label == "dots/classic/pull/damp"
    assert variant.config["batch"] == 7
    optimizer = variant.config["optimizer"]
    assert [optimizer[player]["lr"] for player in ("generator", "discriminator")] == [5e-5, 1e-4]
    assert optimizer["generator"]["name"] == "rmsprop"


def test_a_suite_goes_before_a_recipe(write, catalogue):
    text = (
        RECIPE
        + 'batch = 9\nloss = "push"\noptimizer = { name = "sgd", lr = 0.1 }\n[matrix]\ntechniques = [[]]\n'
    )
    [variant] = load_suite(write(text), catalogue).variants
    assert variant.label == "dots/classic/push/plain"
    assert variant.config["batch"] == 9
    assert variant.config["optimizer"]["discriminator"]["name"] == "sgd"


def test_each_model_of_a_matrix_has_its_own_recipe(write, catalogue):
    text = RECIPE.replace('model = "classic"', 'loss = "push"\n[matrix]\nmodel = ["duel", "classic"]')
    found = load_suite(write(text), catalogue).variants
    assert [v.label for v in found] == ["dots/duel/push/plain", "dots/classic/push/damp"]
    assert [v.config["batch"] for v in found] == [64, 7]


def test_a_recipe_of_something_that_is_not_there(write, catalogue):
    [(where, what)] = problems_of(write(RECIPE.replace("classic", "broken")), catalogue)
    assert where == "defaults.loss"
    assert what == "the recipe of 'broken' names the loss 'pulll', which is not there; name another"


@pytest.mark.parametrize(
    ("techniques", "expected"),
    [
        (["clash", "wrap"], []),
        (["wrap", "clash"], []),
        (["clash"], ["technique 'clash' cannot be used without 'wrap': add it"]),
        (["clash", "damp", "wrap"], ["technique 'clash' cannot be used with 'damp': choose one"]),
    ],
)
def test_techniques_that_quarrel(write, catalogue, techniques, expected):
    path = write(SMALL + f"techniques = {json.dumps(techniques)}\n")
    if not expected:
        assert len(load_suite(path, catalogue).variants) == 1
    else:
        assert problems_of(path, catalogue) == [("defaults.techniques", what) for what in expected]


def test_a_player_that_has_terms_needs_no_loss(write, catalogue):
    [variant] = load_suite(write(SMALL.replace("duel", "extra")), catalogue).variants
    assert set(variant.config["optimizer"]) == {"generator", "discriminator", "encoder"}


def test_a_metric_reads_what_only_some_models_show(write, catalogue):
    measured = SMALL + 'evaluate = { metrics = ["spread", "codes"] }\n'
    told = "metric 'codes' reads mean, vae, which model 'duel' does not show; "
    [(where, what)] = problems_of(write(measured), catalogue)
    assert where == "defaults.evaluate.metrics.1"
    assert what.startswith(told)
    fitting = measured.replace("duel", "mirror").replace("push", "copy")
    assert len(load_suite(write(fitting), catalogue).variants) == 1


def test_an_extractor_has_options_too(write, catalogue):
    [variant] = load_suite(write(SMALL + "[options.looker]\ndepth = 3\n"), catalogue).variants
    assert variant.config["evaluate"]["extractors"] == {"looker": {"weights": "", "depth": 3}}
    [(where, what)] = problems_of(write(SMALL + "[options.looker]\ndeep = 3\n"), catalogue)
    assert (where, "depth" in what) == ("options.looker.deep", True)
    swept = SMALL + "[options.looker]\ndepth = { sweep = [1, 2] }\n"
    assert problems_of(write(swept), catalogue) == [
        ("options.looker", "the options of an extractor cannot be swept")
    ]
