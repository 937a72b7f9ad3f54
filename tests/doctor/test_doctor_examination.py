"""What is asked, and what follows where a question has no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from made_findings import FACTS, agreement

from ganbench.doctor import agreement as of_agreement
from ganbench.doctor import examination as examination_of
from ganbench.doctor import facts, memory, repetition, speed, waits, ways
from ganbench.doctor.advice import advice
from ganbench.doctor.children import Lost
from ganbench.doctor.examination import Examination
from ganbench.doctor.findings import Way

HUNG = Lost("hung", "stopped after 5 s")
DIED = Lost("died", "killed by SIGSEGV: the context is dead")


@pytest.fixture
def answers(monkeypatch) -> dict[Callable[..., Any], Callable[..., Any]]:
    """What each question is answered with: functions to be replaced. Nothing is really asked."""
    given: dict[Callable[..., Any], Callable[..., Any]] = {
        facts.facts: lambda device: FACTS,
        ways.way: lambda name, device: Way(name, True, 1.0),
        of_agreement.agreements: lambda asked, device: tuple(
            agreement(game=game, way=way) for game, way in asked
        ),
        waits.waits: lambda way: Lost("raised", "not in this test"),
        repetition.digests: lambda games, way, device: dict.fromkeys(games, "abc"),
        memory.memory: lambda way: Lost("raised", "not in this test"),
        speed.rates: lambda stacks, device: (),
    }
    monkeypatch.setattr(examination_of, "ask", lambda seconds, function, *args: given[function](*args))
    return given


def examine(device: str = "cpu") -> tuple[Examination, list[str]]:
    asked: list[str] = []
    return Examination(device, 5, asked.append), asked


def stopped(report) -> bool:
    return any(one.stops for one in advice(report))


def test_a_cpu_is_asked_what_it_can_answer(answers):
    examination, asked = examine()
    report = examination.full()
    assert report.way == "compiled"
    assert [way.name for way in report.ways][:3] == ["compiled", "loop", "eager"]
    assert (report.waits, report.memory) == (None, None)
    assert report.repetitions is not None
    assert all(one.equal for one in report.repetitions)
    assert not stopped(report)
    assert asked[-1] == "speed on cpu"


def test_a_gpu_is_asked_everything(answers):
    examination, asked = examine("cuda")
    report = examination.full()
    assert report.way == "cuda-graph"
    assert {"waits", "memory", "speed on cpu", "speed on cuda"} <= set(asked)
    assert {one.game for one in report.agreements} == set(of_agreement.Name)
    assert [one.game for one in report.agreements if one.way == "cuda-graph"] == list(examination_of.COMPILED)


@pytest.mark.parametrize("lost", [HUNG, DIED], ids=["hang", "death"])
def test_a_way_that_is_lost_is_one_that_does_not_work(answers, lost):
    answers[ways.way] = lambda name, device: lost if name == "compiled" else Way(name, True, 1.0)
    report = examine()[0].full()
    assert report.ways[0] == Way("compiled", False, 0.0, lost.reason)
    assert report.way == "loop"
    assert report.agreements is None, "the loop is what others are compared with"
    assert not stopped(report)


def test_where_no_way_works_training_cannot_go_on(answers):
    answers[ways.way] = lambda name, device: DIED
    examination, asked = examine("cuda")
    report = examination.full()
    assert report.way is None
    assert stopped(report)
    assert not {"agreement", "waits", "memory", "speed on cpu"} & set(asked)


@pytest.mark.parametrize(
    ("question", "field"),
    [
        (facts.facts, "facts"),
        (of_agreement.agreements, "agreements"),
        (waits.waits, "waits"),
        (repetition.digests, "repetitions"),
        (memory.memory, "memory"),
        (speed.rates, "rates"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_lost_answer_costs_no_other(answers, question, field):
    answers[question] = lambda *args: DIED
    report = examine("cuda")[0].full()
    assert getattr(report, field) == DIED
    assert report.way == "cuda-graph"
    assert report.rates is not None


def test_other_bits_are_seen(answers):
    bits = iter(["abc", "abd"])
    answers[repetition.digests] = lambda games, way, device: dict.fromkeys(games, next(bits))
    report = examine()[0].full()
    assert [one.equal for one in report.repetitions] == [False]


def test_the_quick_part_stops_at_the_first_way_that_works(answers):
    broken = ("cuda-graph", "cuda-graph-uncompiled")
    answers[ways.way] = lambda name, device: Way(name, name not in broken, 1.0)
    examination, asked = examine("cuda")
    report = examination.quick()
    assert report.way == "compiled"
    assert asked == ["facts", *(f"way {name}" for name in (*broken, "compiled")), "agreement", "waits"]


def test_a_cpu_without_a_compiler_is_timed_by_the_loop_alone(answers):
    stacks: list[list[tuple[str, int]]] = []
    answers[ways.way] = lambda name, device: Way(name, name != "compiled", 1.0)
    answers[speed.rates] = lambda asked, device: stacks.append(asked) or ()
    examine()[0].full()
    assert stacks == [[("loop", 1)]]
