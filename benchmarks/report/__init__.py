"""The report: rows are collected, then told three times, as JSON, as Markdown and as a page."""
