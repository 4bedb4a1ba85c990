r"""The site: `make docs` builds it."""

from __future__ import annotations

from importlib.metadata import version as installed
from typing import Any

from sphinx.application import Sphinx

project = 'pyg_irllrec'
author = 'The pyg_irllrec maintainers'
copyright = author
version = release = installed(project)

extensions = [
    'sphinx.ext.autodoc',
    'sphinx.ext.autosummary',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'myst_nb',
    'sphinx_copybutton',
    'sphinx-mathjax-offline',
]
templates_path = ['_templates']
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = project
html_static_path = ['_static']
html_css_files = ['tables.css']
myst_enable_extensions = ['dollarmath', 'fieldlist', 'deflist']
myst_heading_anchors = 3
nb_execution_mode = 'off'  # The site shows the stored outputs: make notebooks.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [('Shapes', 'Shape')]
napoleon_use_rtype = False
nitpicky = True
# What other projects document: the site is built without a network.
nitpick_ignore_regex = [
    (
        'py:.*',
        r'(torch|torch_geometric|torch_sparse|lightning|numpy|scipy|pandas|pyarrow|polars'
        r'|openai|pathlib|collections|optuna|matplotlib|huggingface_hub|json|ray)(\..*)?',
    ),
    (
        'py:.*',
        r'(Path|HeteroData|SparseTensor|Logger|Callback|Trainer|Tensor|TextTower|table'
        r'|DDPStrategy|DeviceMesh|ProcessGroup|Ranks)',
    ),
    (
        'py:class',
        r'(str|int|float|bool|dict|list|tuple|callable|sequence|optional|bytes|object'
        r'|type|iterable|collection|.* of .*)',
    ),
    ('py:meth', r'(edge_updater|eval|forward|parameters|propagate|state_dict)'),
    ('py:exc', r'[A-Z]\w*Error'),
    ('py:obj', r'(?s).*'),  # Code, as PyG marks it.
]


def skip_foreign(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: Any
) -> bool | None:
    """Leaves out what a class inherits from another project."""
    function = getattr(obj, 'fget', None) or getattr(obj, '__func__', obj)
    owner = getattr(function, '__objclass__', function)
    module = getattr(owner, '__module__', None) or project
    return True if module.partition('.')[0] != project else None


def setup(app: Sphinx) -> None:
    """Sphinx calls it."""
    app.connect('autodoc-skip-member', skip_foreign)
