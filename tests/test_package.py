from __future__ import annotations

import ast
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import pyg_irllrec

OPTIONAL = (
    'faiss',
    'hypothesis',
    'lightning',
    'matplotlib',
    'openai',
    'pandas',
    'pyarrow',
    'pydantic',
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
assert pyg_irllrec.explain.IntentExplainer and pyg_irllrec.testing.BackboneTests
try:
    pyg_irllrec.training
except ImportError as error:
    assert "pip install 'pyg_irllrec[train]'" in str(error), error
else:
    raise AssertionError('training was imported')
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ''


def test_every_name_is_reachable_from_the_top():
    assert set(pyg_irllrec.__all__) <= set(dir(pyg_irllrec))
    for name in pyg_irllrec.__all__:
        assert getattr(pyg_irllrec, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'serving_nothing'"):
        _ = pyg_irllrec.serving_nothing


def test_is_typed_and_versioned():
    assert files(pyg_irllrec).joinpath('py.typed').is_file()
    assert pyg_irllrec.__version__.count('.') == 2


ROOT = Path(__file__).parents[1]
# Modules that only contain names.
UNTESTED = {
    'typing.py',
    # Record types, which are tested with the functions that return them.
    'cli/command.py',
    *(f'serving/{name}.py' for name in ('explanation', 'named_intent')),
    *(f'serving/{name}.py' for name in ('ranked_item', 'similar_user')),
}


def test_every_public_module_has_its_test():
    package = ROOT / 'pyg_irllrec'
    missing = []
    for path in package.rglob('*.py'):
        name = path.relative_to(package)
        private = any(part.startswith('_') for part in name.parts)
        if not private and str(name) not in UNTESTED:
            test = ROOT / 'tests' / name.parent / f'test_{name.name}'
            if not test.is_file():
                missing.append(str(test.relative_to(ROOT)))
    assert not missing, sorted(missing)


def test_no_test_imports_another():
    for path in (ROOT / 'tests').rglob('test_*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ImportFrom):
                parts = (node.module or '').split('.')
                assert not any(part.startswith('test_') for part in parts), path
