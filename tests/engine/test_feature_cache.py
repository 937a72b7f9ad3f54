from __future__ import annotations

import torch

from ganbench.engine.data import cached

FEATURES = torch.arange(6, dtype=torch.float64).view(3, 2)


def counted():
    counted.calls += 1
    return FEATURES


def ask(folder, data="data", extractor="extractor", n=3):
    found = cached(folder, data, extractor, n, counted)
    assert torch.equal(found, FEATURES)
    assert found.dtype == torch.float64
    return counted.calls


def test_computed_once_for_each_identity(tmp_path):
    counted.calls = 0
    assert [ask(tmp_path), ask(tmp_path)] == [1, 1]
    assert [ask(tmp_path, data="other"), ask(tmp_path, extractor="other"), ask(tmp_path, n=4)] == [2, 3, 4]
    assert ask(tmp_path) == 4


def test_a_damaged_file_is_made_anew(tmp_path):
    counted.calls = 0
    ask(tmp_path)
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:20])
    assert ask(tmp_path) == 2
    assert ask(tmp_path) == 2


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path):
    counted.calls = 0
    (tmp_path / "file").write_text("in the way")
    assert [ask(tmp_path / "file"), ask(tmp_path / "file")] == [1, 2]
