"""`ganbench plugins check`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.text import Text

from ganbench.errors import BadInput
from ganbench.suites.toml_file import toml_value
from ganbench.text import printable

Event = dict[str, Any]
_COLOURS = {"passed": "green", "failed": "red", "remark": "yellow", "not tried": "yellow"}
_TAIL = 12  # lines of a traceback
_TOLD = 10_000  # bytes that hold the last check's beginning, most likely


@click.command()
@click.argument("name", metavar="NAME|PACKAGE|FILE")
@click.option("--set", "options", multiple=True, metavar="OPTION=VALUE", help="An option of the component.")
@click.option("--skip", multiple=True, metavar="CHECK", help="A check to leave out.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=300,
    show_default=True,
    help="Seconds a check may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(name: str, options: tuple[str, ...], skip: tuple[str, ...], timeout: float, as_json: bool) -> int:
    """Check a component, all of a plugin or distribution, or a file: what every component must do.

    Exit codes: 0 nothing failed, 1 a check failed, 2 there is nothing of that name.
    """
    settings = {"options": _options(options), "skip": list(skip)}
    findings = run_checks(name, settings, timeout)
    failed = sum(finding["outcome"] == "failed" for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not failed, "findings": findings}, indent=1))
    else:
        _print(findings)
    return 1 if failed else 0


def run_checks(name: str, settings: Mapping[str, Any], timeout: float) -> list[Event]:
    """Findings of all checks, made in a process of their own. BadInput where nothing has that name."""
    if (name.endswith(".py") or os.sep in name) and not Path(name).is_file():
        raise BadInput(f"there is no file {printable(name)!r}")
    events, ended = _events(name, settings, timeout)
    findings = []
    at = {"component": name, "check": "loads"}
    for event in events:
        what = event.pop("event")
        if what == "bad input":
            raise BadInput(printable("; ".join(event["problems"]), 1000))
        if what == "check":
            at = event
        elif what == "finding":
            findings.append(event)
    if ended:
        told = {
            "expected": "The checks come to an end.",
            "seen": ended,
            "mend": "neither leave nor wait forever",
        }
        findings.append({**at, "outcome": "failed", **told})
    return findings


def _events(name: str, settings: Mapping[str, Any], timeout: float) -> tuple[list[Event], str]:
    """What the process told, and how it ended where it did not come to the end."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as told, tempfile.TemporaryFile() as errors:
        arguments = [name, json.dumps(settings), str(told.fileno())]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ganbench.testing.subprocess", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            pass_fds=(told.fileno(),),
            start_new_session=True,
        )
        ended = ""
        try:
            if not _comes_to_its_end(process, told, timeout):
                ended = f"it was stopped after {timeout:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        told.seek(0)
        events = [json.loads(line) for line in told if line.endswith("\n")]
        if events and events[-1]["event"] == "end":
            return events[:-1], ""
        return events, ended or _ended(code, errors)


def _comes_to_its_end(process: subprocess.Popen[bytes], told: IO[str], timeout: float) -> bool:
    """Wait, showing on a terminal where it is. False if it tells nothing new for `timeout` seconds."""
    size, since = -1, 0.0
    with Console(stderr=True).status("") as shown:
        while process.poll() is None:
            size, before = os.fstat(told.fileno()).st_size, size
            if size != before:
                since = time.monotonic()
                shown.update(Text(_latest(told, size), overflow="ellipsis", no_wrap=True))
            if time.monotonic() - since > timeout:
                return False
            time.sleep(0.05)
    return True


def _latest(told: IO[str], size: int) -> str:
    """The check that began last. Read without moving the place at which the process writes."""
    lines = os.pread(told.fileno(), _TOLD, max(0, size - _TOLD)).decode("utf-8", "replace").splitlines()
    begun = next((line for line in reversed(lines) if line.startswith('{"event": "check"')), "")
    with contextlib.suppress(ValueError):  # nothing has begun, or the line is not written to its end
        event = json.loads(begun)
        return printable(f"{event['component']}: {event['check']}")
    return ""


def _ended(code: int, errors: IO[bytes]) -> str:
    """How the process ended, with the last line that it wrote."""
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - 2000))
    said = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    how = f"the process ended with {code}" if code >= 0 else f"it was ended by {_signal(-code)}"
    return f"{how}: {said}" if said else how


def _signal(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _options(given: Sequence[str]) -> dict[str, Any]:
    pairs = [text.partition("=") for text in given]
    wrong = [text for text, (_, equals, _) in zip(given, pairs, strict=True) if not equals]
    if wrong:
        raise BadInput(f"--set {printable(wrong[0])}: must look like option=value")
    return {name.strip(): toml_value(value) for name, _, value in pairs}


def _print(findings: Sequence[Event]) -> None:
    """Each component: what it passed in a line or two, and all else at length."""
    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    for component in dict.fromkeys(finding["component"] for finding in findings):
        own = [finding for finding in findings if finding["component"] == component]
        click.secho(printable(component), bold=True)
        passed = [finding["check"] for finding in own if finding["outcome"] == "passed"]
        _entry("passed", ", ".join(passed), width)
        for reason in dict.fromkeys(f["seen"] for f in own if f["outcome"] == "not tried"):
            names = [f["check"] for f in own if f["outcome"] == "not tried" and f["seen"] == reason]
            _entry("not tried", f"{', '.join(names)}: {reason}", width)
        for finding in own:
            if finding["outcome"] in ("remark", "failed"):
                _print_one(finding, width)
    counts = {outcome: sum(f["outcome"] == outcome for f in findings) for outcome in _COLOURS}
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count))


def _print_one(finding: Event, width: int) -> None:
    _entry(finding["outcome"], finding["check"], width)
    for part in ("expected", "seen", "mend"):
        if finding[part]:
            text = textwrap.fill(printable(finding[part], 1000), width, initial_indent=f"    {part}: ",
                                 subsequent_indent=" " * 6)  # fmt: skip
            click.echo(text)
    for line in finding.get("traceback", "").splitlines()[-_TAIL:]:
        click.echo(f"      {printable(line, 1000)}")


def _entry(outcome: str, text: str, width: int) -> None:
    if text:
        filled = textwrap.fill(printable(text, 2000), width - 12, break_on_hyphens=False).splitlines()
        click.echo("  " + click.style(f"{outcome:<10}", fg=_COLOURS[outcome]) + filled[0])
        for line in filled[1:]:
            click.echo(" " * 12 + line)
