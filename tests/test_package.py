from __future__ import annotations

import subprocess
import sys
from importlib.resources import files

import pyg_irllrec

OPTIONAL = (
    'faiss',
    'hypothesis',
    'lightning',
    'matplotlib',
    'openai',
    'pandas',
    'pyarrow',
    'pytest',
    'pytorch_lightning',
    'sentence_transformers',
    'torch_scatter',
    'torch_sparse',
    'torchmetrics',
    'transformers',
    'triton',
)


def test_imports_with_the_hard_dependencies_alone():
    code = f"""
import sys
for name in {OPTIONAL}:
    sys.modules[name] = None
sys.argv = ['x', '--unknown']
import pyg_irllrec
assert pyg_irllrec.nn.LightGCN(2, 2).num_nodes == 4
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ''


def test_is_typed_and_versioned():
    assert files(pyg_irllrec).joinpath('py.typed').is_file()
    assert pyg_irllrec.__version__.count('.') == 2


def test_every_public_name_is_there_and_documented():
    for module in (
        pyg_irllrec.functional,
        pyg_irllrec.nn,
        pyg_irllrec.datasets,
        pyg_irllrec.text,
        pyg_irllrec.transforms,
        pyg_irllrec.utils,
    ):
        assert module.__doc__
        for name in module.__all__:
            assert getattr(module, name).__doc__, f'{module.__name__}.{name}'
