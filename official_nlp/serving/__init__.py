"""Trained models in formats for servers, phones and other programs without this package.

This list is the public API; a part is imported on first use.
"""

from official_nlp.lazy_imports import lazy_attributes

_WHERE = {
    "export": ".export_model:export",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_attributes(__name__, _WHERE)
