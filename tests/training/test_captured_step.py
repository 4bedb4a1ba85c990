from __future__ import annotations

import copy
import warnings
from importlib import import_module
from itertools import chain, pairwise, product

import pytest
import torch
from torch.autograd.profiler import profile

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import (
    BPRLoss,
    DirectAULoss,
    LossOutput,
    Recommender,
    SoftmaxLoss,
)
from pyg_irllrec.training import (
    CapturedStep,
    InteractionDataModule,
    TripletLoader,
    fit,
)
from pyg_irllrec.training._fixed_ranking import fixed_ranking
from pyg_irllrec.utils import UserItems
from tests.kernel_counts import count_kernels, pretend_cuda
from tests.training.graphs import (
    SYNCHRONISE,
    Graphs,
    RecordedGraphs,
    pretend_graphs,
)

DATA = SyntheticIntents(20, 15, num_intents=2)[0]
PAIRS = DATA['user', 'rates', 'item'].edge_index
BACKBONES = ['lightgcn', 'sgl', 'simgcl', 'dccf', 'bigcf', 'alpharec']
WARM = ['warm up', 'rehearse', 'rehearse']


def build(device: str = 'cpu', **options) -> Recommender:
    """The whole method, with noise and a momentum teacher."""
    torch.manual_seed(0)
    return build_model(DATA, **{'alignment': 'full', **options}).to(device)


def adam(model: Recommender, **options) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        model.parameters(), **{'lr': 1e-2, 'fused': True, **options}
    )


def batches(size: int = 16, number: int = 8, device: str = 'cpu') -> list[torch.Tensor]:
    """Return batches of one size."""
    loader = TripletLoader(UserItems(PAIRS, 20, 15), size)
    found = [each for _ in range(9) for each in loader if each.size(1) == size]
    return [each.to(device) for each in found[:number]]


def train(model, given, **options) -> list[LossOutput]:
    """Train in the plain loop."""
    optimizer, losses = adam(model, **options), []
    torch.manual_seed(1)
    for triplets in given:
        optimizer.zero_grad()
        loss = model.loss(triplets)
        loss.total.backward()
        optimizer.step()
        losses.append(loss)
    return losses


def assert_same(losses: list[LossOutput], expected: list[LossOutput], **close) -> None:
    close = close or {'rtol': 0, 'atol': 0}
    for loss, other in zip(losses, expected, strict=True):
        assert not loss.total.requires_grad
        torch.testing.assert_close(loss.total, other.total.detach(), **close)
        terms = {name: term.detach() for name, term in other.terms.items()}
        torch.testing.assert_close(loss.terms, terms, **close)


@pytest.mark.parametrize('captures', [True, False])
def test_trains_like_the_plain_loop(captures, monkeypatch):
    made = pretend_graphs(monkeypatch) if captures else []
    model, plain = build(), build()
    expected = train(plain, batches())
    step = CapturedStep(model, adam(model))
    torch.manual_seed(1)
    losses = [step(triplets) for triplets in batches()]  # No replay overwrites a loss.
    assert_same(losses, expected)
    torch.testing.assert_close(model.state_dict(), plain.state_dict(), rtol=0, atol=0)
    assert step.captures == captures
    if captures:
        assert made[0].calls == [*WARM, 'capture', *5 * ['replay']]
    assert all(weight.grad is None for weight in model.parameters())


def test_each_replay_draws_new_numbers(monkeypatch):
    pretend_graphs(monkeypatch)
    model = build()
    step = CapturedStep(model, adam(model, lr=0.0))
    (triplets,) = batches(number=1)
    model.intent_projector.momentum = 1.0  # Nothing is learned.
    losses = [step(triplets).terms['translation'] for _ in range(6)]
    assert len({loss.item() for loss in losses}) == 6


def test_each_shape_has_a_graph(monkeypatch):
    (made,) = (pretend_graphs(monkeypatch),)
    model = build()
    step = CapturedStep(model, adam(model))
    long, short = batches(16, 5), batches(8, 5)
    for pair in zip(long, short):
        for triplets in pair:
            step(triplets)
    calls = made[0].calls
    assert calls.count('capture') == 2 and calls.count('replay') == 4
    assert [each for each in calls if each == 'warm up'] == ['warm up'] * 2


