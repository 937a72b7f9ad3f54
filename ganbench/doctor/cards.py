"""What nvidia-smi says of the GPUs. It opens no context on them, unlike torch."""

from __future__ import annotations

import subprocess


def cards() -> tuple[str, ...]:
    """The names of the GPUs; none where nvidia-smi is not there or fails."""
    return query("--query-gpu=name")


def query(question: str) -> tuple[str, ...]:
    """A line for each GPU or process."""
    command = ["nvidia-smi", question, "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip())
