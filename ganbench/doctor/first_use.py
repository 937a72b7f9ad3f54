"""What `ganbench run` learns of a GPU before it first trains on it, kept in the cache folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError

from ganbench._version import __version__
from ganbench.doctor.advice import advice
from ganbench.doctor.children import Lost
from ganbench.doctor.examination import Examination
from ganbench.doctor.findings import Report
from ganbench.doctor.lines import way_taken
from ganbench.machine.folders import cache_folder
from ganbench.storage.atomic import write_atomic
from ganbench.text import listed, slug

SECONDS = 120.0
"""For each question."""


@dataclass(frozen=True)
class FirstUse:
    """The verdict on a GPU.

    Arguments:
        sound: whether training can go on there, by steps whose numbers were seen to be right.
        summary: what was found, in one line.
    """

    sound: bool
    summary: str


_ADAPTER = TypeAdapter(FirstUse)


def first_use(names: Sequence[str], tell: Callable[[str], None]) -> FirstUse | None:
    """The verdict on GPUs that are new; None where a sound one is kept.

    One is kept for each model of GPU and version of torch and ganbench.

    Arguments:
        names: the models of the GPUs to train on.
    """
    path = _path(names)
    if _kept(path):
        return None
    tell(f"{_models(names)} is new here: it is examined once, for a minute or two")
    verdict = _verdict(_models(names), Examination("cuda", SECONDS, lambda subject: None).quick())
    if verdict.sound:  # others are examined anew: what is wrong may be put right
        with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, lambda temporary: temporary.write_bytes(_ADAPTER.dump_json(verdict)))
    return verdict


def _path(names: Sequence[str]) -> Path:
    name = f"{_models(sorted(names))}-{torch.__version__}-{__version__}"
    return cache_folder() / "doctor" / f"{slug(name, 120)}.json"


def _models(names: Sequence[str]) -> str:
    return listed(list(dict.fromkeys(names)))


def _kept(path: Path) -> bool:
    try:
        _ADAPTER.validate_json(path.read_bytes())
    except (OSError, ValidationError):  # absent, or cut short
        return False
    return True


def _verdict(model: str, report: Report) -> FirstUse:
    faults = [one.text for one in advice(report) if one.stops]
    found = report.agreements or ()
    if isinstance(found, Lost):
        agreeing = []
        faults.append(f"its numbers could not be compared with the CPU's: {found.reason}")
    else:
        agreeing = [one.holds for one in found]
    if faults:
        return FirstUse(False, f"{model}: {faults[0]}; `ganbench doctor` says more")
    compared = f"{sum(agreeing)} of {len(agreeing)} comparisons with the CPU's loop agree"
    return FirstUse(True, f"{model}: {way_taken(report)}; {compared}")
