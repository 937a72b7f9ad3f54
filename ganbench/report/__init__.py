"""Results as something to read: a page, Markdown and CSV in a folder, a table on the terminal."""

from ganbench.report.markdown import write_report
from ganbench.report.terminal import summary_table

__all__ = ["summary_table", "write_report"]
