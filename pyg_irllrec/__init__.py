r"""Intent representation learning with language models, for PyTorch Geometric."""

from importlib import import_module
from types import ModuleType

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

# They need an extra, or are of no use at run time: imported when first asked for.
_LAZY = ('explain', 'plot', 'serving', 'testing', 'training')

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


def __getattr__(name: str) -> ModuleType:
    if name in _LAZY:
        return import_module(f'{__name__}.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
