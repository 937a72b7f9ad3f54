"""Rows of streamed tables are gathered while the device computes, and are the same as without that."""

from __future__ import annotations

import threading

import pytest
import torch

from ganbench.engine.rows import Rows

TABLES = {"data": torch.arange(40.0).view(20, 2), "labels": torch.arange(20)}


def rows(streamed=("data",)):
    return Rows(TABLES, (0, 1), 4, 2, {name: TABLES[name] for name in streamed}, pinned=False)


def equal(a, b):
    return all(
        x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)
        for x, y in zip(a, b, strict=True)
    )


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("gather")]


def test_gathered_ahead_they_are_the_same(monkeypatch):
    ahead, plain = rows(), rows()
    assert equal(ahead.of(0), plain.of(0))
    with ahead.gathering(1):
        pass
    assert not threads()
    expected = plain.of(1)
    monkeypatch.setattr(ahead, "_gather", None)  # nothing is gathered again
    assert equal(ahead.of(1), expected)
    for turn in expected:
        assert torch.equal(turn["data"], TABLES["data"][turn["index"]])


def test_they_are_gathered_while_the_body_computes(monkeypatch):
    ahead, begun, met = rows(), threading.Event(), threading.Event()
    gather = ahead._gather

    def waits(chunk):
        begun.set()
        assert met.wait(60)
        return gather(chunk)

    monkeypatch.setattr(ahead, "_gather", waits)
    with ahead.gathering(1):
        assert begun.wait(60)
        met.set()
    assert equal(ahead.of(1), rows().of(1))


def test_another_chunk_than_the_next_is_gathered_when_it_is_read():
    ahead = rows()
    with ahead.gathering(1):
        pass
    assert equal(ahead.of(3), rows().of(3))
    assert equal(ahead.of(1), rows().of(1))


def test_an_error_arrives_where_the_rows_are_read(monkeypatch):
    def fail(chunk):
        raise MemoryError(f"no room for chunk {chunk}")

    ahead = rows()
    monkeypatch.setattr(ahead, "_gather", fail)
    with ahead.gathering(1):
        pass
    with pytest.raises(MemoryError, match="no room for chunk 1"):
        ahead.of(1)


def test_an_error_of_the_body_ends_the_thread():
    ahead = rows()
    with pytest.raises(RuntimeError, match="a step failed"), ahead.gathering(1):
        raise RuntimeError("a step failed")
    assert not threads()


def test_where_nothing_is_streamed_no_thread_is_started():
    ahead = rows(streamed=())
    with ahead.gathering(1):
        assert not threads()