def test_many_shapes_run_eagerly(monkeypatch):
    made = pretend_graphs(monkeypatch)
    model, plain = build(), build()
    step = CapturedStep(model, adam(model))
    given = [triplets[:, :size] for size, triplets in zip(range(9, 16), batches())]
    expected = train(plain, given)
    torch.manual_seed(1)
    with pytest.warns(UserWarning, match='more than 4 shapes') as caught:
        losses = [step(triplets) for triplets in given]
    assert len(caught) == 1 and not step.captures
    assert made[0].calls == 4 * ['warm up']
    assert_same(losses, expected)


@pytest.mark.parametrize(
    'options', [{'cause': 'it waits'}, {'error': 'RuntimeError: no'}]
)
def test_a_step_that_cannot_be_captured_runs_eagerly(options, monkeypatch):
    pretend_graphs(monkeypatch, **options)
    model, plain = build(), build()
    expected = train(plain, batches())
    step = CapturedStep(model, adam(model))
    torch.manual_seed(1)
    (cause,) = options.values()
    with pytest.warns(UserWarning, match=f'run eagerly, .*: {cause}') as caught:
        losses = [step(triplets) for triplets in batches()]
    assert len(caught) == 1 and not step.captures
    assert caught[0].filename == __file__
    assert_same(losses, expected)
    torch.testing.assert_close(model.state_dict(), plain.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('change', 'options', 'message'),
    [
        (
            lambda model: None,
            {'fused': False},
            'Adam is neither fused nor capturable: pass',
        ),
        (
            lambda model: model.register_buffer('far', torch.ones(1, device='meta')),
            {},
            "'far' is on meta, not on cpu",
        ),
        (
            lambda model: setattr(model, 'text_storage', 'host'),
            {},
            "texts are read on the CPU, because text_storage is 'host'",
        ),
    ],
)
def test_names_the_cause_without_running_a_step(change, options, message, monkeypatch):
    made = pretend_graphs(monkeypatch)
    model = build()
    change(model)
    step = CapturedStep(model, adam(model, **options))
    with pytest.warns(UserWarning, match=message):
        step(batches()[0])
    assert made[0].calls == []


def change_rate(step: CapturedStep) -> None:
    step.optimizer.param_groups[0]['lr'] = 0.5


def reload_optimizer(step: CapturedStep) -> None:
    step.optimizer.load_state_dict(copy.deepcopy(step.optimizer.state_dict()))


def replace_texts(step: CapturedStep) -> None:
    step.model.intent = step.model.intent.flip(0)


def move_weights(step: CapturedStep) -> None:
    for weight in step.model.parameters():
        weight.data = weight.data.clone()


def freeze(step: CapturedStep) -> None:
    next(step.model.parameters()).requires_grad_(False)


def evaluate(step: CapturedStep) -> None:
    step.model.eval()


def round_products(step: CapturedStep) -> None:
    torch.set_float32_matmul_precision('high')


@pytest.mark.parametrize(
    'change',
    [
        *(change_rate, reload_optimizer, replace_texts, move_weights, freeze, evaluate),
        round_products,
    ],
)
def test_a_change_of_the_fixed_state_is_captured_again(change, monkeypatch):
    made, before = pretend_graphs(monkeypatch), torch.get_float32_matmul_precision()
    model = build()
    step = CapturedStep(model, adam(model))
    for triplets in batches(number=5):
        step(triplets)
    try:
        change(step)
        for triplets in batches(number=3):
            step(triplets)
    finally:
        torch.set_float32_matmul_precision(before)
    again = ['rehearse', 'capture', 'replay', 'replay']
    assert made[0].calls == [*WARM, 'capture', 'replay', 'replay', *again]


