from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch_geometric.data import HeteroData
from torch_geometric.nn import summary

from pyg_irllrec.nn import (
    EASE,
    Backbone,
    BackboneOutput,
    IRLLRec,
    LightGCN,
    Popularity,
    Recommender,
    RLMRecGen,
)
from pyg_irllrec.nn.models._blend import standardise
from pyg_irllrec.testing import BackboneTests
from pyg_irllrec.utils import UserItems

TESTS = BackboneTests()
GRAPH, TRIPLETS, PAIRS = TESTS.edge_index, TESTS.triplets, TESTS.interactions


def build() -> Recommender:
    torch.manual_seed(0)
    return Recommender(LightGCN(6, 7, 4, num_layers=2), GRAPH)


def full() -> IRLLRec:
    torch.manual_seed(0)
    return IRLLRec(LightGCN(6, 7, 4, num_intents=2), GRAPH, **TESTS.texts())


class Wrong(Backbone):
    """Return the given output."""

    def __init__(self, output) -> None:
        super().__init__(6, 7, 4)
        self.output = output
        self.weight = nn.Parameter(torch.ones(1))

    def encode(self, x, edge_index, edge_weight):
        return self.output


GOOD = torch.ones(13, 4)


@pytest.mark.parametrize(
    ('output', 'message'),
    [
        (GOOD, 'must return a BackboneOutput, got Tensor'),
        (
            BackboneOutput(GOOD[:12]),
            r'must return embeddings of shape \(13, 4\), one row .*got \(12, 4\)',
        ),
        (
            BackboneOutput(GOOD, GOOD[:, :3]),
            r'must return intents of shape \(13, 4\).*got \(13, 3\)',
        ),
        (BackboneOutput([1.0]), 'must return embeddings of shape.*got list'),
    ],
)
def test_a_backbone_with_a_wrong_output(output, message):
    with pytest.raises(ValueError, match=message):
        Recommender(Wrong(output), GRAPH).loss(TRIPLETS)


class Scored(LightGCN):
    """Add auxiliary loss terms."""

    def __init__(self, **terms) -> None:
        super().__init__(6, 7, 4)
        self.terms = terms

    def auxiliary_loss(self, output, triplets):
        return self.terms


@pytest.mark.parametrize(
    ('terms', 'message'),
    [
        ({'ranking': torch.ones(())}, "the model's losses, .*, got ranking"),
        ({'intent': torch.ones(())}, None),
        ({'mine': torch.ones(1)}, r"must return scalar losses, got 'mine' of .*\(1,\)"),
    ],
)
def test_losses_of_a_backbone(terms, message):
    model = Recommender(Scored(**terms), GRAPH)
    if message is None:
        assert model.loss(TRIPLETS).terms['intent'] == 1
        model = IRLLRec(Scored(**terms), GRAPH)
        message = "the model's losses, .*, got intent"
    with pytest.raises(ValueError, match=message):
        model.loss(TRIPLETS)


def test_a_module_that_is_no_backbone():
    with pytest.raises(ValueError, match=r"'backbone' must be a Backbone, got Linear"):
        Recommender(nn.Linear(2, 2), GRAPH)


def test_is_the_backbone_alone():
    model = Recommender(LightGCN(6, 7, 4, num_intents=2), GRAPH, l2_weight=0.5)
    total, terms = model.loss(TRIPLETS)
    assert set(terms) == {'ranking', 'l2'}
    squares = sum(weight.square().sum() for weight in model.parameters())
    torch.testing.assert_close(terms['l2'], 0.5 * squares)
    torch.testing.assert_close(total, terms['l2'] + terms['ranking'])


@pytest.mark.parametrize(
    ('triplet', 'message'),
    [
        (
            [[8], [0], [1]],
            r"'triplets\[0\]' must hold ids of users .* 5, got.* 8",
        ),
        (
            [[0], [7], [1]],
            r"'triplets\[1\]' must hold ids of items .* 6, got.* 7",
        ),
        ([[0], [0], [-1]], r"'triplets\[2\]' must hold ids of items from 0 .* from -1"),
        ([[0.0], [0], [1]], "'triplets' must hold integers"),
        ([[0, 0, 1]], r"'triplets' must have shape \(3, batch_size\)"),
    ],
)
def test_loss_checks_ids(triplet, message):
    with pytest.raises(ValueError, match=message):
        build().loss(torch.tensor(triplet))


def test_frozen_parameters_do_not_count():
    model = Recommender(LightGCN(6, 7, 4), GRAPH)
    model.backbone.item_embedding.weight.requires_grad_(False)
    expected = 1e-6 * model.backbone.user_embedding.weight.square().sum()
    torch.testing.assert_close(model.loss(TRIPLETS).terms['l2'], expected)


