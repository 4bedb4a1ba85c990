"""Every public name has an example in its docstring, and the examples run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('fastapi')
pytest.importorskip('httpx')
pytest.importorskip('lightning')
pytest.importorskip('matplotlib')
pytest.importorskip('pyarrow')

PACKAGES = (
    'pyg_irllrec',
    'pyg_irllrec.datasets',
    'pyg_irllrec.distributed',
    'pyg_irllrec.explain',
    'pyg_irllrec.functional',
    'pyg_irllrec.nn',
    'pyg_irllrec.plot',
    'pyg_irllrec.presets',
    'pyg_irllrec.serving',
    'pyg_irllrec.serving.http',
    'pyg_irllrec.testing',
    'pyg_irllrec.text',
    'pyg_irllrec.training',
    'pyg_irllrec.transforms',
    'pyg_irllrec.utils',
)
# These need a server, a language model or a download: the example is only compiled.
NOT_RUN = frozenset(
    {
        'pyg_irllrec.datasets.goodreads.Goodreads',
        'pyg_irllrec.datasets.irllrec_dataset.IRLLRecDataset',
        'pyg_irllrec.datasets.last_fm.LastFM',
        'pyg_irllrec.datasets.movie_lens.MovieLens',
        'pyg_irllrec.serving.http.serve.serve',
        'pyg_irllrec.text.chat.local_chat.LocalChat',
        'pyg_irllrec.text.encoders.sentence_encoder.SentenceEncoder',
    }
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def documented() -> dict[str, Any]:
    """Classes and functions by qualified name, each once."""
    found = {}
    for name in PACKAGES:
        package = importlib.import_module(name)
        own = [n for n, v in vars(package).items() if is_defined(v, name, n)]
        for public in getattr(package, '__all__', own):
            value = getattr(package, public)
            if str(getattr(value, '__module__', '')).startswith('pyg_irllrec'):
                found[f'{value.__module__}.{value.__qualname__}'] = value
    return found


def is_defined(value: Any, module: str, name: str) -> bool:
    return getattr(value, '__module__', '') == module and not name.startswith('_')


NAMES = documented()


@pytest.mark.parametrize('name', sorted(NAMES))
def test_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = doctest.DocTestParser().get_doctest(
        NAMES[name].__doc__, {}, name, None, None
    )
    assert examples.examples, 'no example (>>>) in the docstring'
    if name in NOT_RUN:
        for example in examples.examples:
            compile(example.source, name, 'single')
        return
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(examples, out=report.append)
    assert runner.failures == 0, ''.join(report)