def test_changed_values_need_no_new_graph(monkeypatch):
    """Values of weights that are averaged or loaded, and of a rate in a tensor."""
    made = pretend_graphs(monkeypatch)
    model, rate = build(), torch.tensor(1e-2)
    step = CapturedStep(model, adam(model, lr=rate))
    for triplets in batches():
        step(triplets)
        rate.mul_(0.5)
        model.load_state_dict(model.state_dict())
    assert made[0].calls.count('capture') == 1


def test_a_rate_that_changes_at_every_step_is_named(monkeypatch):
    """Capturing each step would take longer than running it."""
    made, model = pretend_graphs(monkeypatch), build()
    step = CapturedStep(model, adam(model))
    with pytest.warns(UserWarning, match="the optimizer's 'lr' changes at every step"):
        for triplets in batches(number=20):
            step.optimizer.param_groups[0]['lr'] *= 0.9
            step(triplets)
    assert made[0].calls.count('capture') == 4 and not step.captures


def test_a_rate_that_changes_once_per_epoch_is_captured(monkeypatch):
    made, model = pretend_graphs(monkeypatch), build()
    step = CapturedStep(model, adam(model))
    long, (short,) = batches(16, 4), batches(8, 1)
    for _ in range(12):
        step.optimizer.param_groups[0]['lr'] *= 0.9
        for triplets in (*long, short):
            step(triplets)
    assert step.captures and made[0].calls.count('capture') > 12


def test_optimizer_states_can_be_exchanged_with_the_plain_loop(monkeypatch):
    """In both directions, and for weights without gradients, too."""
    pretend_graphs(monkeypatch)
    model, plain = build(), build()
    train(plain, batches(number=5))
    step = CapturedStep(model, adam(model))
    torch.manual_seed(1)
    for triplets in batches(number=5):
        step(triplets)
    optimizer = adam(plain)
    optimizer.load_state_dict(step.optimizer.state_dict())
    step.optimizer.load_state_dict(optimizer.state_dict())
    assert step.optimizer.param_groups[0]['capturable'] is False
    assert all(step.optimizer.state.values())
    (group,) = optimizer.state_dict()['param_groups']
    assert group['capturable'] is False


def test_the_optimizer_is_marked_while_it_is_captured(monkeypatch):
    """Torch captures no other optimizer."""
    pretend_graphs(monkeypatch)
    model, seen, capture = build(), [], Graphs.capture
    step = CapturedStep(model, adam(model))
    (group,) = step.optimizer.param_groups

    def look(self, run):
        seen.append(group['capturable'])
        return capture(self, run)

    monkeypatch.setattr(Graphs, 'capture', look)
    for triplets in batches(number=4):
        step(triplets)
    assert seen == [True] and group['capturable'] is False


def test_casts_are_not_cached():
    """Steps equal plain steps in mixed precision without a cache."""
    model, plain = build(), build()
    optimizer, expected = adam(plain), []
    torch.manual_seed(1)
    for triplets in batches(number=3):
        optimizer.zero_grad()
        with torch.autocast('cpu', torch.bfloat16, cache_enabled=False):
            loss = plain.loss(triplets)
        loss.total.backward()
        optimizer.step()
        expected.append(loss)
    step = CapturedStep(model, adam(model))
    torch.manual_seed(1)
    with torch.autocast('cpu', torch.bfloat16):
        losses = [step(triplets) for triplets in batches(number=3)]
    assert_same(losses, expected)


def find_synchronising(model: Recommender, max_users: int | None = 16) -> set[str]:
    """Return the operators of a step that wait for a GPU, by name."""
    (triplets,) = batches(number=1)
    with pretend_cuda(), fixed_ranking(model, None, max_users):
        model.loss(triplets).total.backward()
        with profile() as profiler:
            model.loss(triplets).total.backward()
    names = {event.name.partition('::')[2] for event in profiler.function_events}
    return names & SYNCHRONISE


@pytest.mark.parametrize(
    ('backbone', 'alignment'),
    [
        *product(BACKBONES, ('full', 'auto')),
        *(('lightgcn', 'none'), ('lightgcn', 'reconstruction')),
    ],
)
def test_no_step_waits_for_the_device(backbone, alignment):
    model = build(backbone=backbone, alignment=alignment)
    assert find_synchronising(model) == set()


