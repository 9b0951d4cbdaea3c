"""The outputs of a report: terminal, Markdown, CSV, LaTeX and JSON."""
