"""What stacks are called."""

from __future__ import annotations

import pytest

from ganbench.text import (
    duration,
    first_line,
    listed,
    plain_text,
    plural,
    printable,
    size,
    stack_label,
    techniques_label,
)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["a/b", "a/b"], "a/b"),
        (["a/b [x=1]", "a/b [x=1]"], "a/b [x=1]"),
        (["a/b [x=1]", "a/b [x=1]", "a/b [x=0.5]"], "a/b [2 values of x]"),
        (["a [batch=4, x=1]", "a [batch=4, x=2]"], "a [batch=4, 2 values of x]"),
        (["a [x=1, y=1]", "a [x=1, y=2]", "a [x=2, y=3]"], "a [2 values of x, 3 values of y]"),
        (["a/b", "a/c", "a/d"], "a/b and 2 more"),
        (["a/b [x=1]", "a/c [x=2]"], "a/b [x=1] and 1 more"),
        (["a [x=1] #aa", "a [x=1] #bb"], "a [x=1] #aa and 1 more"),
    ],
)
def test_a_stack_is_called_by_all_of_its_variants(labels, told):
    assert stack_label(labels) == told


def test_sizes_and_durations():
    assert [size(n) for n in (512, 3_100_000, 2e9)] == ["512 bytes", "3.1 MB", "2.0 GB"]
    assert [duration(s) for s in (45, 720, 11_520)] == ["45 s", "12 min", "3.2 h"]


def test_techniques_have_one_label():
    assert techniques_label(["r1", "ema"]) == "r1+ema"
    assert techniques_label([]) == "plain"


def test_safe_text():
    assert printable("a\x1b[0m\n") == "a\\x1b[0m\\x0a"
    assert plain_text("a\x1b[0m\n") == "a [0m"
    assert first_line(ValueError("\nfirst\nsecond")) == "first"
    assert listed([]) == ""
    assert listed(list("abcde")) == "a, b, c and 2 others"
    assert plural(1, "run") == "1 run"
    assert plural(1200, "run") == "1,200 runs"
