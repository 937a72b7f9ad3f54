"""The pages of the documentation: every block of code runs, every hook and component has its page."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path

import pytest
from blocks import blocks, follow
from run_cli import ganbench_here, needs_builtins

from ganbench import hookspecs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.parent.name != "adr")
NAMES = [str(path.relative_to(DOCS)) for path in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_block_is_decoration(page: Path) -> None:
    assert [block for block in blocks(page) if not block.has_a_purpose] == []


@pytest.mark.slow
@needs_builtins
@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_block_runs(page: Path, tmp_path: Path) -> None:
    assert_complete(page, dict(follow(blocks(page), tmp_path)))


@needs_builtins
@pytest.mark.timeout(900)  # what it trains may be compiled with a cold cache
def test_a_tutorial_runs_in_one_process(tmp_path: Path, monkeypatch) -> None:
    """Quicker than commands of their own, which start Python and its workers every time."""
    monkeypatch.chdir(tmp_path)
    page = DOCS / "write" / "loss.md"
    assert_complete(page, dict(follow(blocks(page), tmp_path, run_here)))


def run_here(command: str, folder: Path) -> str:
    """What a command of ganbench prints that is run in this process."""
    program, *arguments = shlex.split(command)
    assert program == "ganbench"
    done = ganbench_here(*arguments)
    assert done.code == 0, f"{command}\n{done.out}\n{done.err}"
    return done.out


def assert_complete(page: Path, printed: dict[str, str]) -> None:
    assert printed.keys() == {command for block in blocks(page) for command in block.commands}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, warnings as errors."""
    build = pytest.importorskip("mkdocs.commands.build")
    config = pytest.importorskip("mkdocs.config").load_config(
        str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path_factory.mktemp("site")), strict=True
    )
    build.build(config)
    return Path(config["site_dir"])


def test_every_hook_has_a_page_with_its_signature(site: Path) -> None:
    found = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "ganbench_spec")}
    assert len(found) >= 11
    for name, spec in found.items():
        page = (site / "hooks" / f"{name}.html").read_text(encoding="utf-8")
        text = re.sub(r"<[^>]*>", "", page).replace("&gt;", ">").replace("&#39;", "'")
        assert f"def {name}{inspect.signature(spec)}: ..." in text


@needs_builtins
def test_every_component_has_a_page(site: Path, builtins) -> None:
    for kind, known in builtins.components.items():
        for name in known:
            assert (site / "components" / f"{kind}-{name}.html").is_file()
