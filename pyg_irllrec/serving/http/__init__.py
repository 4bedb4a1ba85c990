r"""A bundle over HTTP (extra :obj:`serve`): a service of JSON and one page."""

from . import _require_fastapi  # noqa: F401  Before all that imports it.
from .app import create_app
from .serve import serve

__all__ = ['create_app', 'serve']
