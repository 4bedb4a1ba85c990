r"""A bundle over HTTP (extra :obj:`serve`): a JSON API and a web page."""

from . import _require_fastapi  # noqa: F401  Before modules that need fastapi.
from .app import create_app
from .serve import serve

__all__ = ['create_app', 'serve']
