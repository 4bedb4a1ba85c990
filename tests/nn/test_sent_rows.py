from __future__ import annotations

import copy
import pickle
from contextlib import contextmanager

import pytest
import torch

from pyg_irllrec.nn import IRLLRec
from pyg_irllrec.nn._sent_rows import RowSender
from tests.nn.text_models import PAIRWISE, TRIPLETS, build, step


class Events(list):
    """The calls of a CUDA stub, in order."""

    def stream(self, name: str) -> Stream:
        return Stream(name, self)


class Stream:
    device = torch.device('cpu')

    def __init__(self, name: str, events: Events) -> None:
        self.name, self.events = name, events

    def wait_event(self, event: Event) -> None:
        self.events.append(f'{self.name} waits for {event.stream.name}')


class Event:
    def record(self, stream: Stream) -> None:
        self.stream = stream
        stream.events.append(f'{stream.name} records')


@pytest.fixture
def events(monkeypatch):
    """A CUDA stub, so that the model seems to be on a GPU."""
    found = Events()
    empty = torch.empty

    def pinned(*shape, pin_memory=False, **options):
        if pin_memory:
            found.append(f'pinned {shape[0]}')
        return empty(*shape, **options)

    @contextmanager
    def on(stream):
        found.append(f'on {stream.name}')
        yield

    monkeypatch.setattr(torch, 'empty', pinned)
    monkeypatch.setattr(torch.cuda, 'Stream', lambda device: found.stream('side'))
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda _: found.stream('main'))
    monkeypatch.setattr(torch.cuda, 'Event', Event)
    monkeypatch.setattr(torch.cuda, 'stream', on)
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self: self)
    monkeypatch.setattr(
        torch.Tensor,
        'record_stream',
        lambda self, stream: found.append(f'{stream.name} keeps {tuple(self.shape)}'),
    )
    monkeypatch.setattr(IRLLRec, '_sends_rows', lambda self, _: self._is_stubbed)
    monkeypatch.setattr(IRLLRec, '_is_stubbed', True, raising=False)
    return found


DISTINCT = TRIPLETS.add(torch.tensor([[0], [12], [12]])).unique().numel()
SENDS = [
    *(f'pinned {(DISTINCT, 6)}', f'pinned {(DISTINCT, 5)}'),
    *('on side', 'side records'),
]


def test_rows_that_are_sent_ahead_give_the_same_step(events):
    model = build('host', features=False, **PAIRWISE)
    model._is_stubbed = False
    total, grads = step(model)
    model._is_stubbed = True
    batch = model.prefetch(TRIPLETS)
    assert events == SENDS and model._sender.find(TRIPLETS.clone()) is None
    same, same_grads = step(model, batch)
    assert torch.equal(total, same) and all(map(torch.equal, grads, same_grads))
    kept = [f'main keeps {(DISTINCT, width)}' for width in (6, 5)]
    kept.append(f'main keeps {(TRIPLETS.numel(),)}')
    assert events[4:] == ['main waits for side', *kept]
    assert model._sender.find(batch) is None  # Rows are found only once.


def test_a_batch_that_was_not_sent_is_sent_when_it_is_read(events):
    model = build('host', features=False, **PAIRWISE)
    expected = step(build('device', features=False, **PAIRWISE))
    events.clear()
    torch.testing.assert_close(step(model), expected)
    assert [each for each in events if 'keeps' not in each] == [
        *SENDS,
        'main waits for side',
    ]


def test_only_what_a_batch_reads_is_sent(events):
    model = build('host', features=False, profile_weight=0.0)
    model.prefetch(TRIPLETS)  # Translation reads the intents of all nodes.
    assert not any('pinned' in each for each in events)
    step(model)


def test_no_more_than_two_batches_wait(events):
    model = build('host', features=False, **PAIRWISE)
    batches = [model.prefetch(TRIPLETS.clone()) for _ in range(4)]
    sender = model._sender
    assert [sender.find(batch) is not None for batch in batches] == [False] * 2 + [
        *(True, True)
    ]
    first, second = (model.prefetch(TRIPLETS.clone()) for _ in range(2))
    assert sender.find(second) is not None and sender.find(first) is None


def test_a_copy_has_sent_nothing(events):
    model = build('host', features=False, **PAIRWISE)
    batch = model.prefetch(TRIPLETS)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(other._sender) is RowSender and other._sender._ahead == []
    assert model._sender.find(batch) is not None
