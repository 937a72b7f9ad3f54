"""Published suites: an archive and a report of each, and the table of all of them in the README beside them.

python -m benchmarks.publish results/quickstart results/failures --out results/published
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import ganbench
from ganbench.judging.outcomes import Outcome
from ganbench.report.markdown import report_text
from ganbench.report.tables import markdown_table
from ganbench.sharing.pack import pack
from ganbench.sharing.verify import Verified, verify

THIN = 200
"""Steps that are kept of each trace: too few to judge by, but a checkout stays small."""
BEGIN, END = "<!-- published: begin -->", "<!-- published: end -->"


def main() -> None:
    """Publish suites, and renew the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", nargs="*", type=Path, help="folders of suites")
    parser.add_argument("--out", type=Path, default=Path("results/published"))
    given = parser.parse_args()
    for root in given.results:
        publish(root, given.out)
    renew(given.out)


def publish(root: Path, out: Path) -> None:
    """Write a suite's archive and its report as Markdown."""
    results = ganbench.load(root)
    pack(root, out / f"{results.name}.zip", THIN)
    (out / f"{results.name}.md").write_text(report_text(results), encoding="utf-8")


def renew(out: Path) -> None:
    """Write the table of all archives into README.md, in the place that is marked there."""
    page = out / "README.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(out)}\n{END}{after}", encoding="utf-8")


def table(out: Path) -> str:
    """One row an archive, as Markdown."""
    rows = []
    for path in sorted(out.glob("*.zip")):
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(_row(path, verify(path, Path(scratch))))
    return markdown_table(["suite", "archive", "runs", "failed", "trained on", "digest"], rows, right=(2, 3))


def _row(path: Path, found: Verified) -> list[str]:
    if not found.ok:
        raise SystemExit(f"{path} is not sound: look at `ganbench verify {path}`")
    results, name = ganbench.load(found.folder), path.stem
    failed = int((results.runs["outcome"] != Outcome.FINISHED).sum())
    machines = [
        f"{machine['device']}, {machine['processor']}, torch {machine['packages']['torch']}"
        for machine in results.environments
    ]
    counts = [str(len(results.runs)), str(failed)]
    return [f"[{name}]({name}.md)", f"[{path.name}]({path.name})", *counts, "; ".join(machines), found.digest]


if __name__ == "__main__":
    main()
