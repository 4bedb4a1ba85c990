from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from pyg_irllrec.functional import bpr_loss
from pyg_irllrec.nn import IntentAlignmentLoss, IRLLRec, LightGCN
from pyg_irllrec.utils import symmetric_norm
from tests.conftest import DIM, NUM_ITEMS, NUM_USERS

NUM_NODES = NUM_USERS + NUM_ITEMS
TRIPLETS = torch.tensor([[0, 1, 4], [1, 3, 2], [6, 1, 0]])


def build(edge_index: Tensor, **kwargs) -> IRLLRec:
    torch.manual_seed(0)
    backbone = LightGCN(NUM_USERS, NUM_ITEMS, DIM, num_layers=2, num_intents=3)
    return IRLLRec(backbone, edge_index, **kwargs)


def texts() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        'profile': torch.randn(NUM_NODES, 6, generator=generator),
        'intent': torch.randn(NUM_NODES, 5, generator=generator),
    }


def test_the_texts_decide_what_is_aligned(edge_index):
    plain = {'ranking', 'l2'}
    profile = {'profile': texts()['profile']}
    assert set(build(edge_index).loss(TRIPLETS).terms) == plain
    assert set(build(edge_index, **profile).loss(TRIPLETS).terms) == plain | {'profile'}
    full = build(edge_index, **texts()).loss(TRIPLETS)
    assert set(full.terms) == plain | {'profile', 'intent', 'translation', 'matching'}
    torch.testing.assert_close(full.total, sum(full.terms.values()))


def test_bpr_and_l2(edge_index):
    model = build(edge_index, l2_weight=0.5, **texts())
    user, item = model.get_embeddings()
    terms = model.loss(TRIPLETS).terms
    u, i, j = TRIPLETS
    torch.testing.assert_close(terms['ranking'], bpr_loss(user[u], item[i], item[j]))
    norm = sum(weight.square().sum() for weight in model.parameters())
    torch.testing.assert_close(terms['l2'], 0.5 * norm)


def test_the_teacher_counts_in_l2_only_when_asked(edge_index):
    sound = build(edge_index, l2_weight=1.0, **texts())
    authors = build(edge_index, l2_weight=1.0, l2_teacher=True, **texts())
    teacher = sum(
        value.square().sum() for value in authors.intent_projector.teacher.buffers()
    )
    gap = authors.loss(TRIPLETS).terms['l2'] - sound.loss(TRIPLETS).terms['l2']
    torch.testing.assert_close(gap, teacher)


def test_the_teacher_moves_in_training_only(edge_index):
    model = build(edge_index, momentum=0.5, **texts())
    with torch.no_grad():
        model.intent_projector.encoder[0].weight += 1

    def teacher():
        return model.intent_projector.teacher[0].weight.clone()

    start = teacher()
    model.eval().loss(TRIPLETS)
    model.train().loss(TRIPLETS, update_teacher=False)
    assert torch.equal(teacher(), start)
    model.loss(TRIPLETS)
    torch.testing.assert_close(teacher(), start + 0.5)


def test_one_step_lowers_the_loss_and_trains_everything(edge_index):
    model = build(edge_index, **texts())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    generator = torch.Generator()
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        total = model.loss(TRIPLETS, generator=generator.manual_seed(0)).total
        total.backward()
        assert all(weight.grad is not None for weight in model.parameters())
        optimizer.step()
        losses.append(total.item())
    assert losses == sorted(losses, reverse=True)


def test_the_same_seed_gives_the_same_loss(edge_index):
    def total(seed):
        model = build(edge_index, **texts())
        return model.loss(TRIPLETS, generator=torch.Generator().manual_seed(seed)).total

    assert total(1) == total(1) != total(2)


