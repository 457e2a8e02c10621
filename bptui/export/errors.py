"""The one error of this package: what stands in the way of a prediction or an export, in one line."""

from __future__ import annotations


class ExportError(ValueError):
    """One line that names the culprit and, where there is one, the way out."""
