"""Sharing results: archives that are the same bytes, tell every forgery that can be told, and do no harm."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import TOYS
from run_cli import TOY, Done, files_below, ganbench_here, ganbench_process

import ganbench
from ganbench.errors import BadInput
from ganbench.planning.choice import Settings
from ganbench.plugins.discovery import discover
from ganbench.sharing import archive, retrain
from ganbench.sharing.obstacles import obstacle
from ganbench.sharing.pack import pack
from ganbench.sharing.plugin_files import naming
from ganbench.sharing.verify import Verified, verify
from ganbench.storage.lock import FolderLock
from ganbench.storage.stack_folder import StackFolder, stack_folders
from ganbench.storage.suite_lock import read_lock, write_lock

pytestmark = pytest.mark.usefixtures("without_page")


def trained(folder: Path, *options: str) -> Path:
    with mock.patch("ganbench.report.write_report"):  # it is tested elsewhere, and takes most of the time
        done = ganbench_here("run", TOY, "--out", folder / "toy", "--json", "--workers", "1", *options)
    assert done.code == 0, done.err
    return folder / "toy"


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """Results of the toy suite: looped, 8 runs."""
    return trained(tmp_path_factory.mktemp("published"))


@pytest.fixture
def root(published, tmp_path) -> Path:
    """A copy of them that may be spoilt."""
    return Path(shutil.copytree(published, tmp_path / "toy"))


def verified(root: Path, tmp_path: Path, **options: Any) -> Verified:
    """The archive of `root`, verified."""
    packed = pack(root, tmp_path / "a.zip", **options)
    folder = tmp_path / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return verify(packed.path, folder)


def wrong(found: Verified) -> dict[str, str]:
    """Name -> detail of the checks that fail."""
    return {check.name: check.detail for check in found.checks if check.ok is False}


def stack(root: Path, like: str = "toy-loss-plain") -> StackFolder:
    return next(folder for folder in stack_folders(root) if like in folder.path.name)


# -- packing


def test_the_same_rows_give_the_same_bytes(published, root, tmp_path):
    for path in root.rglob("*"):
        path.touch()
    one, other = pack(published, tmp_path / "one.zip"), pack(root, tmp_path / "other.zip")
    assert one.digest == other.digest
    assert one.path.read_bytes() == other.path.read_bytes()


def test_another_run_that_finds_all_trained_changes_nothing(published, tmp_path):
    one = pack(published, tmp_path / "one.zip")
    trained(published.parent, "--workers", "2")
    assert pack(published, tmp_path / "other.zip").digest == one.digest


def test_folders_merged_either_way_have_one_digest(tmp_path):
    cell = ("--set", 'matrix.loss=["toy-loss"]', "--set", "matrix.techniques=[[]]")
    one, other = (trained(tmp_path / seed, "--set", f"defaults.seeds=[{seed}]", *cell) for seed in ("0", "1"))
    for source, target in ((one, other), (other, one)):
        for folder in stack_folders(source):
            shutil.copytree(folder.path, target / "stacks" / folder.path.name, dirs_exist_ok=True)
    digests = {
        pack(trained(root.parent, "--seeds", "2", *cell), root.parent / "a.zip").digest
        for root in (one, other)
    }
    assert len(digests) == 1


def test_what_tells_when_and_where_is_left_out(root, tmp_path):
    one = pack(root, tmp_path / "one.zip")
    write_lock(
        root, {**read_lock(root), "stacks": [{"seconds": 1.5}], "command": "ganbench run", "host": "me"}
    )
    other = pack(root, tmp_path / "other.zip")
    assert (other.digest, other.path.read_bytes()) == (one.digest, one.path.read_bytes())


def test_files_of_an_archive(published, tmp_path):
    packed = pack(published, tmp_path / "a.zip")
    with zipfile.ZipFile(packed.path) as content:
        names = content.namelist()
        manifest = json.loads(content.read("manifest.json"))
        lock = json.loads(content.read("suite.lock.json"))
        suite = content.read("suite.toml").decode()
    assert suite == TOY.read_text("utf-8").replace("../../toys.py", "plugins/toys.py")
    assert names == sorted(names)
    assert packed.runs == manifest["runs"] == 8
    assert manifest["traces"] == "whole"
    assert not any("samples" in name or "checkpoint" in name or "report" in name for name in names)
    assert not {"command", "stacks"} & lock.keys()
    assert lock["source"] == "toy.toml"
    assert lock["keys"] == read_lock(published)["keys"]


def test_sheets_on_request(published, tmp_path):
    pack(published, tmp_path / "a.zip", sheets=True)
    with zipfile.ZipFile(tmp_path / "a.zip") as content:
        assert sum("samples/" in name for name in content.namelist()) == 8 * 3 + 4


def test_thinned_traces_keep_the_last_step_of_every_run(published, tmp_path):
    found = verified(published, tmp_path, thin=8)
    for whole, thin in zip(stack_folders(published), found.stacks, strict=True):
        rows, kept = whole.traces(), thin.traces()
        ends = rows.groupby("run")["step"].max()
        assert 8 <= kept["step"].nunique() <= 8 + ends.nunique()
        assert kept.groupby("run")["step"].max().equals(ends)
        assert kept.merge(rows.astype({"player": str})).shape == kept.shape
    [skipped] = [check for check in found.checks if check.ok is None]
    assert (found.ok, skipped.name) == (True, "verdicts")


def test_what_has_not_ended_is_left_out(root, tmp_path):
    (stack(root).path / "runs.parquet").unlink()
    done = ganbench_here("pack", root, "-o", tmp_path / "a.zip")
    assert done.code == 0
    assert "toy-loss-plain" in done.err
    assert "left out" in done.err
    found = verified(root, tmp_path)
    assert wrong(found).keys() == {"complete"}


def test_refusals(root, tmp_path):
    def refusal(*arguments: object) -> str:
        done = ganbench_here("pack", *arguments)
        assert (done.code, done.out) == (2, "")
        [line] = done.err.splitlines()
        return line

    other = tmp_path / "notes.txt"
    other.write_text("mine")
    assert "is not an archive" in refusal(root, "-o", other)
    assert other.read_text() == "mine"
    assert "is not an archive" in refusal(root, "-o", tmp_path)
    assert "no such folder" in refusal(tmp_path / "tay")
    assert "cannot be written" in refusal(root, "-o", tmp_path / "no" / "a.zip")
    with FolderLock(root):
        assert "is in use" in refusal(root, "-o", tmp_path / "a.zip")
    for folder in stack_folders(root):
        (folder.path / "runs.parquet").unlink()
    assert "no run has ended" in refusal(root, "-o", tmp_path / "a.zip")


# -- verifying


def test_an_honest_archive_passes(published, tmp_path):
    found = verified(published, tmp_path, sheets=True)
    assert [check.name for check in found.checks] == [
        "checksums", "tables", "keys", "plugins", "rows", "complete", "verdicts",
    ]  # fmt: skip
    assert all(check.ok for check in found.checks), found.checks


def test_the_command_line(published, tmp_path):
    pack(published, tmp_path / "a.zip")
    done = ganbench_here("verify", tmp_path / "a.zip", "--json")
    told = done.json()
    assert (done.code, told["ok"], told["suite"], told["runs"]) == (0, True, "toy", 8)
    assert "8 verdicts follow" in ganbench_here("verify", tmp_path / "a.zip").out


def test_verify_needs_no_torch(published, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('torch is blocked')")
    pack(published, tmp_path / "a.zip")
    done = ganbench_process("verify", "a.zip", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert done.code == 0, done.out + done.err


def test_an_unpacked_archive_is_loaded(published, tmp_path):
    packed = pack(published, tmp_path / "a.zip")
    with pytest.raises(BadInput, match="check an archive with `ganbench verify`, unpack it"):
        ganbench.load(packed.path)
    with zipfile.ZipFile(packed.path) as content:
        content.extractall(tmp_path / "unpacked")
    assert len(ganbench.load(tmp_path / "unpacked").runs) == 8


def test_a_flipped_bit(published, tmp_path):
    packed = pack(published, tmp_path / "a.zip")
    content = bytearray(packed.path.read_bytes())
    content[content.index(b'"steps": 70')] ^= 1
    packed.path.write_bytes(content)
    done = ganbench_here("verify", packed.path)
    assert done.code == 1
    assert "WRONG   checksums" in done.out


def forge_outcome(root: Path) -> None:
    folder = stack(root, "toy-bomb")
    rows = folder.runs().assign(outcome="diverged", onset_step=3)
    folder.write_runs(rows)


def forge_variant(root: Path) -> None:
    folder = stack(root)
    config = folder.config()
    config["variants"][0]["batch"] = 16
    folder.write_config(config)


def forge_seed(root: Path) -> None:
    folder = stack(root)
    config = folder.config()
    folder.write_config({**config, "seeds": [0, 7]})
    folder.write_runs(folder.runs().assign(seed=[0, 7]))


def forge_source(root: Path) -> None:
    folder = stack(root)
    config = folder.config()
    config["identity"]["components"]["loss toy-loss"][1] = "0" * 64
    folder.write_config(config)


def forge_label(root: Path) -> None:
    folder = stack(root)
    folder.write_runs(folder.runs().assign(loss="wasserstein"))


def forge_late_evaluation(root: Path) -> None:
    folder = stack(root)
    rows = folder.evals()
    folder.write_evals(rows.assign(step=rows["step"] * 2))


def forge_shorter(root: Path) -> None:
    shutil.rmtree(stack(root).path)


def forge_thresholds(root: Path) -> None:
    lock = read_lock(root)
    lock["verdict"] |= {"saturate_accuracy": 0.01, "saturate_steps": 5}
    write_lock(root, lock)


def forge_trace(root: Path) -> None:
    folder = stack(root)
    [(_, _, part)] = folder.trace_parts()
    part.unlink()


def forge_short_trace(root: Path) -> None:
    folder = stack(root)
    [(first, _, part)] = folder.trace_parts()
    rows = folder.traces()
    part.unlink()
    kept = rows[rows["step"] <= 60]
    folder.write_traces(
        first,
        60,
        {name: kept[name].to_numpy() for name in kept if name != "player"}
        | {"player": kept["player"].astype(str).to_numpy()},
    )


def forge_configuration(root: Path) -> None:
    folder = stack(root)
    folder.write_config({"keys": 5, "labels": "x", "identity": []})


FORGERIES = {
    forge_outcome: {"verdicts": "not diverged"},
    forge_variant: {"keys": "is not that of its configuration"},
    forge_seed: {"keys": "toy-loss/plain seed 7"},
    forge_source: {"keys": "is not that of its configuration"},
    forge_label: {"rows": "loss is not as configured"},
    forge_late_evaluation: {"rows": "steps that do not exist"},
    forge_shorter: {"complete": "toy-loss/plain is missing"},
    forge_thresholds: {"verdicts": "saturated by its traces, not finished"},
    forge_short_trace: {"verdicts": "behind its verdicts are incomplete"},
    forge_trace: {"tables": "traces have no column 'loss'"},
    forge_configuration: {"keys": "not as ganbench writes it", "rows": "not as ganbench writes it"},
}


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_forgeries_with_right_checksums(forge, root, tmp_path):
    forge(root)
    faults = wrong(verified(root, tmp_path))
    for name, told in FORGERIES[forge].items():
        assert told in faults.pop(name)
    assert not faults or forge is forge_configuration


def test_keys_of_older_results_cannot_be_checked(root, tmp_path):
    for folder in stack_folders(root):
        folder.write_config({k: v for k, v in folder.config().items() if k != "identity"})
    found = verified(root, tmp_path)
    assert found.ok
    assert [check.name for check in found.checks if check.ok is None] == ["keys"]


# -- archives that mean harm


def entry(name: str, **attributes: Any) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


def manifest(**changes: Any) -> bytes:
    return json.dumps({"format": "ganbench-results", "schema": 1, "files": {}, **changes}).encode()


LINK = (stat.S_IFLNK | 0o777) << 16
HOSTILE: dict[str, tuple[list[tuple[zipfile.ZipInfo, bytes]], str]] = {
    "traversal": ([(entry("../evil.json"), b"{}")], "'../evil.json'"),
    "below": ([(entry("stacks/../../../evil/config.json"), b"{}")], "never writes"),
    "absolute": ([(entry("/tmp/evil.json"), b"{}")], "'/tmp/evil.json'"),
    "drive": ([(entry("C:\\evil.json"), b"{}")], "never writes"),
    "code": ([(entry("stacks/a/__init__.py"), b"print()")], "never writes"),
    "pickle": ([(entry("stacks/a/checkpoint.pkl"), b"")], "never writes"),
    "terminal": ([(entry("\x1b[31mred"), b"")], r"\x1b[31mred"),
    "link": ([(entry("suite.toml", external_attr=LINK), b"/etc/passwd")], "as a link"),
    "compressed": ([(entry("suite.toml", compress_type=zipfile.ZIP_DEFLATED), b"0" * 10**6)], "compressed"),
    "twice": ([(entry("suite.toml"), b"a"), (entry("suite.toml"), b"b")], "twice"),
    "no manifest": ([(entry("suite.toml"), b"a")], "holds no manifest.json"),
    "no JSON": ([(entry("manifest.json"), b"\xff{")], "cannot be read"),
    "deep": ([(entry("manifest.json"), b"[" * 10**5)], "cannot be read"),
    "a list": ([(entry("manifest.json"), b"[]")], "cannot be read"),
    "another format": ([(entry("manifest.json"), manifest(format="x"))], "not an archive that"),
    "later": ([(entry("manifest.json"), manifest(schema=9))], "later version"),
    "empty": ([(entry("manifest.json"), manifest())], "does not hold"),
    "not listed": (
        [(entry("manifest.json"), manifest()), (entry("suite.toml"), b"a")],
        "does not hold what its manifest lists ('suite.toml')",
    ),
}


def refused(path: Path) -> str:
    """What is said of an archive, in one sentence."""
    done = ganbench_here("verify", path)
    assert (done.code, done.out) == (2, "")
    [line] = done.err.splitlines()
    assert "\x1b" not in line
    return line


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives(case, tmp_path):
    entries, told = HOSTILE[case]
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as content:
        for info, text in entries:
            content.writestr(info, text, compress_type=info.compress_type)
    before = files_below(tmp_path)
    assert told in refused(path)
    assert files_below(tmp_path) == before


def test_overlapping_files(published, tmp_path):
    """Entries of the directory that all point to the same large file."""
    packed = pack(published, tmp_path / "a.zip")
    with zipfile.ZipFile(packed.path, "a") as content:
        large = max(content.infolist(), key=lambda info: info.file_size)
        for index in range(100):
            again = entry(f"stacks/a/trace-{index}-{index}.parquet", header_offset=large.header_offset)
            again.file_size, again.compress_size, again.CRC = large.file_size, large.compress_size, large.CRC
            content.filelist.append(again)
        content._didModify = True
    assert "overlap" in refused(packed.path)


def test_a_file_that_is_no_zip_is_bad_input(tmp_path):
    for name, content in {"a.zip": b"", "b.zip": b"PK\x03\x04 no more", "c.zip": b"text"}.items():
        (tmp_path / name).write_bytes(content)
        assert "not an archive that `ganbench pack` made" in refused(tmp_path / name)
    assert "no such file" in refused(tmp_path / "none.zip")
    assert "not an archive" in refused(tmp_path)


def test_too_much_text(published, tmp_path):
    packed = pack(published, tmp_path / "a.zip")
    with mock.patch.object(archive, "LARGEST_TEXT", 1000):
        assert "too large" in refused(packed.path)
    with mock.patch.object(archive, "MOST_FILES", 10):
        assert "the most is 10" in refused(packed.path)


@pytest.mark.parametrize(
    "bomb",
    [
        pa.table({"run": pa.array(np.zeros(10**6, dtype="int32"))}),
        pa.table({"player": pa.array(["x" * 1000] * 10**5)}),
    ],
    ids=["numbers", "texts"],
)
def test_tables_that_grow(bomb, root, tmp_path):
    pq.write_table(bomb, stack(root).path / "evals.parquet", compression="zstd")
    assert (stack(root).path / "evals.parquet").stat().st_size < 10**5
    with mock.patch("psutil.virtual_memory", return_value=SimpleNamespace(total=8 * 10**6)):
        assert "too large to be read" in wrong(verified(root, tmp_path))["tables"]


@pytest.mark.parametrize(
    "table", [b"PAR1", pa.table({"step": pa.array([[1], [2]])})], ids=["broken", "nested"]
)
def test_tables_that_are_none(table, root, tmp_path):
    path = stack(root).path / "evals.parquet"
    path.write_bytes(table) if isinstance(table, bytes) else pq.write_table(table, path)
    assert "evals.parquet cannot be read" in wrong(verified(root, tmp_path))["tables"]


# -- training again


def retrained(path: Path, count: int, *options: object) -> tuple[int, dict[str, Any]]:
    done = ganbench_here(
        "verify", path, "--retrain", count, "--plugin", TOYS, "--workers", 1, "--json", *options
    )
    return done.code, done.json()


def test_a_sample_is_equal_bit_for_bit(published, tmp_path):
    pack(published, tmp_path / "a.zip", thin=8)
    code, told = retrained(tmp_path / "a.zip", 3)
    assert code == 0, told
    assert [(one["ok"], one["exact"]) for one in told["retrained"]] == [(True, True)] * 3
    keys = {one["key"] for one in told["retrained"]}
    assert keys < set(read_lock(published)["keys"])


def test_the_digest_chooses(published, tmp_path):
    found = verified(published, tmp_path)

    def chosen(digest: str, count: int) -> set[str]:
        found.digest = digest
        return {label for sampled in retrain.sample(found, count) for label in sampled.labels()}

    assert chosen("0" * 64, 3) == chosen("0" * 64, 3)
    assert len({frozenset(chosen(f"{index:064x}", 3)) for index in range(20)}) > 10
    assert chosen("0" * 64, 2) < chosen("0" * 64, 5)
    assert len(chosen("0" * 64, 100)) == 8


@pytest.mark.slow
def test_a_mapped_stack_is_trained_as_a_whole(tmp_path):
    root = trained(tmp_path / "results", "--engine", "eager")
    pack(root, tmp_path / "a.zip")
    code, told = retrained(tmp_path / "a.zip", 1)
    assert code == 0, told
    assert [one["exact"] for one in told["retrained"]] == [True] * 2


def change_evals(folder: StackFolder, factor: float) -> None:
    rows = folder.evals()
    folder.write_evals(rows.assign(value=rows["value"] * np.where(rows["step"] > 0, factor, 1.0)))


def change_traces(folder: StackFolder, factor: float) -> None:
    [(first, last, part)] = folder.trace_parts()
    rows = folder.traces()
    part.unlink()
    loss = rows["loss"].to_numpy() * np.where(rows["step"] > 0, factor, 1.0)
    columns = {name: rows[name].to_numpy() for name in rows} | {
        "player": rows["player"].astype(str).to_numpy()
    }
    folder.write_traces(first, last, columns | {"loss": loss.astype("float32")})


def everywhere(root: Path, change: Any, factor: float, processor: str | None = None) -> None:
    for folder in stack_folders(root):
        change(folder, factor)
        if processor:
            folder.write_env({**folder.env(), "processor": processor})


def test_a_better_curve_is_found_out(root, tmp_path):
    everywhere(root, change_evals, 0.999999)
    assert verified(root, tmp_path).ok  # it follows from what it says of itself
    code, told = retrained(tmp_path / "a.zip", 1)
    assert code == 1
    assert "the evaluations differ first at 35, toy-mean" in told["retrained"][0]["detail"]


def test_elsewhere_rounding_may_differ(root, tmp_path):
    everywhere(root, change_traces, 1 + 1e-5, processor="another")
    pack(root, tmp_path / "a.zip")
    code, told = retrained(tmp_path / "a.zip", 2)
    assert code == 0, told
    for one in told["retrained"]:
        assert (one["ok"], one["exact"]) == (True, False)
        assert "agrees as far as it can (processor another there" in one["detail"]


def test_elsewhere_the_first_steps_must_agree(root, tmp_path):
    everywhere(root, change_traces, 1.1, processor="another")
    pack(root, tmp_path / "a.zip")
    code, told = retrained(tmp_path / "a.zip", 1)
    assert code == 1
    assert "it is not the same run" in told["retrained"][0]["detail"]


@pytest.mark.parametrize(("factor", "code"), [(1 + 1e-5, 0), (1.1, 1)])
def test_an_archive_of_a_gpu_is_held_to_what_a_cpu_can_keep(factor, code, root, tmp_path):
    everywhere(root, change_traces, factor)
    for folder in stack_folders(root):
        folder.write_env({**folder.env(), "device": "cuda", "gpu": {"name": "NVIDIA A100"}})
        config = folder.config()
        way = {"device": "cuda", "mapper": "map", "executor": "cuda-graph"}
        folder.write_config({**config, "engine": {**config["engine"], **way}})
    pack(root, tmp_path / "a.zip")
    ended, told = retrained(tmp_path / "a.zip", 1)
    assert ended == code, told
    why = "trained on NVIDIA A100, retrained on a CPU: rounding differs; executor cuda-graph there, loop here"
    for one in told["retrained"]:
        assert why in one["detail"] if code == 0 else "it is not the same run" in one["detail"]


def test_what_a_cpu_trained_can_be_trained_beside_a_gpu(published):
    engine, settings = stack(published).config()["engine"], Settings("cuda", "auto", 1)
    assert retrain._usable(engine, discover(), settings)
    assert not retrain._usable({**engine, "device": "cuda"}, discover(), replace(settings, device="cpu"))


@pytest.mark.parametrize(("factor", "code"), [(1.001, 0), (1000.0, 1)])
def test_elsewhere_the_end_must_be_one_of_the_variants(factor, code, tmp_path):
    cell = ("--set", 'matrix.loss=["toy-loss"]', "--set", "matrix.techniques=[[]]")
    root = trained(tmp_path / "results", "--seeds", "3", *cell)
    everywhere(root, change_evals, factor, processor="another")
    pack(root, tmp_path / "a.zip")
    ended, told = retrained(tmp_path / "a.zip", 1)
    assert ended == code
    assert ("is far from those of the variant" in told["retrained"][0]["detail"]) == bool(code)


def test_other_sources_are_not_trained(root, tmp_path):
    other = tmp_path / "toys.py"
    other.write_text(TOYS.read_text("utf-8") + "\n# changed\n", encoding="utf-8")
    pack(root, tmp_path / "a.zip")
    done = ganbench_here("verify", tmp_path / "a.zip", "--retrain", 2, "--plugin", other, "--workers", 1)
    assert done.code == 0
    assert "skipped retrained  no run was trained again" in done.out
    assert "not tried: another source here of model toy-gan, loss toy-" in told(done)


def test_a_plugin_that_is_not_here(root, tmp_path):
    pack(root, tmp_path / "a.zip")
    done = ganbench_here("verify", tmp_path / "a.zip", "--retrain", 1, "--workers", 1)
    assert done.code == 0
    sentence = "1 run was not tried: toys.py, which the archive holds, is not trusted; read it, then give"
    assert f"{sentence} --trust toys.py" in told(done)
    assert "choose from" not in done.out


def test_a_package_that_is_not_here(published, tmp_path):
    config = stack(published).config()
    owner = {name: ["ganbench-x", digest] for name, (_, digest) in config["identity"]["components"].items()}
    config |= {"identity": {**config["identity"], "components": owner}, "versions": {"loss toy-loss": "x 1"}}
    why = obstacle(config, tmp_path, discover(), None, ())
    assert why == (
        "not installed here: the model toy-gan, the loss toy-loss (x 1), the dataset toy-blob, "
        "the metric toy-mean"
    )


# -- plugins that are single files


@pytest.fixture
def beside(tmp_path) -> Path:
    """A suite and its plugin, a single file, in a folder of their own; trained."""
    folder = tmp_path / "beside"
    folder.mkdir()
    shutil.copy(TOYS, folder / "toys.py")
    (folder / "toy.toml").write_text(
        TOY.read_text("utf-8").replace("../../toys.py", "toys.py"), encoding="utf-8"
    )
    cell = ("--set", 'matrix.loss=["toy-loss"]', "--set", "matrix.techniques=[[]]", "--seeds", "2")
    with mock.patch("ganbench.report.write_report"):
        done = ganbench_here(
            "run", folder / "toy.toml", "--out", folder / "toy", "--workers", 1, "--json", *cell
        )
    assert done.code == 0, done.err
    return folder


def told(done: Done) -> str:
    """What was printed, on one line."""
    return " ".join(done.out.split())


def check_of(found: Verified, name: str) -> tuple[bool | None, str]:
    return next((check.ok, check.detail) for check in found.checks if check.name == name)


def test_plugin_files_are_packed(beside, tmp_path):
    found = verified(beside / "toy", tmp_path)
    assert found.ok
    assert check_of(found, "plugins") == (True, "toys.py as used in training; not executed")
    assert (found.folder / "plugins" / "toys.py").read_bytes() == TOYS.read_bytes()


def test_plugin_files_are_executed_only_with_trust(beside, tmp_path, monkeypatch):
    pack(beside / "toy", tmp_path / "a.zip")
    monkeypatch.chdir(tmp_path)
    with mock.patch("ganbench.plugins.discovery._load_file") as loaded:
        done = ganbench_here("verify", "a.zip", "--retrain", 2, "--workers", 1)
    assert not loaded.called
    assert done.code == 0
    assert told(done).count("2 runs were not tried: toys.py, which the archive holds") == 1
    assert "as used in training; not executed" in done.out
    done = ganbench_here("verify", "a.zip", "--retrain", 2, "--workers", 1, "--trust", "toys.py")
    assert done.code == 0, done.out
    assert "2 runs were trained again, 2 of them equal bit for bit" in done.out
    assert "executed, for you trust it: toys.py" in done.out
    assert "not executed" not in done.out


def test_what_was_seen_is_wrapped_and_the_runs_are_listed(beside, tmp_path):
    pack(beside / "toy", tmp_path / "a.zip")
    done = ganbench_here("verify", tmp_path / "a.zip", "--retrain", 2, "--workers", 1, columns=80)
    lines = done.out.splitlines()[2:]
    assert max(map(len, lines)) <= 80
    assert lines[-2:] == [f"{' ' * 19}toy-blob/toy-gan/toy-loss/plain seed {seed}" for seed in (0, 1)]


def test_a_plugin_that_no_run_of_the_sample_has_is_told(beside, tmp_path):
    found = verified(beside / "toy", tmp_path)
    [check] = retrain.unsampled(found, [])
    assert (check.ok, check.name) == (None, "not tried")
    assert check.detail.startswith(
        "no run with toys.py is in the sample, of 2 in the archive; a larger --retrain"
    )
    assert list(retrain.unsampled(found, retrain.sample(found, 1))) == []


@pytest.mark.parametrize("name", ["toy.py", "../toys.py", "manifest.json"])
def test_what_cannot_be_trusted(name, beside, tmp_path):
    pack(beside / "toy", tmp_path / "a.zip")
    done = ganbench_here("verify", tmp_path / "a.zip", "--retrain", 2, "--trust", name)
    assert done.code == 2
    assert f"the archive holds no plugin {name!r}" in done.err


def test_trust_is_for_training_again(tmp_path):
    done = ganbench_here("verify", tmp_path / "a.zip", "--trust", "toys.py")
    assert (done.code, done.out) == (2, "")
    assert "--trust needs --retrain N" in done.err


def test_one_that_was_changed_since_is_left_out(beside, tmp_path):
    (beside / "toys.py").rename(tmp_path / "toys.py")
    (beside / "toys.py").write_text("# another\n")
    done = ganbench_here("pack", beside / "toy", "-o", tmp_path / "a.zip")
    assert done.code == 0
    assert "the plugin toys.py is left out: it moved or changed" in done.err
    assert check_of(verified(beside / "toy", tmp_path), "plugins") == (None, "not in it: toys.py")
    assert check_of(verified(beside / "toy", tmp_path, plugins=[tmp_path / "toys.py"]), "plugins")[0]
    done = ganbench_here("pack", beside / "toy", "--plugin", beside / "toys.py")
    assert done.code == 2
    assert "is not a file that these runs were trained with" in done.err


def unpacked(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as content:
        content.extractall(folder)
    return folder


def test_what_was_unpacked_runs_by_its_suite(beside, tmp_path):
    folder = unpacked(pack(beside / "toy", tmp_path / "a.zip").path, tmp_path / "unpacked")
    cell = ("--set", 'matrix.loss=["toy-loss"]', "--set", "matrix.techniques=[[]]", "--seeds", "2")
    done = ganbench_here("plan", folder / "suite.toml", "--out", folder, "--json", *cell)
    assert (done.code, done.json()["cached"]) == (0, 2), done.err


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('plugins = [\n "toys.py", # mine\n]\na = 1', 'plugins = ["plugins/toys.py"]\na = 1'),
        ("a = 1", 'plugins = ["plugins/toys.py"]\na = 1'),
        ('plugins = ["other.py"]', 'plugins = ["other.py", "plugins/toys.py"]'),
        ("plugins = [", "plugins = ["),
        ('t = """\nplugins = []"""\nplugins=[]', 't = """\nplugins = []"""\nplugins=[]'),
    ],
    ids=["several lines", "by an option", "another", "no TOML", "in a text"],
)
def test_a_suite_names_the_packed_ones(before, after):
    packed = {"plugins/toys.py": TOYS.read_bytes()}
    assert naming(before.encode(), TOYS.parent, packed) == after.encode()
    assert naming(before.encode(), TOYS.parent, {}) == before.encode()


def test_a_suite_that_was_moved_is_left_out(beside, tmp_path):
    (beside / "toy.toml").rename(tmp_path / "toy.toml")
    done = ganbench_here("pack", beside / "toy", "-o", tmp_path / "a.zip")
    assert done.code == 0
    assert "the suite's file is left out: it has moved" in done.err


def test_where_they_lay_is_not_told(beside, tmp_path):
    packed = pack(beside / "toy", tmp_path / "a.zip")
    assert str(beside).encode() not in packed.path.read_bytes()
    with zipfile.ZipFile(packed.path) as content:
        assert "toys.py" in json.loads(content.read("manifest.json"))["versions"]


def test_a_forged_one_is_told(beside, tmp_path):
    with mock.patch("ganbench.sharing.pack.gathered", return_value=({"plugins/toys.py": b"evil"}, ())):
        found = verified(beside / "toy", tmp_path)
    assert wrong(found) == {"plugins": "toys.py is not what the runs were trained with"}


@pytest.mark.parametrize("name", ["plugins/../evil.py", "plugins/a/b.py", "plugins/.py", "plugins/-x.py"])
def test_no_other_place_for_them(name, tmp_path):
    archive.write_archive(tmp_path / "a.zip", {"suite.lock.json": b"{}", name: b""}, {})
    with pytest.raises(BadInput, match="never writes"):
        archive.Archive(tmp_path / "a.zip")