def test_forward_scores_pairs():
    model = build()
    user, item = model.get_embeddings()
    score = model(PAIRS)
    assert score.shape == (PAIRS.size(1),)
    torch.testing.assert_close(score, (user @ item.t())[PAIRS[0], PAIRS[1]])
    assert torch.equal(model(PAIRS.int()), score)
    assert model(PAIRS[:, :0]).shape == (0,)
    score.sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())


def test_forward_scores_the_interactions_of_the_graph():
    model = build()
    source, target = GRAPH.as_tensor()
    rates = source < 6
    expected = model(torch.stack([source[rates], target[rates] - 6]))
    assert torch.equal(model(), expected) and expected.shape == (PAIRS.size(1),)
    with torch.inference_mode():
        torch.testing.assert_close(model(), expected)


@pytest.mark.parametrize(
    ('pairs', 'message'),
    [
        ([[0, 1]], r"'edge_label_index' must be .* of shape \(2, .*got \(1, 2\)"),
        ([[0], [1]], "'edge_label_index' must have dtype .*, got torch.uint8"),
        ([0, 1], r"'edge_label_index' must be .* of shape \(2, .*got \(2,\)"),
        ([[0.0], [1.0]], "'edge_label_index' must hold integers, got torch.float32"),
        ([[6], [0]], r"'edge_label_index\[0\] \(users\)' must hold ids from 0 to 5"),
        ([[0], [-1]], r"'edge_label_index\[1\] \(items\)' must hold ids from 0 to 6"),
    ],
)
def test_forward_checks_ids(pairs, message):
    with pytest.raises(ValueError, match=message):
        pairs = torch.tensor(pairs)
        build()(pairs.to(torch.uint8) if 'uint8' in message else pairs)


def test_recommend_equals_sorting_all_scores():
    model = build()
    user, item = model.get_embeddings()
    score = (user @ item.t()).detach()
    score[PAIRS[0], PAIRS[1]] = -torch.inf
    out = model.recommend(torch.arange(6), 3, exclude=PAIRS, batch_size=2)
    torch.testing.assert_close(out.score, score.sort(descending=True).values[:, :3])
    assert torch.equal(out.item, score.argsort(descending=True)[:, :3])
    assert model.training and not out.score.requires_grad
    items = UserItems(PAIRS, 6, 7)
    assert torch.equal(model.recommend(range(6), 3, exclude=items).item, out.item)


def test_recommend_leaves_out_what_is_excluded_though_nothing_else_is_left():
    out = build().recommend(torch.tensor([0]), 7, exclude=PAIRS)
    assert set(out.item[0].tolist()) == {-1, 3, 4, 5, 6}
    assert (out.item[0, -3:] == -1).all()
    assert (out.score[0, -3:] == -torch.inf).all()
    assert build().recommend(torch.tensor([]).long(), 2).item.shape == (0, 2)


@pytest.mark.parametrize(
    ('users', 'options', 'message'),
    [
        (
            [0],
            {'k': 8},
            "'k' must be an integer from 1 to the number of items, 7, got 8",
        ),
        ([0], {'k': 0}, "'k' must be an integer from 1"),
        ([0], {'k': 2.5}, "'k' must be an integer from 1 .* got 2.5"),
        (None, {}, "'users' must be a vector of ids"),
        ([0], {'batch_size': 0.5}, "'batch_size' must be an integer of at least 1"),
        ([6], {}, "'users' must hold ids from 0 to 5, got ids from 6 to 6"),
        ([[0]], {}, "'users' must be a vector"),
        ([0.5], {}, "'users' must hold integers"),
        (
            [0],
            {'batch_size': 0},
            "'batch_size' must be an integer of at least 1, got 0",
        ),
        ([0], {'exclude': HeteroData()}, "'exclude' must be .* got HeteroData: pass"),
        ([0], {'exclude': [[0], [1]]}, "'exclude' must be .* got list"),
        ([0], {'exclude': PAIRS[0]}, r"'exclude' must be .* of shape \(2, "),
        ([0], {'exclude': PAIRS + 2}, r"'exclude\[0\] \(users\)' must hold ids"),
        (
            [0],
            {'exclude': UserItems(PAIRS, 6, 8)},
            "'exclude' must have the 6 users and 7 items of the model.*num_items=8",
        ),
    ],
)
def test_recommend_wrong_arguments(users, options, message):
    with pytest.raises(ValueError, match=message):
        build().recommend(users, **{'k': 1, **options})


def test_summary_of_pyg():
    pytest.importorskip('tabulate')
    lines = summary(full(), PAIRS).splitlines()
    (whole,) = (line for line in lines if 'IRLLRec' in line)
    assert '[2, 9]' in whole and '[9]' in whole
    assert any('IntentPrototypes' in line for line in lines)


