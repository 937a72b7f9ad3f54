"""The report as one HTML file that needs nothing else: no network, no server, no `eval`."""

from ganbench.report.page.page import write_page

__all__ = ["write_page"]
