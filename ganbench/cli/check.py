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
# In the order in which the last line counts them.
_COLOURS = {"passed": "green", "failed": "red", "remark": "yellow", "not tried": "yellow"}
_TAIL = 12  # lines of a traceback
_RECENT = 10_000  # bytes at the end of the events that most likely contain the start of the last check


@click.command()
@click.argument("name", metavar="NAME|PACKAGE|FILE")
@click.option("--set", "options", multiple=True, metavar="OPTION=VALUE", help="Set an option.")
@click.option("--skip", multiple=True, metavar="CHECK", help="Skip a check.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=300,
    show_default=True,
    help="Stop a check after this many seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(name: str, options: tuple[str, ...], skip: tuple[str, ...], timeout: float, as_json: bool) -> int:
    """Check one component, or all of a plugin, distribution or file.

    Each must follow the rules of its kind.

    Exit codes: 0 nothing failed, 1 a check failed, 2 nothing has that name.
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
    """Findings of all checks, made in a separate process. Raises BadInput if nothing has that name."""
    # a name with a slash can only be a path: say so, instead of "nothing has that name"
    if (name.endswith(".py") or os.sep in name) and not Path(name).is_file():
        raise BadInput(f"there is no file {printable(name)!r}")
    events, ended = _events(name, settings, timeout)
    findings = []
    # a process that ends before its first check died while it loaded the component
    at = {"component": name, "check": "loads"}
    for event in events:
        event_kind = event.pop("event")
        if event_kind == "bad input":
            raise BadInput(printable("; ".join(event["problems"]), 1000))
        if event_kind == "check":
            at = event
        elif event_kind == "finding":
            findings.append(event)
    if ended:
        finding = {
            "expected": "The checks end.",
            "seen": ended,
            "fix": "do not exit the process, and do not wait forever",
        }
        findings.append({**at, "outcome": "failed", **finding})
    return findings


def _events(name: str, settings: Mapping[str, Any], timeout: float) -> tuple[list[Event], str]:
    """The events of the process, and how it ended if it did not finish all checks; else ""."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as report, tempfile.TemporaryFile() as errors:
        arguments = [name, json.dumps(settings), str(report.fileno())]
        # -P: a file such as random.py in the current folder would otherwise hide the library of that name.
        # A session of its own: killing its group ends what the component started, too.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ganbench.testing.subprocess", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=errors,  # what a component prints must not mix with our own output
            stderr=errors,
            pass_fds=(report.fileno(),),  # the temporary file has no name that could be opened
            start_new_session=True,
        )
        ended = ""
        try:
            if not _ends(process, report, timeout):
                ended = f"it was stopped after {timeout:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        report.seek(0)
        # no line break: the process was killed while it wrote this line
        events = [json.loads(line) for line in report if line.endswith("\n")]
        if events and events[-1]["event"] == "end":
            return events[:-1], ""
        return events, ended or _ended(code, errors)


def _ends(process: subprocess.Popen[bytes], report: IO[str], timeout: float) -> bool:
    """Wait for the end, showing the current check. False if nothing is reported for `timeout` seconds."""
    size, since = -1, 0.0  # -1 is no size, so that the first round sets the time
    with Console(stderr=True).status("") as status:
        while process.poll() is None:
            size, before = os.fstat(report.fileno()).st_size, size
            if size != before:
                since = time.monotonic()
                status.update(Text(_latest(report, size), overflow="ellipsis", no_wrap=True))
            if time.monotonic() - since > timeout:
                return False
            time.sleep(0.05)
    return True


def _latest(report: IO[str], size: int) -> str:
    """The check that started last. `pread` leaves the offset alone, which the process shares for writing."""
    lines = os.pread(report.fileno(), _RECENT, max(0, size - _RECENT)).decode("utf-8", "replace").splitlines()
    begun = next((line for line in reversed(lines) if line.startswith('{"event": "check"')), "")
    with contextlib.suppress(ValueError):  # no check has started, or the line is not complete yet
        event = json.loads(begun)
        return printable(f"{event['component']}: {event['check']}")
    return ""


def _ended(code: int, errors: IO[bytes]) -> str:
    """How the process ended, with its last line of output."""
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - 2000))  # bytes: enough for a last line, however much was printed
    last_line = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    how = f"the process exited with {code}" if code >= 0 else f"the process was killed by {_signal(-code)}"
    return f"{how}: {last_line}" if last_line else how


def _signal(number: int) -> str:
    with contextlib.suppress(ValueError):  # most real-time signals have no names
        return signal.Signals(number).name
    return f"signal {number}"


def _options(given: Sequence[str]) -> dict[str, Any]:
    pairs = [text.partition("=") for text in given]
    wrong = [text for text, (_, equals, _) in zip(given, pairs, strict=True) if not equals]
    if wrong:
        raise BadInput(f"--set {printable(wrong[0])}: must look like option=value")
    return {name.strip(): toml_value(value) for name, _, value in pairs}


def _print(findings: Sequence[Event]) -> None:
    """Each component: the names of passed checks, then everything else in full."""
    width = min(100, shutil.get_terminal_size((80, 24)).columns)
    for component in dict.fromkeys(finding["component"] for finding in findings):
        results = [finding for finding in findings if finding["component"] == component]
        click.secho(printable(component), bold=True)
        passed = [finding["check"] for finding in results if finding["outcome"] == "passed"]
        _entry("passed", ", ".join(passed), width)
        for reason in dict.fromkeys(f["seen"] for f in results if f["outcome"] == "not tried"):
            names = [f["check"] for f in results if f["outcome"] == "not tried" and f["seen"] == reason]
            _entry("not tried", f"{', '.join(names)}: {reason}", width)
        for finding in results:
            if finding["outcome"] in ("remark", "failed"):
                _print_one(finding, width)
    counts = {outcome: sum(f["outcome"] == outcome for f in findings) for outcome in _COLOURS}
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count))


def _print_one(finding: Event, width: int) -> None:
    _entry(finding["outcome"], finding["check"], width)
    for part in ("expected", "seen", "fix"):
        if finding[part]:
            text = textwrap.fill(printable(finding[part], 1000), width, initial_indent=f"    {part}: ",
                                 subsequent_indent=" " * 6)  # fmt: skip
            click.echo(text)
    for line in finding.get("traceback", "").splitlines()[-_TAIL:]:
        click.echo(f"      {printable(line, 1000)}")


def _entry(outcome: str, text: str, width: int) -> None:
    if text:
        # 12 columns: an indent of two, and the outcome in ten
        filled = textwrap.fill(printable(text, 2000), width - 12, break_on_hyphens=False).splitlines()
        click.echo("  " + click.style(f"{outcome:<10}", fg=_COLOURS[outcome]) + filled[0])
        for line in filled[1:]:
            click.echo(" " * 12 + line)