def test_every_format_of_the_graph_is_the_same(edge_index):
    index, size = edge_index.as_tensor(), (NUM_NODES, NUM_NODES)
    weight = symmetric_norm(index, NUM_NODES)
    coo = torch.sparse_coo_tensor(index.flip(0), weight, size).coalesce()
    expected = build(edge_index).get_embeddings()
    for graph in (index, index.flip(1), coo, coo.to_sparse_csr(), coo.to_sparse_csc()):
        torch.testing.assert_close(build(graph).get_embeddings(), expected)
    torch.testing.assert_close(
        build(index, edge_weight=weight).get_embeddings(), expected
    )


def test_saved_and_restored(edge_index, tmp_path):
    model = build(edge_index, **texts())
    model.loss(TRIPLETS).total.backward()
    torch.save(model.state_dict(), tmp_path / 'model.pt')
    state = torch.load(tmp_path / 'model.pt', weights_only=True)
    assert not {'edge_index', 'edge_weight', 'profile', 'intent'} & state.keys()
    torch.manual_seed(9)
    other = IRLLRec(
        LightGCN(NUM_USERS, NUM_ITEMS, DIM, num_layers=2, num_intents=3),
        edge_index,
        **texts(),
    )
    other.load_state_dict(state)
    torch.testing.assert_close(other.get_embeddings(), model.get_embeddings())
    text = texts()['intent']
    torch.testing.assert_close(
        other.intent_projector.teach(text), model.intent_projector.teach(text)
    )


def test_copied_and_moved_to_another_dtype(edge_index):
    model = copy.deepcopy(build(edge_index, **texts())).double()
    loss = model.loss(TRIPLETS)
    assert loss.total.dtype == torch.float64
    single = build(edge_index, **texts()).eval().loss(TRIPLETS)
    double = model.eval().loss(TRIPLETS)
    torch.testing.assert_close(double.total.float(), single.total)


def test_bfloat16_autocast(edge_index):
    model = build(edge_index, **texts()).eval()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = model.loss(TRIPLETS)
    torch.testing.assert_close(
        mixed.total, model.loss(TRIPLETS).total, rtol=2e-2, atol=1e-2
    )
    mixed.total.backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def with_nan() -> Tensor:
    out = torch.randn(NUM_NODES, 3)
    out[4, 1] = torch.nan
    return out


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'profile': torch.randn(4, 3)},
            "'profile' must have a row per node.*12 rows, got 4",
        ),
        (
            {'intent': with_nan()},
            r"'intent' must be finite.*1 of 12 rows \(first: row 4\)",
        ),
        (
            {'intent': torch.ones(NUM_NODES, 3).long()},
            "'intent' must hold floating-point",
        ),
        (
            {'edge_index': torch.tensor([[0, 1], [6, 3]])},
            'edges in both directions',
        ),
        ({'l2_weight': -1.0}, "'l2_weight' must be at least 0"),
        (
            {'alignment': {'profile_weight': 1}},
            "'alignment' must be an IntentAlignmentLoss, got dict",
        ),
        ({'edge_index': torch.tensor([[0, 12], [5, 1]])}, "'edge_index' must hold ids"),
        (
            {'edge_index': torch.empty(2, 0).long()},
            "'edge_index' must hold at least one",
        ),
    ],
)
def test_wrong_arguments(edge_index, change, message):
    arguments = {'edge_index': edge_index, **change}
    with pytest.raises(ValueError, match=message):
        build(**arguments)


@pytest.mark.parametrize('shape', [(3,), (2, 4), (3, 0)])
def test_wrong_triplets(edge_index, shape):
    with pytest.raises(
        ValueError, match=r"'triplets' must have shape \(3, batch_size\)"
    ):
        build(edge_index).loss(torch.zeros(shape, dtype=torch.long))


