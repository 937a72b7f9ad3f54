"""The archives in results/published are sound, and are those that its table lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from run_cli import ganbench_here

from benchmarks import publish

FOLDER = Path(__file__).parents[2] / "results" / "published"
ARCHIVES = sorted(FOLDER.glob("*.zip"))


def test_there_are_some():
    assert ARCHIVES


@pytest.mark.parametrize("path", ARCHIVES, ids=[path.stem for path in ARCHIVES])
def test_an_archive_is_sound_and_its_digest_is_told(path):
    done = ganbench_here("verify", path)
    assert done.code == 0, done.err
    (digest,) = re.findall(r"^digest +(\w+)$", done.out, re.M)
    assert digest in (FOLDER / "README.md").read_text("utf-8")
    assert path.with_suffix(".md").is_file()


def test_the_table_is_that_of_the_archives(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{publish.BEGIN}\nold\n{publish.END}\nafter\n", encoding="utf-8")
    (tmp_path / ARCHIVES[0].name).write_bytes(ARCHIVES[0].read_bytes())
    publish.renew(tmp_path)
    before, _, *rows, _, after = page.read_text("utf-8").splitlines()
    assert (before, after) == ("before", "after")
    assert rows[2] in (FOLDER / "README.md").read_text("utf-8").splitlines()
    assert len(rows) == 3


def test_an_archive_that_is_not_sound_is_not_listed(tmp_path):
    path = tmp_path / ARCHIVES[0].name
    data = bytearray(ARCHIVES[0].read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SystemExit, match="is not sound"):
        publish.table(tmp_path)