def test_a_hook_on_the_backbone_runs_where_it_scores():
    model = build()
    calls = []
    model.backbone.register_forward_hook(lambda *args: calls.append(args))
    model.get_embeddings()
    assert len(calls) == 1


def test_embeddings_compile():
    model = build()
    embed = torch.compile(model.get_embeddings, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(embed(), model.get_embeddings())


class Step(nn.Module):
    """A training step as a forward(), for which DDP synchronises gradients."""

    def __init__(self, model: Recommender) -> None:
        super().__init__()
        self.model = model

    def forward(self, triplets):
        return self.model.loss(triplets).total


def test_ddp_scores_and_trains(process_group):
    plain = full()
    scores = DistributedDataParallel(copy.deepcopy(plain))(PAIRS)
    torch.testing.assert_close(scores, plain(PAIRS))
    model = copy.deepcopy(plain)
    step = DistributedDataParallel(Step(model))
    for _ in range(2):  # The second step would send buffers such as the graph again.
        losses = []
        for loss in (step, Step(plain)):
            torch.manual_seed(0)
            losses.append(loss(TRIPLETS))
            losses[-1].backward()
        torch.testing.assert_close(*losses)
    for ours, theirs in zip(model.parameters(), plain.parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad)
    assert torch.equal(model.edge_index.as_tensor(), GRAPH.as_tensor().int())


class Square(nn.Module):
    """A ranking loss that records its input."""

    def __init__(self, scale=2.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def reset_parameters(self) -> None:
        nn.init.constant_(self.scale, 2.0)

    def forward(self, user, item, triplets):
        assert user.shape == (6, 4) and item.shape == (7, 4)
        return self.scale * (user[triplets[0]] - item[triplets[1]]).square().sum()


@pytest.mark.parametrize('cls', [Recommender, IRLLRec, RLMRecGen])
def test_a_ranking_loss_takes_the_place_of_that_of_the_backbone(cls):
    texts = {} if cls is Recommender else {'profile': TESTS.texts()['profile']}
    model = cls(LightGCN(6, 7, 4), GRAPH, ranking=Square(), **texts).eval()
    total, terms = model.loss(TRIPLETS)
    user, item = model.get_embeddings()
    expected = 2 * (user[TRIPLETS[0]] - item[TRIPLETS[1]]).square().sum()
    torch.testing.assert_close(terms['ranking'], expected)
    total.backward()
    assert model.ranking.scale.grad is not None
    with torch.no_grad():
        model.ranking.scale.zero_()
    model.reset_parameters()
    assert model.ranking.scale == 2


@pytest.mark.parametrize(
    ('ranking', 'message'),
    [
        (torch.ones(()), "'ranking' must be a module such .*got Tensor"),
        (nn.Bilinear(4, 4, 1), None),
    ],
)
def test_a_wrong_ranking_loss(ranking, message):
    if message:
        with pytest.raises(ValueError, match=message):
            Recommender(LightGCN(6, 7, 4), GRAPH, ranking=ranking)
        return
    ranking.forward = lambda user, item, triplets: user.sum(dim=1)
    model = Recommender(LightGCN(6, 7, 4), GRAPH, ranking=ranking)
    with pytest.raises(ValueError, match=r"'ranking' must return .* shape \(6,\)"):
        model.loss(TRIPLETS)


EVERYONE = torch.arange(6)


def blended(cls=Recommender, **options) -> Recommender:
    torch.manual_seed(0)
    companions = [EASE(6, 7, PAIRS, l2_weight=1.0), Popularity(6, 7, PAIRS)]
    backbone = LightGCN(6, 7, 4, num_layers=2)
    return cls(backbone, GRAPH, companions=companions, **options)


@pytest.mark.parametrize('cls', [Recommender, IRLLRec, RLMRecGen])
def test_ranks_by_the_graph_until_it_is_calibrated(cls):
    texts = {'profile': TESTS.texts()['profile']} if cls is RLMRecGen else {}
    model = blended(cls, **texts)
    assert model.blend_weight.tolist() == [1, 0, 0] and not model.blends
    user, item = model.get_embeddings()
    torch.testing.assert_close(model.score(EVERYONE), user @ item.t())


def test_ranks_by_the_blend():
    model = blended()
    user, item = model.get_embeddings()
    parts = [user @ item.t(), *(each.score(EVERYONE) for each in model.companions)]
    model.blend_weight.copy_(torch.tensor([0.5, 0.2, 0.3]))
    expected = sum(w * standardise(part) for w, part in zip((0.5, 0.2, 0.3), parts))
    torch.testing.assert_close(model.score(EVERYONE), expected)
    torch.testing.assert_close(model(PAIRS), expected[PAIRS[0], PAIRS[1]])
    found = model.recommend(EVERYONE, 2, batch_size=4)
    torch.testing.assert_close(found.score, expected.topk(2).values)
    model.blend_weight.copy_(torch.tensor([0.0, 1.0, 0.0]))
    torch.testing.assert_close(model.score(EVERYONE), standardise(parts[1]))
    with pytest.raises(ValueError, match="'users' must hold numbers from 0 to 5"):
        model.score(torch.tensor([6]))


def test_companions_are_not_saved_but_their_weights_are():
    model = blended()
    model.blend_weight.copy_(torch.tensor([0.5, 0.5, 0.0]))
    state = model.state_dict()
    plain = build().state_dict()
    extra = {name for name in state if name not in plain}
    assert extra == {
        'blend_weight',
        *(f'companions.{place}._extra_state' for place in (0, 1)),
    }
    other = blended()
    other.load_state_dict(state)
    assert torch.equal(other.score(EVERYONE), model.score(EVERYONE))
    other.reset_parameters()
    assert other.blend_weight.tolist() == [1, 0, 0]
    losses = [each.loss(TRIPLETS).total for each in (model, build())]
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    ('wanted', 'weight'),
    [
        # The first items by the graph, by EASE and by popularity.
        (0, [1, 0, 0]),
        (1, [0, 1, 0]),
        (2, [0, 0, 1]),
    ],
)
def test_calibrates_on_validation(wanted, weight):
    model = blended()
    scorers = [model.scorer(), *(each.scorer() for each in model.companions)]
    taken = UserItems(PAIRS, 6, 7)
    free = torch.zeros(6, 7).index_put((PAIRS[0], PAIRS[1]), torch.tensor(-torch.inf))
    best = (scorers[wanted](EVERYONE) + free).topk(1).indices.flatten()
    label = UserItems(torch.stack([EVERYONE, best]), 6, 7)
    model.calibrate(label, taken, k=1)
    assert model.blend_weight.tolist() == weight
    assert model.training


@pytest.mark.parametrize('on_terminal', [False, True])
def test_calibration_shows_its_progress(on_terminal, monkeypatch, capsys):
    monkeypatch.setattr('sys.stderr.isatty', lambda: on_terminal)
    label, none = UserItems(PAIRS.flip(1)[:, :3], 6, 7), UserItems(PAIRS[:, :0], 6, 7)
    companions = [EASE(6, 7, PAIRS), Popularity(6, 7, PAIRS)]
    model = Recommender(LightGCN(6, 7, 4), GRAPH, companions=companions)
    model.calibrate(label, none, progress=True)
    shown = capsys.readouterr().err
    if on_terminal:
        assert 'EASE, 7 items: ' in shown and 'Blend: ' in shown
        assert 'choosing' not in shown
    else:
        both = 'the options of EASE (7 items) and the blend'
        assert shown == f'choosing {both} on validation\n'
    model.calibrate(label, none)
    assert capsys.readouterr().err == ''


def test_calibrates_companions_that_are_open_once(monkeypatch):
    calls = []
    taken, label = UserItems(PAIRS, 6, 7), UserItems(PAIRS.flip(1)[:, :3], 6, 7)
    none = UserItems(PAIRS[:, :0], 6, 7)
    companions = [EASE(6, 7, PAIRS), EASE(6, 7, PAIRS, l2_weight=2.0)]
    model = Recommender(LightGCN(6, 7, 4), GRAPH, companions=companions)
    calibrate = EASE.calibrate
    monkeypatch.setattr(
        EASE,
        'calibrate',
        lambda self, *args, **kw: calls.append(self) or calibrate(self, *args, **kw),
    )
    for _ in range(2):
        model.calibrate(label, none)
    assert calls == companions[:1] and not companions[0].needs_calibration
    plain = build()
    plain.calibrate(label, none)
    assert plain.blend_weight is None and not plain.needs_calibration
    with pytest.raises(ValueError, match="'label' must be a UserItems"):
        plain.calibrate(PAIRS, taken)


@pytest.mark.parametrize(
    ('companions', 'message'),
    [
        (3, "'companions' must be a list of rankers .*got int"),
        ([nn.Identity()], r"'companions\[0\]' must be a Ranker without par.*Identity"),
        ([build()], r"'companions\[0\]' must be a Ranker without par.*Recommender"),
        (
            [EASE(6, 8, PAIRS)],
            r"'companions\[0\]' must have the 6 .*, got 6 and 8",
        ),
    ],
)
def test_wrong_companions(companions, message):
    with pytest.raises(ValueError, match=message):
        Recommender(LightGCN(6, 7, 4), GRAPH, companions=companions)