def test_intent_texts_need_a_backbone_with_intents(edge_index):
    backbone = LightGCN(NUM_USERS, NUM_ITEMS, DIM)
    with pytest.raises(
        ValueError, match="'intent' texts need a backbone that computes"
    ):
        IRLLRec(backbone, edge_index, **texts())
    alignment = IntentAlignmentLoss(intent_weight=0)
    model = IRLLRec(backbone, edge_index, alignment=alignment, **texts())
    assert 'translation' in model.loss(TRIPLETS).terms
    alignment.weights['intent'] = 1.0
    with pytest.raises(
        ValueError, match="'intent' texts need a backbone that computes"
    ):
        model.loss(TRIPLETS)


def test_parts_of_the_alignment_get_all_texts_that_they_may_read(edge_index):
    alignment = IntentAlignmentLoss(0.1, 0, 0, 0, user_negatives='all').eval()
    profile = texts()['profile']
    expected = build(edge_index, alignment=alignment, profile=profile).loss(TRIPLETS)
    # The same with another module, which also reads all texts.
    loss = alignment.user_profile
    alignment.user_profile = torch.nn.Module()
    alignment.user_profile.forward = loss.forward
    model = build(edge_index, alignment=alignment, profile=profile)
    torch.testing.assert_close(model.loss(TRIPLETS), expected)


def test_recommend_restores_the_mode_of_every_part(edge_index):
    model = build(edge_index, **texts()).train()
    model.backbone.eval()
    model.recommend(torch.tensor([0]), 1)
    assert model.training and not model.backbone.training


@pytest.mark.usefixtures('fresh_compiler')
@pytest.mark.parametrize(
    ('terms', 'user_negatives', 'item_negatives', 'compiled'),
    [
        ('profile', 'batch', 'batch', False),
        ('pairwise', 'batch', 'batch', False),
        ('pairwise', 'all', 'batch', False),
        ('pairwise', 'batch', 'all', False),
        ('all', 'batch', 'batch', False),
        ('all', 'batch', 'batch', True),
    ],
)
def test_towers_over_needed_rows_equal_towers_over_all(
    edge_index, monkeypatch, terms, item_negatives, user_negatives, compiled
):
    alignment = IntentAlignmentLoss(
        user_negatives=user_negatives,
        item_negatives=item_negatives,
        translation_weight=1e-3 if terms == 'all' else 0,
        matching_weight=1e-3 if terms == 'all' else 0,
        noise=0.0,
    )
    given = {'profile': texts()['profile']} if terms == 'profile' else texts()
    model = build(edge_index, alignment=alignment, **given).double()
    # User 0 and item 1 occur in the batch twice, so they could count twice.
    triplets = torch.tensor([[0, 0, 4], [1, 3, 2], [6, 1, 0]])

    def run():
        loss = model.loss
        if compiled:
            loss = torch.compile(model.loss, fullgraph=True, backend='aot_eager')
        out = loss(triplets, update_teacher=False)
        return out, torch.autograd.grad(out.total, list(model.parameters()))

    some, some_grads = run()
    compiled = False
    monkeypatch.setattr(IntentAlignmentLoss, 'reads_batch_only', lambda self: False)
    everything, all_grads = run()
    torch.testing.assert_close(some, everything)
    torch.testing.assert_close(some_grads, all_grads)


def test_only_rows_that_a_term_reads_are_projected(edge_index, monkeypatch):
    rows = []
    forward = torch.nn.Linear.forward

    def counted(self, x):
        rows.append(x.size(0))
        return forward(self, x)

    monkeypatch.setattr(torch.nn.Linear, 'forward', counted)
    alignment = IntentAlignmentLoss(translation_weight=0, matching_weight=0)
    build(edge_index, alignment=alignment, **texts()).loss(TRIPLETS)
    named = 3 + len(set(TRIPLETS[1:].flatten().tolist()))
    assert set(rows) == {named}
    rows.clear()
    build(edge_index, **texts()).loss(TRIPLETS)
    # The profile tower, the intent tower and its teacher: two layers each.
    assert sorted(rows) == [named] * 2 + [NUM_NODES] * 4


