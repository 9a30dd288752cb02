"""The report: rows are collected, then written as JSON, as Markdown and as HTML."""