@pytest.mark.parametrize('backbone', BACKBONES)
def test_recorded_operators_train_like_the_plain_loop(backbone, monkeypatch):
    """No value that a step computes in Python or draws is frozen in a graph."""
    for name in ('info_nce_triton', 'intent_propagate_fused'):
        kernels = import_module(f'pyg_irllrec.functional._kernels.{name}')
        monkeypatch.setattr(kernels, 'can_run_triton', lambda *_: False)
    made = pretend_graphs(monkeypatch, RecordedGraphs)
    given = batches()
    model, plain = (build(backbone=backbone) for _ in range(2))
    with pretend_cuda():
        expected = train(plain, given)
        step = CapturedStep(model, adam(model))
        torch.manual_seed(1)
        losses = [step(triplets) for triplets in given]
    assert_same(losses, expected)
    assert made[0].calls == [*WARM, 'capture', *5 * ['replay']]


RANKINGS = {
    'eager': SoftmaxLoss(impl='eager'),
    'chunked': SoftmaxLoss(impl='chunked'),
    'known': SoftmaxLoss(impl='chunked', known=UserItems(PAIRS, 20, 15)),
    'sampled': SoftmaxLoss(num_samples=5),
    'weighted draws': SoftmaxLoss(num_samples=5, sample_weight=torch.rand(15)),
    'DirectAU': DirectAULoss(),
}


@pytest.mark.parametrize('name', RANKINGS)
def test_no_ranking_waits_for_the_device(name):
    model = build(alignment='auto')
    model.ranking = RANKINGS[name]
    assert find_synchronising(model) == set()
    assert model.ranking is RANKINGS[name]
    assert find_synchronising(model, max_users=None) >= {'_unique2'}


def users_loader(number: int = 16) -> TripletLoader:
    """Return a loader of whole users, whose batches differ in size."""
    return TripletLoader(UserItems(PAIRS, 20, 15), number, batch_by='user')


@pytest.mark.parametrize('name', RANKINGS)
def test_whole_users_train_like_the_plain_loop(name, monkeypatch):
    """Recorded operators work for one size only."""
    for kernels in ('info_nce_triton', 'intent_propagate_fused'):
        module = import_module(f'pyg_irllrec.functional._kernels.{kernels}')
        monkeypatch.setattr(module, 'can_run_triton', lambda *_: False)
    made = pretend_graphs(monkeypatch, RecordedGraphs)
    loader = users_loader()
    epochs = [batch for _ in range(3) for batch in loader]
    assert len({batch.size(1) for batch in epochs}) > 3
    model, plain = build(alignment='auto'), build(alignment='auto')
    for each in (model, plain):
        each.ranking = RANKINGS[name]
    loader = users_loader()
    with pretend_cuda():
        expected = train(plain, epochs)
        step = CapturedStep(model, adam(model), loader)
    torch.manual_seed(1)
    losses = []
    for batch in chain(loader, loader, loader):
        with pretend_cuda():
            losses.append(step(batch))
    assert_same(losses, expected, rtol=1e-4, atol=1e-5)
    calls = made[0].calls
    assert calls[:3] == WARM and calls.count('replay') > 3


def test_whole_users_need_a_new_graph_only_for_larger_batches(monkeypatch):
    made = pretend_graphs(monkeypatch)
    model, loader = build(alignment='auto'), users_loader()
    step = CapturedStep(model, adam(model), loader)
    rooms = []
    for _ in range(12):
        for batch in loader:
            step(batch)
            rooms.append(loader.room)
    again = sum(one != other for one, other in pairwise(rooms))
    assert again <= 2 and len(step._shapes) == 1 and step.captures
    assert made[0].calls.count('capture') == 1 + again


