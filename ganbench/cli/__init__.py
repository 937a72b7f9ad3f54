"""The command line. Commands load what they need when they run, so that `--help` is instant."""

from __future__ import annotations

import os
import sys

import click

from ganbench._version import __version__
from ganbench.cli.compare import compare
from ganbench.cli.doctor import doctor
from ganbench.cli.export import export
from ganbench.cli.figure import figure
from ganbench.cli.judge import judge
from ganbench.cli.leaderboard import leaderboard
from ganbench.cli.pack import pack
from ganbench.cli.plan import plan
from ganbench.cli.plugins import plugins
from ganbench.cli.protocol import protocol
from ganbench.cli.report import report
from ganbench.cli.run import run
from ganbench.cli.suites import suites
from ganbench.cli.verify import verify
from ganbench.cli.watch import watch
from ganbench.errors import BadInput

# click stops at 80 columns by default, which leaves little beside the longer options.
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="ganbench")
def cli() -> None:
    """Benchmark the training stability of GANs and VAEs.

    Exit codes: 0 the suite completed (a diverged run is a result), 1 some run crashed or was incompatible,
    2 bad input, 130 interrupted (the same command resumes).
    """


for _command in (
    run,
    plan,
    report,
    figure,
    compare,
    leaderboard,
    export,
    protocol,
    judge,
    suites,
    plugins,
    watch,
    pack,
    verify,
    doctor,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point: bad input becomes a sentence per problem and exit code 2."""
    try:
        # not standalone: click would exit with 1 on Ctrl-C, where a resumable run must give 130
        code = cli.main(standalone_mode=False)
    except BadInput as error:
        _say(*(f"error: {problem}" for problem in error.problems))
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):  # click turns the second into the first
        _say("interrupted")
        code = 130
    except Exception as error:
        if os.environ.get("GANBENCH_TRACEBACK"):
            raise
        _say(f"internal error: {type(error).__name__}: {error}; set GANBENCH_TRACEBACK=1 for the traceback")
        code = 1
    # commands that cannot fail return None
    sys.exit(code if isinstance(code, int) else 0)


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(line, err=True)
