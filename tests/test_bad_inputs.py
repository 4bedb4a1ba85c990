"""What the public API does with what it cannot take: one clear error of its own. Each
argument of each public callable is replaced by each bad value in turn."""

from __future__ import annotations

import importlib
import linecache
import sys
import warnings
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from pyg_irllrec.training import parse_device
from tests.public_calls import GROUPS, Calls

pytestmark = pytest.mark.usefixtures('process_group')

BAD = (
    *(None, '', 'x', '\ud800', 'a\0', b'\xff', -1, 0, 2.5, 10**30, True, int),
    *(float('nan'), float('inf'), [], {}, [1, 'x'], {'x': object()}, object()),
    *(np.array([1.5]), torch.tensor([float('nan')]), torch.zeros(2, 0)),
    *(torch.zeros(3, 3).long(), torch.tensor([[-1], [0]]), torch.tensor(10**12)),
)
FLOORS = (
    *('functional', 'nn', 'transforms', 'datasets', 'text', 'training', 'explain'),
    *('plot', 'serving', 'utils', 'distributed'),
)
# What nobody calls with arguments: results, errors, protocols and types.
RESULTS = {
    *('ActivePrototype', 'ApproximationError', 'BackboneOutput', 'ChatReply'),
    *('Evidence', 'Explanation', 'FitResult', 'Intent', 'IntentFile', 'IntentRecord'),
    *('InteractionTypes', 'LossOutput', 'NamedIntent', 'NodeExplanation'),
    *('PrototypeExplanation', 'RankedItem', 'RankingBatch', 'Recommendation'),
    *('RecommendationExplanation', 'SampledBatch', 'SimilarUser', 'TuneResult'),
    'VectorFile',
}
ERRORS = {'ChatError', 'EncodingError'}
TYPES = {'AtomicCheckpointIO', 'ChatModel', 'Conversation', 'Message'}
# What a function, an encoder or a transform of the user's own raises is theirs.
OWN_CODE = ('build', 'encoder', 'transform')


def walk(calls: Calls) -> Iterator[tuple[str, str]]:
    """What is wrong, and the call that ends in anything but a clear error, or a result
    of a value of the right kind."""
    for name, (call, right) in calls.items():
        for argument, value in right.items():
            for bad in (*BAD, *variants(value)):
                if bad is int and argument in OWN_CODE:
                    continue
                shown = f'{name}({argument}={bad!r:.80})'
                try:
                    call(**right | {argument: bad})
                except Exception as error:
                    if not is_clear(error):
                        yield 'unclear', f'{shown}: {error!r:.200}'
                else:
                    if not is_kin(bad, value):
                        yield 'accepted', shown


def variants(value: object) -> tuple[Tensor, ...]:
    """A right tensor with another dtype, shape or layout, or other ids."""
    if not isinstance(value, Tensor) or value.dim() == 0:
        return ()
    x = torch.stack(list(value)) if value.dim() == 2 else value
    shapes = x[None], x[:-1], x[:0], x[..., :1], x[..., :0]
    return (x.long(), x.bool(), x.cfloat(), *shapes, x.to_sparse(), x + 10**6, -x)


def is_kin(value: object, right: object) -> bool:
    """Whether a value is of the kind of the right one, as far as there is but one."""
    kinds: dict[type, type | tuple[type, ...]] = {
        **{bool: bool, int: Integral, float: Real, str: (str, list)},
    }
    if value is None or type(right) not in kinds:
        return True
    if isinstance(value, bool) and not isinstance(right, bool):
        return False
    finite = not isinstance(value, float) or np.isfinite(value)
    return isinstance(value, kinds[type(right)]) and bool(finite)


def is_clear(error: Exception) -> bool:
    """Whether this package has raised it, in words."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    file, last = trace.tb_frame.f_code.co_filename, trace.tb_lineno
    lines = ''.join(linecache.getline(file, k) for k in range(last - 5, last + 1))
    words = (
        isinstance(error, (ValueError, OSError, ImportError)) and len(str(error)) > 9
    )
    bare = isinstance(error, UnicodeError)
    return words and not bare and 'pyg_irllrec' in file and 'raise' in lines


@pytest.mark.parametrize('group', GROUPS, ids=lambda group: group.__name__)
def test_every_bad_input_gets_a_clear_error(
    group: Callable[[Path], Calls], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # Some bad values are names of files.
    library = SimpleNamespace(SentenceTransformer=lambda model, device: None)
    monkeypatch.setitem(sys.modules, 'sentence_transformers', library)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        calls = group(tmp_path)
        for call, right in calls.values():
            try:
                call(**right)
            except FileNotFoundError as error:  # A file that is asked for.
                assert is_clear(error)
        found = [': '.join(each) for each in walk(calls)]
    assert not found, '\n'.join(found)


def test_every_public_name_is_called(tmp_path: Path) -> None:
    called = {name.split('.')[0] for group in GROUPS for name in group(tmp_path)}
    public = {
        name
        for floor in FLOORS
        for name in importlib.import_module(f'pyg_irllrec.{floor}').__all__
    }
    assert public - called == RESULTS | ERRORS | TYPES


def test_a_bare_error_is_seen() -> None:
    for bare in (lambda: [][0], lambda: {}['x'], lambda: None.x, lambda: int('x')):
        with pytest.raises(Exception) as caught:
            bare()
        assert not is_clear(caught.value)
    with pytest.raises(ValueError) as caught:
        parse_device('x')
    assert is_clear(caught.value)


def test_what_is_wrong_is_found() -> None:
    def call(flag: object, size: object) -> object:
        return [][0] if size == 0 else flag

    calls: Calls = {'f': (call, {'flag': True, 'size': 1})}
    found = list(walk(calls))
    assert ('accepted', "f(flag='x')") in found
    assert ('unclear', "f(size=0): IndexError('list index out of range')") in found
