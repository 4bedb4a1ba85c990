r"""Intent representation learning with language models, for PyTorch Geometric."""

from pyg_irllrec import datasets, functional, nn, presets, text, transforms, utils

__version__ = '0.1.0'

__all__ = [
    '__version__',
    'datasets',
    'functional',
    'nn',
    'presets',
    'text',
    'transforms',
    'utils',
]
