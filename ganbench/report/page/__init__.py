"""The report as one self-contained HTML file: no network, no server, no `eval`."""

from ganbench.report.page.page import write_page

__all__ = ["write_page"]
