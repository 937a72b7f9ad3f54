"""The paragraph on methods, and the main table in the formats of a paper."""

from __future__ import annotations

import io
import json
import shutil
import subprocess

import pandas as pd
import pytest
from made_results import make
from run_cli import ganbench_here as ganbench
from test_report import HOSTILE

from ganbench import load
from ganbench.report.figures.headers import with_headers
from ganbench.report.protocol import protocol


def edited(folder, change):
    """The folder, its lock changed by a function of it."""
    path = folder / "suite.lock.json"
    lock = json.loads(path.read_text("utf-8"))
    change(lock)
    path.write_text(json.dumps(lock), encoding="utf-8")
    return folder


def told(folder) -> dict[str, str]:
    """Subject -> what is said of it."""
    return dict(sentence.split(": ", 1) for sentence in protocol(load(folder)))


def test_what_all_variants_share_is_said_once(tmp_path):
    said = told(make(tmp_path, variants=4, seeds=5, steps=1000))
    assert said["Design"] == "4 variants, 5 seeds (0 to 4), 20 runs in all."
    assert said["Training steps"] == "1,000."
    assert said["Batch size"] == "64."
    assert said["Optimiser"] == "adam (lr = 0.001, betas = [0.5, 0.999])."
    assert said["Evaluation"] == "before the first step and every 100 steps on 2,500 samples."
    assert "n = 2,500" in said["Measured values"]
    assert "explode_ratio = 100" in said["Verdicts"]
    assert "Mann-Whitney" in said["Statistics"]
    assert "ganbench 0.1.0, Python 3.11.7, torch 2.15.0" in said["Versions"]


def test_what_variants_do_not_share_is_said_of_each(tmp_path):
    def change(lock):
        first, second = (variant["config"] for variant in lock["variants"])
        second["steps"] = 2000
        second["optimizer"]["discriminator"]["lr"] = 0.5
        second["dataset"]["name"] = "grid"
        first["techniques"], second["techniques"] = [], []

    said = told(edited(make(tmp_path, variants=2, seeds=[0, 7]), change))
    assert said["Design"].startswith("2 variants, 2 seeds (0, 7)")
    assert said["Training steps"] == "1,000 (ring); 2,000 (grid)."
    assert "discriminator by adam (lr = 0.5" in said["Optimiser"]
    assert "(ring); " in said["Optimiser"]
    assert said["Techniques"] == "none."


def test_a_swept_option_is_one_setting_with_its_values(tmp_path):
    def change(lock):
        for variant, lr in zip(lock["variants"], (0.1, 0.2, 0.3), strict=True):
            variant["swept"] = {"optimizer.generator.lr": lr, "optimizer.generator.betas.0": lr}
            variant["config"]["optimizer"]["generator"].update(lr=lr, betas=[lr, 0.9])

    said = told(edited(make(tmp_path, variants=3, seeds=2), change))
    swept = "swept over 0.1, 0.2, 0.3"
    assert f"generator by adam (lr = {swept}, betas = [{swept}, 0.9])" in said["Optimiser"]


def test_a_threshold_of_the_suite_is_named_apart(tmp_path):
    said = told(edited(make(tmp_path), lambda lock: lock["verdict"].update(modes_ratio=0.5)))
    assert "Set for this suite: modes_ratio = 0.5." in said["Verdicts"]
    assert "modes_ratio = 0.6" not in said["Verdicts"]


def test_the_paragraph_needs_no_finished_run(tmp_path):
    folder = make(tmp_path, variants=2, seeds=2)
    shutil.rmtree(folder / "stacks")
    said = told(folder)
    assert said["Design"].endswith("4 of them have no result yet.")
    assert said["Versions"] == "not recorded."


@pytest.mark.parametrize("form", ["text", "md", "latex"])
def test_hostile_names_are_text(tmp_path, form):
    folder = make(tmp_path, HOSTILE[:3], 2)
    done = ganbench("protocol", folder, "--format", form)
    assert done.code == 0
    assert "\x1b" not in done.out


def test_the_main_table_comes_in_all_formats(tmp_path):
    folder = make(tmp_path, 2, 5)
    forms = {
        form: ganbench("report", folder, "--format", form).out for form in ("md", "latex", "csv", "json")
    }
    summary = load(folder).summary()
    assert list(pd.read_csv(io.StringIO(forms["csv"]))["variant"]) == list(summary["variant"])
    assert json.loads(forms["json"]) == ganbench("report", folder, "--json").json()
    for part in (r"\toprule", r"\caption{", r"\label{tab:", "Wilson"):
        assert part in forms["latex"]
    assert forms["md"].startswith("| variant | runs | failed |")
    assert all("wrote" not in text for text in forms.values())


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_table_and_paragraph_compile(tmp_path):
    folder = make(tmp_path / "r", 2, 5)
    parts = [ganbench(command, folder, "--format", "latex").out for command in ("report", "protocol")]
    packages = r"\usepackage[T1]{fontenc}\usepackage{textcomp,booktabs}"
    text = [r"\documentclass{article}", packages, r"\begin{document}", *parts, r"\end{document}"]
    (tmp_path / "p.tex").write_text("\n".join(text), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "p.tex"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


def test_headers_are_words_and_swept_options_keep_their_names():
    frame = pd.DataFrame(columns=["variant", "failure_low", "p_holm", "onset_step", "r1.gamma_x"])
    assert list(with_headers(frame)) == [
        *("variant", "failure rate, 95% from", "p (Holm)", "onset step", "r1.gamma_x"),
    ]
