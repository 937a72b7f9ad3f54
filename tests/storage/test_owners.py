"""Owners of components as results record them, and the form that an earlier version gave them."""

from __future__ import annotations

import pytest

from ganbench.storage.owners import owner_of, owner_text

PACKAGE = {"distribution": "ganbench", "version": "0.1.0", "packaged": True}
FILE = {"distribution": "./a b/l.py", "version": "0", "packaged": False}


@pytest.mark.parametrize(
    ("recorded", "owner", "text"),
    [
        (PACKAGE, PACKAGE, "ganbench 0.1.0"),
        (FILE, FILE, "./a b/l.py"),
        ("ganbench 0.1.0", PACKAGE, "ganbench 0.1.0"),
        ("./a b/l.py 0", FILE, "./a b/l.py"),
        ("x", {"distribution": "x", "version": "", "packaged": False}, "x"),
        ("x 0", {"distribution": "x", "version": "0", "packaged": True}, "x 0"),
    ],
)
def test_an_owner_is_read_in_todays_form_and_in_the_earlier_one(recorded, owner, text):
    assert owner_of(recorded) == owner
    assert owner_text(recorded) == text


def test_a_package_may_be_called_like_a_file():
    odd = {"distribution": "odd.py", "version": "0", "packaged": True}
    assert owner_of(odd) == odd
    assert owner_text(odd) == "odd.py 0"


@pytest.mark.parametrize("recorded", [None, 1, [], {}, {"distribution": "a"}, {**PACKAGE, "packaged": "yes"}])
def test_anything_else_is_no_owner(recorded):
    with pytest.raises(ValueError, match="no owner"):
        owner_of(recorded)