@pytest.mark.parametrize(
    ('change', 'options', 'message'),
    [
        (None, {}, 'the alignment with texts gives all triplets of a batch the same'),
        (None, {'alignment': 'none'}, 'the ranking loss of LightGCN gives all'),
        (None, {'backbone': 'simgcl', 'alignment': 'auto'}, 'the own loss of SimGCL'),
        (BPRLoss(), {'alignment': 'auto'}, 'BPRLoss gives .* use SoftmaxLoss, '),
    ],
)
def test_losses_without_weights_run_eagerly(change, options, message, monkeypatch):
    pretend_graphs(monkeypatch)
    model, plain = build(**options), build(**options)
    for each in (model, plain):
        each.ranking = change or (each.ranking if options else SoftmaxLoss())
    loader = users_loader()
    step = CapturedStep(model, adam(model), loader)
    expected = train(plain, users_loader())
    torch.manual_seed(1)
    with pytest.warns(UserWarning, match=message):
        losses = [step(batch) for batch in loader]
    assert_same(losses, expected)
    assert not step.captures


@pytest.mark.parametrize(('texts', 'bound'), [(True, 272), (False, 178)])
def test_kernels_of_a_step_of_the_default_recipe(texts, bound):
    """The bounds are 5 % above the counts, for other versions of torch."""
    data = SyntheticIntents(300, 280)[0]
    if not texts:
        for side in 'user', 'item':
            del data[side].profile, data[side].intent
    model = build_model(data)
    items = UserItems(data['user', 'rates', 'item'].edge_index, 300, 280)
    triplets = next(iter(TripletLoader(items, 1024, batch_by='user')))
    optimizer, weight = adam(model), torch.ones(triplets.size(1))

    def step():
        optimizer.zero_grad()
        with fixed_ranking(model, weight, max_users=250):
            model.loss(triplets).total.backward()
        optimizer.step()

    counts = count_kernels(step)
    assert 100 < counts.total() <= bound, counts.most_common(30)


def test_batches_of_another_loader_are_refused(monkeypatch):
    pretend_graphs(monkeypatch)
    model, loader = build(alignment='auto'), users_loader()
    step = CapturedStep(model, adam(model), loader)
    with pytest.raises(ValueError, match="'triplets' must be a batch of 'loader', 0"):
        step(batches(number=1)[0])


@pytest.mark.parametrize('kind', [torch.optim.LBFGS, torch.optim.SparseAdam])
def test_an_optimizer_without_a_plain_step_is_refused(kind):
    model = build()
    step = CapturedStep(model, kind(model.parameters()))
    with pytest.raises(ValueError, match=f"'optimizer' must .* {kind.__name__}"):
        step(batches()[0])


def test_a_step_without_gradients_is_refused():
    model = build()
    step, batch = CapturedStep(model, adam(model)), batches()[0]
    for off in torch.no_grad, torch.inference_mode:
        with off(), pytest.raises(ValueError, match='with gradients enabled'):
            step(batch)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="'model' must have a weight that requires"):
        step(batch)


def test_an_optimizer_of_another_model_is_refused():
    with pytest.raises(ValueError, match="'optimizer' must have weights of 'model'"):
        CapturedStep(build(), adam(build()))


# Tests that need a GPU.

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')


@needs_cuda
@pytest.mark.parametrize('backbone', BACKBONES)
def test_a_graph_trains_like_the_plain_loop(backbone):
    """Up to the order of atomic additions."""
    model, plain = (build('cuda', backbone=backbone) for _ in range(2))
    given = batches(number=8, device='cuda')
    expected = train(plain, given, lr=1e-3)
    step = CapturedStep(model, adam(model, lr=1e-3))
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='.*CUDA graph')
        losses = [step(triplets) for triplets in given]
    assert step.captures
    assert_same(losses, expected, rtol=1e-5, atol=1e-6)


@needs_cuda
@pytest.mark.parametrize('name', RANKINGS)
def test_a_graph_trains_on_whole_users_like_the_plain_loop(name):
    model, plain = (build('cuda', alignment='auto') for _ in range(2))
    for each in (model, plain):
        each.ranking = copy.deepcopy(RANKINGS[name]).to('cuda')
    loader = users_loader().to('cuda')
    expected = train(plain, list(chain(loader, loader, loader)), lr=1e-3)
    loader.set_epoch(0)
    step = CapturedStep(model, adam(model, lr=1e-3), loader)
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='.*CUDA graph')
        losses = [step(triplets) for triplets in chain(loader, loader, loader)]
    assert step.captures
    assert_same(losses, expected, rtol=1e-4, atol=1e-5)