def test_towers_that_no_term_reads_do_not_run(edge_index):
    alignment = IntentAlignmentLoss(0, 0, 0, 0)
    model = build(edge_index, alignment=alignment, **texts())
    model.profile_projector = model.intent_projector = torch.nn.Identity()
    model.intent_projector.forward = None
    assert set(model.loss(TRIPLETS).terms) == {'ranking', 'l2'}


def test_moments_for_the_translation_term_alone(edge_index):
    alignment = IntentAlignmentLoss(translation_impl='moments')
    assert alignment.translation.impl == 'moments'
    assert alignment.user_intent.impl == 'auto'
    assert IntentAlignmentLoss(impl='eager').translation.impl == 'eager'
    terms = build(edge_index, alignment=alignment, **texts()).eval().loss(TRIPLETS)
    exact = build(edge_index, **texts()).eval().loss(TRIPLETS)
    torch.testing.assert_close(terms, exact, rtol=1e-2, atol=0)


def test_custom_alignment(edge_index):
    alignment = IntentAlignmentLoss(matching_weight=0, translation_weight=0)
    model = build(edge_index, alignment=alignment, **texts())
    assert set(model.loss(TRIPLETS).terms) == {'ranking', 'l2', 'profile', 'intent'}


def test_prototypes_stand_for_clusters_of_texts(edge_index):
    model = build(edge_index, prototype_weight=0.5, **texts())
    assert model.cluster.unique().numel() == 3
    embedding = torch.cat(model.get_embeddings())
    expected = 0.5 * model.backbone.prototype_loss(embedding, model.cluster)
    torch.testing.assert_close(model.loss(TRIPLETS).terms['prototype'], expected)
    assert 'cluster' in model.state_dict()
    assert 'cluster' not in build(edge_index, **texts()).state_dict()


def test_clusters_draw_nothing_and_are_the_same_again(edge_index):
    plain, clustered, again = (
        build(edge_index, prototype_weight=weight, **texts()) for weight in (0, 1, 1)
    )
    assert torch.equal(clustered.cluster, again.cluster)
    own = dict(clustered.named_parameters())
    assert all(torch.equal(x, own[name]) for name, x in plain.named_parameters())


def test_clusters_need_texts_and_prototypes(edge_index):
    with pytest.raises(ValueError, match='got 0 texts and num_intents=3'):
        build(edge_index, prototype_weight=0.1)
    backbone = LightGCN(NUM_USERS, NUM_ITEMS, DIM)
    profile = texts()['profile']
    with pytest.raises(ValueError, match='got 1 texts and num_intents=0'):
        IRLLRec(backbone, edge_index, profile=profile, prototype_weight=0.1)


def test_features_are_added_to_what_is_propagated(edge_index):
    features = texts()['profile']
    model = build(edge_index, features=features).eval()
    x = model.backbone.node_features() + features @ model.feature_map.weight.t()
    expected = model.backbone(edge_index, x=x).embedding
    torch.testing.assert_close(torch.cat(model.get_embeddings()), expected)
    loss = model.loss(TRIPLETS)
    u, i, j = TRIPLETS
    user, item = expected[:NUM_USERS], expected[NUM_USERS:]
    torch.testing.assert_close(
        loss.terms['ranking'], bpr_loss(user[u], item[i], item[j])
    )
    loss.total.backward()
    assert model.feature_map.weight.grad.abs().sum() > 0


def test_features_need_a_backbone_with_features_of_its_own(edge_index):
    class NoFeatures(LightGCN):
        def node_features(self):
            return None

    with pytest.raises(ValueError, match="'features' must be None for a backbone"):
        IRLLRec(
            NoFeatures(NUM_USERS, NUM_ITEMS, DIM),
            edge_index,
            features=texts()['profile'],
        )


def test_scores_by_cosines(edge_index):
    plain = build(edge_index)
    model = build(edge_index, normalize=True)
    for found, expected in zip(model.get_embeddings(), plain.get_embeddings()):
        torch.testing.assert_close(found, torch.nn.functional.normalize(expected))
