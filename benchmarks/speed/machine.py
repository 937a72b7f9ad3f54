"""Where it was measured."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
from pathlib import Path

import torch

import ganbench

ROOT = Path(__file__).parents[2]


def describe(device: torch.device) -> dict[str, str]:
    """What a reader needs to judge the figures by, in words."""
    facts = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "compiler": _output("c++", "--version").partition("\n")[0] or "none",
        "compilation cache": "kept" if os.environ.get("TORCHINDUCTOR_CACHE_DIR") else "cold",
        "ganbench": ganbench.__version__,
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }
    if device.type == "cuda":
        facts["cuda"] = f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return facts


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    family = [line.partition(":")[2].strip() for line in lines if line.startswith("cpu family")]
    capability = torch.backends.cpu.get_cpu_capability()
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}{f' (family {family[0]})' if family else ''}, {capability}"


def _commit() -> str:
    """The checkout's commit, and whether it was changed since."""
    commit = _output("git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", "--short=12", "HEAD")
    changed = _output("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return commit + ("+changes" if changed else "") if commit else "none"


def _output(*command: str) -> str:
    """What a program prints, nothing where it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
