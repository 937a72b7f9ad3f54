"""Which stack a worker takes next: one worker prepares a program, and who has it uses it again."""

from __future__ import annotations

import pytest

from ganbench.running.waiting import Waiting
from ganbench.storage.stack_folder import StackFolder


def config(label, executor="compiled", **values):
    """What tells programs apart in a stack's config.json."""
    techniques = [{"name": "r1", "options": {"gamma": values.get("r1.gamma", 0.1)}}]
    variant = {"loss": {"name": label, "options": {}}, "techniques": techniques, "optimizer": {}}
    return {"variants": [variant], "values": [values], "engine": {"executor": executor}}


@pytest.fixture
def waiting(tmp_path):
    """A queue of stacks of the programs a, b, a, a, and the programs' keys by name."""
    queue, keys = Waiting(), {}
    for index, label in enumerate("abaa"):
        folder = StackFolder(tmp_path / f"{label}{index}")
        folder.path.mkdir()
        folder.write_config(config(label))
        queue.add(str(folder.path))
        keys[label] = list(queue._stacks)["ab".index(label)]
    return queue, keys


def taken(queue, own="", elsewhere=(), in_preparation=()):
    program = queue.choose(own, elsewhere, in_preparation, lambda config: True)
    return program and queue.take(program).rpartition("/")[2]


def test_a_worker_takes_all_stacks_of_its_program_first(waiting):
    queue, keys = waiting
    assert [taken(queue, own=keys["a"]) for _ in range(4)] == ["a0", "a2", "a3", "b1"]


def test_another_worker_takes_another_program(waiting):
    queue, keys = waiting
    assert taken(queue, elsewhere=[keys["a"]]) == "b1"
    assert taken(queue, elsewhere=[keys["a"], keys["b"]]) == "a0", "prepared by now, and no other is left"


def test_a_program_in_preparation_is_left_alone(waiting):
    queue, keys = waiting
    preparing = {"elsewhere": [keys["a"]], "in_preparation": [keys["a"]]}
    assert taken(queue, **preparing) == "b1"
    assert taken(queue, **preparing) is None, "it waits rather than compile the same"
    assert taken(queue, elsewhere=[keys["a"]]) == "a0"


def test_a_device_gets_what_is_meant_for_it(waiting):
    queue, keys = waiting
    assert queue.choose("", (), (), lambda config: config["variants"][0]["loss"]["name"] == "b") == keys["b"]
