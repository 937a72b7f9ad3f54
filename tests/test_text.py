"""What stacks are called."""

from __future__ import annotations

import pytest

from ganbench.text import stack_label


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
