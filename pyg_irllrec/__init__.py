r"""Intent representation learning with language models, for PyTorch Geometric."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyg_irllrec import (
        datasets,
        functional,
        nn,
        presets,
        text,
        transforms,
        typing,
        utils,
    )
    from pyg_irllrec.assemble import build_model

__version__ = '0.1.0'

__all__ = [
    '__version__',
    'build_model',
    'datasets',
    'explain',
    'functional',
    'nn',
    'plot',
    'presets',
    'serving',
    'testing',
    'text',
    'training',
    'transforms',
    'typing',
    'utils',
]


def __getattr__(name: str) -> Any:
    # Imported on first use: torch takes seconds, and some modules need an extra.
    if name == 'build_model':
        return import_module(f'{__name__}.assemble').build_model
    if name in __all__:
        return import_module(f'{__name__}.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