@needs_cuda
def test_a_graph_of_mixed_precision():
    model, plain = (build('cuda') for _ in range(2))
    given, losses = batches(number=6, device='cuda'), []
    for each in (plain, model):
        step = CapturedStep(each, adam(each, lr=1e-3))
        if each is plain:
            step._graphs = None
        torch.manual_seed(1)
        with torch.autocast('cuda', torch.bfloat16):
            losses.append([step(triplets) for triplets in given])
        assert step.captures == (each is model)
    assert_same(losses[1], losses[0], rtol=1e-3, atol=1e-4)


@needs_cuda
def test_each_replay_of_a_graph_draws_new_numbers():
    model = build('cuda')
    model.intent_projector.momentum = 1.0
    step = CapturedStep(model, adam(model, lr=0.0))
    (triplets,) = batches(number=1, device='cuda')
    losses = [step(triplets).terms['translation'] for _ in range(6)]
    assert len({loss.item() for loss in losses}) == 6
    torch.manual_seed(3)
    again = step(triplets).terms['translation']
    torch.manual_seed(3)
    torch.testing.assert_close(step(triplets).terms['translation'], again)


@needs_cuda
def test_a_step_that_waits_for_the_gpu_runs_eagerly(monkeypatch):
    model = build('cuda')
    plain = model.loss
    monkeypatch.setattr(
        model, 'loss', lambda triplets: triplets.max().item() and plain(triplets)
    )
    step = CapturedStep(model, adam(model))
    with pytest.warns(UserWarning, match='it waits for the device at test_captured_st'):
        for triplets in batches(number=5, device='cuda'):
            step(triplets)
    assert not step.captures


@needs_cuda
@pytest.mark.parametrize('late', [False, True])
def test_the_gpu_survives_a_capture_that_fails(late, monkeypatch):
    """Through an error in Python, or a call that CUDA forbids in a capture."""
    model = build('cuda')
    plain = model.loss

    def loss(triplets):
        out = plain(triplets)
        if torch.cuda.is_current_stream_capturing():
            if late:
                out.total.item()
            raise RuntimeError('on purpose')
        return out

    monkeypatch.setattr(model, 'loss', loss)
    other = build('cuda')
    given = batches(number=6, device='cuda')
    expected = train(other, given)
    step = CapturedStep(model, adam(model))
    torch.manual_seed(1)
    with pytest.warns(UserWarning, match='run eagerly, not as one CUDA graph'):
        losses = [step(triplets) for triplets in given]
    assert_same(losses, expected, rtol=1e-4, atol=1e-5)
    torch.cuda.empty_cache()
    fresh = build('cuda')
    step = CapturedStep(fresh, adam(fresh))  # A later step can be captured.
    for triplets in given:
        step(triplets)
    assert step.captures


@needs_cuda
def test_fit_is_the_same_captured_or_not(tmp_path):
    results = []
    for capture in (True, False):
        model = build()
        data = InteractionDataModule(DATA, batch_size=16)
        results.append(
            fit(
                model,
                data,
                tmp_path / str(capture),
                **{'epochs': 6, 'capture': capture, 'device': 'cuda'},
                **{'progress': False, 'average': 0.9},
            )
        )
    for row, other in zip(results[0].history, results[1].history, strict=True):
        assert row['loss'] == pytest.approx(other['loss'], rel=1e-4)
    for capture, out in ((True, 'False'), (False, 'True')):
        fit(
            build(),
            InteractionDataModule(DATA, batch_size=16),
            tmp_path / out,
            **{'epochs': 9, 'capture': capture, 'device': 'cuda', 'resume': True},
            **{'progress': False, 'average': 0.9},
        )
