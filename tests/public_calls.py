"""Public callables, each with arguments that are right, for tests that replace them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch_geometric.nn import LGConv

from pyg_irllrec import (
    build_model,
    datasets,
    distributed,
    nn,
    presets,
    serving,
    text,
    transforms,
)
from pyg_irllrec import functional as F
from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.plot import draw_intent_map, learning_curves, project_to_plane
from pyg_irllrec.training import (
    CapturedStep,
    EpochProgressBar,
    InteractionDataModule,
    LitRecommender,
    RankingLoader,
    RankingMetrics,
    RunFolder,
    SampledDataModule,
    SubgraphSampler,
    TripletLoader,
    default_space,
    evaluate,
    evaluate_ranker,
    fingerprint,
    fit,
    fitting_cutoffs,
    load_weights,
    parse_device,
    sampled_loss,
    tune,
)
from pyg_irllrec.utils import (
    TextArray,
    UserItems,
    bipartite_edge_index,
    find_interaction_types,
    map_interactions,
    plain_edge_index,
    select_rows,
    symmetric_norm,
    to_edge_index,
    training_interactions,
)
from tests.datasets.files import write_dataset, write_files
from tests.serving.bundles import plain_bundle
from tests.text.chat_data import honest, some_evidence

Calls = dict[str, tuple[Callable[..., Any], dict[str, Any]]]

RATES = ('user', 'rates', 'item')
DATA = datasets.SyntheticIntents(12, 10, num_intents=2)[0]
PAIRS = DATA[RATES].edge_index
GRAPH = bipartite_edge_index(PAIRS, 12, 10)
TRAIN = UserItems(PAIRS, 12, 10)
TEST = UserItems(DATA[RATES].test_edge_label_index, 12, 10)
TEXT = torch.ones(22, 5)
TRIPLETS = torch.tensor([[0], [1], [2]])
TYPES = {'edge_type': RATES, 'rev_edge_type': None}
X = torch.eye(22)[:, :4] + 0.1
FILMS = {
    'ratings.csv': 'userId,movieId,rating,timestamp\n1,1,4.0,964982703\n',
    'movies.csv': 'movieId,title,genres\n1,Toy Story (1995),Adventure\n',
    'tags.csv': 'userId,movieId,tag,timestamp\n1,1,fun,964982703\n',
}
MUSIC = {
    'user_artists.dat': 'userID\tartistID\tweight\n2\t51\t13883\n',
    'artists.dat': 'id\tname\turl\tpictureURL\n51\tDuran\thttp://y\tz\n',
    'tags.dat': 'tagID\ttagValue\n1\tMetal\n',
    'user_taggedartists.dat': (
        'userID\tartistID\ttagID\tday\tmonth\tyear\n2\t51\t1\t1\t4\t2009\n'
    ),
}
WORDS = ['red tea', 'blue cup']


def training_calls(folder: Path) -> Calls:
    torch.manual_seed(0)
    model, module = build_model(DATA), InteractionDataModule(DATA, batch_size=64)
    quick = {'epochs': 1, 'device': 'cpu', 'progress': False}
    fit(model, module, folder / 'run', **quick)
    optimizer = torch.optim.Adam(model.parameters())
    best, numbers = folder / 'run' / 'best.ckpt', itertools.count()
    sampler = SubgraphSampler(model, [2, 2], num_samples=4)

    def fit_anew(**options: Any) -> object:
        out = folder / f'new{next(numbers)}'
        return fit(**{'out': out, **options})

    def tune_anew(**options: Any) -> object:
        return tune(**{'out': folder / f'tuned{next(numbers)}', **options})

    preset = presets.get_preset('lightgcn', 'own', 'none')
    return {
        'tune': (
            tune_anew,
            {'build': lambda preset: build_model(DATA, alignment='none', preset=preset)}
            | {'space': {'fit.lr': (1e-3, 1e-2)}, 'data': DATA, 'preset': preset}
            | {'trials': 1, 'epochs': 1, 'prune': True, 'seed': 0, 'device': 'cpu'}
            | {'progress': False},
        ),
        'tune into': (
            tune,
            {'build': lambda preset: build_model(DATA, alignment='none', preset=preset)}
            | {'space': {'fit.lr': (1e-3, 1e-2)}, 'data': DATA, 'preset': preset}
            | {'out': folder / 'tuned', 'trials': 1, 'epochs': 1, 'progress': False},
        ),
        'default_space': (default_space, {'backbone': 'sgl', 'alignment': 'full'}),
        'fit': (
            fit_anew,
            {
                **{'model': model, 'data': module, 'lr': 1e-3, 'check_every': 1},
                **{'patience': 1, 'ks': (2,), 'seed': 0, 'precision': '32-true'},
                **{'average': 0.5, 'devices': 1, 'callbacks': None, 'logger': None},
                **{'resume': False, 'capture': True, 'strategy': 'ddp', **quick},
            },
        ),
        'fit into': (
            fit,
            {'out': folder / 'run', 'model': model, 'data': module, **quick}
            | {'resume': True},
        ),
        'InteractionDataModule': (
            InteractionDataModule,
            {'data': DATA, 'val_data': None, 'test_data': None, 'unsplit': False}
            | {'batch_size': 8, 'eval_batch_size': 8, 'seed': 0, **TYPES}
            | {'batch_by': 'user'},
        ),
        'SampledDataModule': (
            SampledDataModule,
            {'data': DATA, 'val_data': None, 'test_data': None, 'unsplit': False}
            | {'batch_size': 8, 'eval_batch_size': 8, 'seed': 0, **TYPES}
            | {'batch_by': 'user', 'num_neighbors': [2, 2], 'num_samples': 4},
        ),
        'SubgraphSampler': (
            SubgraphSampler,
            {'model': model, 'num_neighbors': [2, 2], 'num_samples': 4},
        ),
        'SubgraphSampler.sample': (
            sampler.sample,
            {'triplets': TRIPLETS, 'generator': None},
        ),
        'sampled_loss': (
            sampled_loss,
            {'model': model, 'batch': sampler.sample(TRIPLETS)}
            | {'update_teacher': False, 'generator': None},
        ),
        'LitRecommender': (
            LitRecommender,
            {'model': model, 'lr': 1e-3, 'ks': (2,), 'seed': 0, 'capture': False},
        ),
        'CapturedStep': (
            CapturedStep,
            {'model': model, 'optimizer': optimizer, 'loader': TripletLoader(TRAIN)},
        ),
        'CapturedStep.__call__': (
            CapturedStep(model, optimizer),
            {'triplets': TRIPLETS},
        ),
        'LitRecommender.load_from_checkpoint': (
            LitRecommender.load_from_checkpoint,
            {'checkpoint_path': best, 'model': model},
        ),
        'load_weights': (
            load_weights,
            {'model': model, 'path': best, 'check_data': True},
        ),
        'fingerprint': (fingerprint, {'model': model, 'data': module}),
        'RunFolder': (RunFolder, {'path': folder}),
        'RunFolder.open': (
            RunFolder(folder / 'opened').open,
            {'config': {'a': 1}, 'resume': False},
        ),
        'evaluate': (
            evaluate,
            {'user': torch.randn(12, 4), 'item': torch.randn(10, 4), 'ks': (2,)}
            | {'label': TEST, 'exclude': TRAIN, 'batch_size': 4},
        ),
        'evaluate_ranker': (
            evaluate_ranker,
            {'ranker': nn.Popularity(12, 10, PAIRS), 'label': TEST, 'exclude': TRAIN}
            | {'ks': (2,), 'batch_size': 4, 'metrics': ('recall',)},
        ),
        'RankingLoader': (
            RankingLoader,
            {'label': TEST, 'exclude': TRAIN, 'batch_size': 4},
        ),
        'RankingMetrics': (
            RankingMetrics,
            {'ks': (2,), 'metrics': ('recall', 'coverage'), 'train': TRAIN},
        ),
        'TripletLoader': (
            TripletLoader,
            {'interactions': TRAIN, 'batch_size': 4, 'seed': 0} | {'batch_by': 'user'},
        ),
        'TripletLoader.to': (TripletLoader(TRAIN).to, {'device': 'cpu'}),
        'fitting_cutoffs': (fitting_cutoffs, {'num_items': 10, 'ks': (5,)}),
        'parse_device': (parse_device, {'device': 'cpu'}),
        'EpochProgressBar': (EpochProgressBar, {'refresh_seconds': 0.5}),
    }


def explain_calls(folder: Path) -> Calls:
    torch.manual_seed(0)
    model = build_model(DATA, alignment='full')
    explain = IntentExplainer(model, DATA)
    return {
        'IntentExplainer': (
            IntentExplainer,
            {'model': model, 'data': DATA, 'sources': 'profile_text', 'num_words': 2}
            | {'intents': 'intent_text', 'num_nearest': 2, 'exclude': PAIRS, **TYPES},
        ),
        'IntentExplainer.node': (
            explain.node,
            {'side': 'user', 'node': 0, 'num_prototypes': 2},
        ),
        'IntentExplainer.recommendation': (
            explain.recommendation,
            {'user': 0, 'item': 0, 'num_prototypes': 2},
        ),
        'IntentExplainer.share': (explain.share, {'side': 'user'}),
        'IntentExplainer.prototypes': (explain.prototypes, {'side': 'user'}),
        'build_model': (
            build_model,
            {'data': DATA, 'backbone': 'lightgcn', 'alignment': 'full', **TYPES}
            | {'preset': None, 'profile': 'profile', 'intent': 'intent'},
        ),
        'get_preset': (
            presets.get_preset,
            {'backbone': 'sgl', 'dataset': 'own', 'alignment': 'full'}
            | {'variant': 'sound'},
        ),
        'project_to_plane': (project_to_plane, {'groups': [X, X]}),
        'learning_curves': (
            learning_curves,
            {'history': [{'epoch': 1, 'loss': 0.5}], 'path': folder / 'curves.png'},
        ),
        'draw_intent_map': (
            draw_intent_map,
            {'explain': explain, 'marked': None, 'sides': ('user',), 'max_nodes': 3},
        ),
    }


def functional_calls(folder: Path) -> Calls:
    ones = torch.ones(22)
    weight = torch.ones(GRAPH.size(1))
    rows = {'user': X, 'positive': X, 'negative': X}
    propagate = {'x': X, 'adj': GRAPH, 'edge_weight': weight, 'impl': 'auto'}
    return {
        'info_nce': (
            F.info_nce,
            {'query': X, 'key': X, 'keys': X, 'temperature': 0.5, 'weight': ones}
            | {'key_weight': ones, 'reduction': 'mean', 'eps': 0.0, 'impl': 'auto'}
            | {'symmetric': False},
        ),
        'bpr_loss': (F.bpr_loss, {**rows, 'reduction': 'mean'}),
        'alignment_uniformity_loss': (
            F.alignment_uniformity_loss,
            {'user': X[:12], 'item': X[12:], 'pairs': PAIRS, 'uniformity_weight': 1.0}
            | {'weight': torch.ones(PAIRS.size(1)), 'max_users': 12},
        ),
        'softmax_loss': (
            F.softmax_loss,
            {'user': X[:12], 'item': X[12:], 'pairs': TRIPLETS, 'temperature': 0.1}
            | {'normalize': True, 'known': TRAIN, 'item_bias': ones[:10]}
            | {'num_samples': 5, 'sample_weight': ones[:10], 'impl': 'auto'}
            | {'weight': ones[: TRIPLETS.size(1)], 'max_users': 12}
            | {'generator': None},
        ),
        'matching_loss': (
            F.matching_loss,
            {'student': X, 'teacher': X, 'reduction': 'mean'},
        ),
        'propagate': (F.propagate, propagate),
        'intent_propagate': (F.intent_propagate, {**propagate, 'intent': X}),
        'edge_dropout': (
            F.edge_dropout,
            {'edge_weight': weight, 'p': 0.5, 'generator': None},
        ),
        'node_dropout': (
            F.node_dropout,
            {'edge_index': GRAPH, 'edge_weight': weight, 'num_nodes': 22, 'p': 0.5}
            | {'generator': None},
        ),
        'unit_norm': (F.unit_norm, {'x': X, 'eps': 1e-8}),
        'top_k_items': (
            F.top_k_items,
            {'user': X[:3], 'item': X, 'k': 2}
            | {'exclude': (torch.tensor([0]), torch.tensor([1]))},
        ),
        'approximation_error': (
            F.approximation_error,
            {'query': X, 'keys': X, 'impl': 'moments', 'temperature': 0.5}
            | {'key_weight': ones, 'num_samples': 4, 'generator': None},
        ),
    }


def backbone_calls(folder: Path) -> Calls:
    sizes = {'num_users': 12, 'num_items': 10, 'embedding_dim': 4}
    common = {**sizes, 'num_intents': 2, 'intent_temperature': 0.1, 'impl': 'auto'}
    layered = {**common, 'num_layers': 2}
    contrast = {**layered, 'contrast_weight': 0.1, 'temperature': 0.2}
    repeats = {**contrast, 'duplicates': False}
    views = {**repeats, 'negatives': 'all', 'contrast_impl': 'auto'}
    backbone = nn.LightGCN(12, 10, 4, num_intents=2)
    sgl = nn.SGL(12, 10, 4)
    output = sgl(GRAPH)
    return {
        'Backbone': (nn.Backbone, common),
        'EmbeddingBackbone': (nn.EmbeddingBackbone, layered),
        'ContrastiveBackbone': (nn.ContrastiveBackbone, repeats),
        'TwoViewBackbone': (nn.TwoViewBackbone, views),
        'LightGCN': (
            nn.LightGCN,
            {**layered, 'edge_dropout': 0.5, 'interaction_intents': True},
        ),
        'SGL': (nn.SGL, {**views, 'augmentation': 'edge', 'dropout': 0.2}),
        'SimGCL': (nn.SimGCL, {**views, 'noise': 0.1}),
        'DCCF': (nn.DCCF, contrast),
        'BIGCF': (
            nn.BIGCF,
            {**repeats, 'interaction_intents': True, 'center_weight': 0.1, 'eps': 0.0},
        ),
        'AlphaRec': (
            nn.AlphaRec,
            {**layered, 'item_text': TEXT[:10], 'interactions': PAIRS}
            | {'temperature': 0.15, 'hidden_channels': 3, 'normalize': True},
        ),
        'ModuleBackbone': (
            nn.ModuleBackbone,
            {**common, 'module': LGConv(), 'in_channels': 4}
            | {'method': 'forward', 'hetero': False, 'weighted': False}
            | {'layout': 'edge_index'},
        ),
        'IntentNodeBackbone': (
            nn.IntentNodeBackbone,
            {'backbone': nn.LightGCN(12, 13, 4), 'num_items': 10}
            | {'user_edges': PAIRS % 3, 'item_edges': PAIRS % 3, 'weight': 1.0}
            | {'user_weight': torch.ones(PAIRS.size(1))}
            | {'item_weight': torch.ones(PAIRS.size(1))},
        ),
        'LightGCN.forward': (
            backbone,
            {'edge_index': GRAPH, 'edge_weight': None, 'x': X},
        ),
        'LightGCN.get_embedding': (
            backbone.get_embedding,
            {'edge_index': GRAPH, 'edge_weight': torch.ones(GRAPH.size(1))},
        ),
        'LightGCN.intents': (backbone.intents, {'x': X}),
        'LightGCN.prototype_loss': (
            backbone.prototype_loss,
            {'x': X, 'cluster': torch.arange(22) % 2},
        ),
        'LightGCN.interaction_intent': (
            backbone.interaction_intent,
            {'layers': [X], 'edge_index': GRAPH},
        ),
        'SGL.auxiliary_loss': (
            sgl.auxiliary_loss,
            {'output': output, 'triplets': TRIPLETS},
        ),
    }


def nn_calls(folder: Path) -> Calls:
    backbone = nn.LightGCN(12, 10, 4, num_intents=2)
    model = nn.IRLLRec(backbone, GRAPH, profile=TEXT, intent=TEXT)
    prototypes = nn.IntentPrototypes(4, 2)
    ones = torch.ones(10)
    ranking = {'user': X[:12], 'item': X[12:], 'triplets': TRIPLETS}
    options = {'temperature': 0.2, 'duplicates': False, 'impl': 'auto'}
    pairs = {'text': X, 'embedding': X}
    wrapped = {'backbone': backbone, 'edge_index': GRAPH, 'edge_weight': None}
    return {
        'Recommender': (
            nn.Recommender,
            {**wrapped, 'l2_weight': 0.0, 'ranking': None, 'companions': ()},
        ),
        'IRLLRec': (
            nn.IRLLRec,
            {**wrapped, 'profile': TEXT, 'intent': TEXT, 'alignment': None}
            | {'momentum': 0.9, 'l2_weight': 0.0, 'l2_teacher': False}
            | {'prototype_weight': 0.0, 'text_storage': 'half'},
        ),
        'RLMRecGen': (
            nn.RLMRecGen,
            {**wrapped, 'profile': TEXT, 'mask_ratio': 0.1, 'weight': 0.1}
            | {'temperature': 0.2, 'max_rows': 5, 'impl': 'auto', 'l2_weight': 0.0},
        ),
        'Recommender.recommend': (
            model.recommend,
            {'users': torch.tensor([0]), 'k': 2, 'exclude': PAIRS, 'batch_size': 4},
        ),
        'Recommender.score': (model.score, {'users': torch.tensor([0])}),
        'Recommender.calibrate': (
            model.calibrate,
            {'label': TEST, 'exclude': TRAIN, 'k': 2, 'progress': False},
        ),
        'Recommender.forward': (model, {'edge_label_index': PAIRS}),
        'Recommender.loss': (model.loss, {'triplets': TRIPLETS}),
        'Recommender.prefetch': (model.prefetch, {'triplets': TRIPLETS}),
        'IntentAlignmentLoss': (
            nn.IntentAlignmentLoss,
            {'profile_weight': 0.1, 'intent_weight': 0.1, 'translation_weight': 0.1}
            | {'matching_weight': 0.1, 'profile_temperature': 0.2, 'noise': 1.0}
            | {'intent_temperature': 0.2, 'user_negatives': 'all', 'eps': 0.0}
            | {'item_negatives': 'batch', 'negative_item_intents': True}
            | {'duplicates': False, 'impl': 'auto', 'translation_impl': 'auto'},
        ),
        'PairwiseAlignmentLoss': (
            nn.PairwiseAlignmentLoss,
            {**options, 'negatives': 'batch'},
        ),
        'PairwiseAlignmentLoss.forward': (
            nn.PairwiseAlignmentLoss(),
            {**pairs, 'index': torch.tensor([0, 1])},
        ),
        'TranslationAlignmentLoss': (
            nn.TranslationAlignmentLoss,
            {'temperature': 1.0, 'noise': 1.0, 'eps': 0.0, 'impl': 'auto'},
        ),
        'TranslationAlignmentLoss.forward': (
            nn.TranslationAlignmentLoss(),
            {**pairs, 'generator': None},
        ),
        'DirectAULoss': (nn.DirectAULoss, {'uniformity_weight': 1.0}),
        'DirectAULoss.forward': (nn.DirectAULoss(), ranking),
        'BPRLoss.forward': (nn.BPRLoss(), ranking),
        'SoftmaxLoss': (
            nn.SoftmaxLoss,
            {'temperature': 0.1, 'normalize': True, 'known': 'batch', 'impl': 'auto'}
            | {
                'popularity': ones,
                'popularity_weight': 0.5,
                'num_samples': 5,
                'sample_weight': ones,
            },
        ),
        'SoftmaxLoss.forward': (nn.SoftmaxLoss(), ranking),
        'InteractionTextMatchingLoss.forward': (
            nn.InteractionTextMatchingLoss(),
            {'student': X, 'teacher': X},
        ),
        'IntentPrototypes': (
            nn.IntentPrototypes,
            {'embedding_dim': 4, 'num_intents': 2, 'temperature': 0.1},
        ),
        'IntentPrototypes.forward': (prototypes, {'x': X}),
        'IntentPrototypes.logits': (prototypes.logits, {'x': X}),
        'IntentPrototypes.assign': (prototypes.assign, {'x': X}),
        'IntentLGConv': (nn.IntentLGConv, {'impl': 'auto'}),
        'IntentLGConv.forward': (
            nn.IntentLGConv(),
            {'x': X, 'edge_index': GRAPH, 'edge_weight': None, 'intent': X}
            | {'size': (22, 22)},
        ),
        'TextProjector': (
            nn.TextProjector,
            {'in_channels': 3, 'out_channels': 2, 'hidden_channels': 4},
        ),
        'TextProjector.forward': (nn.TextProjector(4, 2), {'x': X}),
        'FeatureMap': (nn.FeatureMap, {'in_channels': 3, 'out_channels': 2}),
        'FeatureMap.forward': (nn.FeatureMap(4, 2), {'x': X}),
        'MomentumEncoder': (
            nn.MomentumEncoder,
            {'encoder': torch.nn.Linear(4, 2), 'momentum': 0.9},
        ),
    }


def transform_calls(folder: Path) -> Calls:
    loose = DATA.clone()
    for split in ('val', 'test'):
        del loose[RATES][f'{split}_edge_label_index']
    loose[RATES].rating = torch.ones(PAIRS.size(1))
    text.save_intents(folder / 'a.jsonl', [], {})
    text.save_intents(folder / 'b.jsonl', [], {'what': 'profiles'})
    sources = {'source': 'profile_text', 'target': 'new'}
    right: dict[str, tuple[Any, dict[str, Any]]] = {
        'AddIntents': (
            DATA,
            {'path': folder / 'a.jsonl', 'target': 'new', 'missing': 'blank'}
            | {'expect': {}, 'check_evidence': False, 'unsplit': False}
            | {'sides': ('user',)},
        ),
        'AddProfiles': (
            DATA,
            {'path': folder / 'b.jsonl', 'target': 'new', 'missing': 'blank'}
            | {'expect': {}, 'check_evidence': False, 'unsplit': False}
            | {'sides': ('user',)},
        ),
        'BinarizeRatings': (loose, {'min_rating': 1.0, 'rating': 'rating'}),
        'DropEdges': (DATA, {'p': 0.5, 'generator': None}),
        'DropNodes': (DATA, {'p': 0.5, 'generator': None}),
        'EncodeText': (
            DATA,
            {**sources, 'encoder': text.TfidfEncoder(), 'sides': ('item',)},
        ),
        'IntentNodes': (
            DATA,
            {'num_intents': 2, 'source': 'profile', 'users_by': 'items', 'seed': 0}
            | {'per_item': 2, 'per_user': 2, 'temperature': 0.1, 'unsplit': False},
        ),
        'KCore': (loose, {'k': 1, 'k_item': 1}),
        'ProfileTexts': (
            DATA,
            {**sources, 'max_items': 2, 'max_chars': 50, 'by': 'rare'}
            | {'unsplit': False},
        ),
        'ProfileVectors': (
            DATA,
            {'source': 'profile', 'weight': 'idf', 'unsplit': False},
        ),
        'ReduceText': (
            DATA,
            {'dim': 2, 'target': 'profile', 'seed': 0, 'sides': ('item',)}
            | {'whiten': True, 'shrinkage': 0.1, 'fit_on': 'item'},
        ),
        'RemapIds': (loose, {}),
        'SplitInteractions': (
            loose,
            {'by': 'random', 'val': 0.1, 'test': 0.1, 'seed': 0, 'per_user': True}
            | {'min_train': 1, 'cold': 'keep'},
        ),
        'SymmetricAdjacency': (DATA, {'layout': 'csr', 'self_loops': False}),
    }

    def apply(name: str) -> Callable[..., Any]:
        cls = getattr(transforms, name)
        return lambda data, **options: cls(**options)(data)

    return {
        name: (apply(name), {'data': data, **options, **TYPES})
        for name, (data, options) in right.items()
    }


def dataset_calls(folder: Path) -> Calls:
    write_dataset(folder)
    rows = {'u': [1, 2, 2], 'i': [5, 5, 6], 'r': [1.0, 2.0, 3.0], 't': [9, 10, 11]}
    items = {'i': [5, 6], 'name': ['tea', 'cup']}
    csv = '\n'.join(['u,i,r,t', *map('{},{},{},{}'.format, *rows.values())])
    write_files(folder, {'a.csv': csv, 'items.csv': 'i,name\n5,tea\n6,cup'})
    columns = {'user': 'u', 'item': 'i', 'rating': 'r', 'timestamp': 't'}
    table = {**columns, 'time_unit': 's', 'users': None, 'user_text': None}
    table |= {'user_id': None, 'item_text': 'name', 'item_id': 'i'}
    table |= {'item_title': 'name'}
    table |= {'duplicates': 'last', 'transform': None, 'force_reload': True}
    raw = {'root': folder / 'none', 'processed_root': None, 'transform': None}
    raw |= {'force_reload': False}
    # Without the root: where there are no files, they are downloaded.
    fixed = {name: value for name, value in raw.items() if name != 'root'}
    write_files(folder / 'films', FILMS)
    write_files(folder / 'music', MUSIC)
    return {
        'SyntheticIntents': (
            datasets.SyntheticIntents,
            {'num_users': 5, 'num_items': 8, 'num_intents': 2, 'noise': 0.1}
            | {'interactions_per_user': 2.0, 'val_ratio': 0.2, 'test_ratio': 0.2}
            | {'encoder': None, 'seed': 0, 'transform': None},
        ),
        'IRLLRecDataset': (
            datasets.IRLLRecDataset,
            {'root': folder, 'name': 'amazon', 'texts': ('profile',)}
            | {'transform': None},
        ),
        'InteractionDataset': (
            datasets.InteractionDataset,
            {'root': folder / 'none', 'transform': None},
        ),
        'InteractionDataset.from_frame': (
            datasets.InteractionDataset.from_frame,
            {'root': folder / 'frame', 'frame': rows, 'items': items, **table},
        ),
        'InteractionDataset.from_csv': (
            datasets.InteractionDataset.from_csv,
            {'root': folder / 'csv', 'path': folder / 'a.csv', 'sep': ',', **table}
            | {'items': folder / 'items.csv', 'encoding': 'utf-8', 'quote': '"'}
            | {'column_names': None},
        ),
        'Goodreads': (datasets.Goodreads, {**raw, 'user_texts': False}),
        'MovieLens': (
            partial(datasets.MovieLens, folder / 'films'),
            {**fixed, 'name': 'latest-small', 'tags': False},
        ),
        'LastFM': (
            partial(datasets.LastFM, folder / 'music'),
            {**fixed, 'tags': False},
        ),
    }


def text_calls(folder: Path) -> Calls:
    vectors = np.ones((2, 3), np.float32)
    text.save_vectors(folder / 'v.npz', vectors, ['a', 'b'], {})
    text.save_intents(folder / 'i.jsonl', [], {})
    evidence = some_evidence(2)
    text.save_evidence(folder / 'shards', evidence)
    extract = text.IntentExtractor(text.OpenAIChat('m', api_key='k' * 20))
    record = text.IntentRecord('user', 1, 'failed', (), 'no answer')
    prompt = text.Prompt.packaged('user')
    llm = SimpleNamespace(
        tokenizer=SimpleNamespace(
            chat_template='x', apply_chat_template=lambda *a, **k: 'x'
        ),
        llm=torch.nn.Linear(1, 1),
        device='cpu',
    )
    server = {'model': 'm', 'base_url': 'http://localhost:1', 'api_key': 'k' * 20}
    return {
        'save_vectors': (
            text.save_vectors,
            {'path': folder / 'w.npz', 'vectors': vectors, 'ids': ['a', 'b']}
            | {'description': {}},
        ),
        'load_vectors': (
            text.load_vectors,
            {'path': folder / 'v.npz', 'ids': ['a'], 'expect': {}, 'missing': 'zeros'},
        ),
        'save_intents': (
            text.save_intents,
            {'path': folder / 'j.jsonl', 'records': [record], 'manifest': {}},
        ),
        'load_intents': (
            text.load_intents,
            {'path': folder / 'i.jsonl', 'expect': {}},
        ),
        'intents_to_text': (text.intents_to_text, {'records': [record]}),
        'intent_keywords': (
            text.intent_keywords,
            {'texts': WORDS, 'assignment': torch.eye(2), 'num_words': 2},
        ),
        'choose_evidence': (
            text.choose_evidence,
            {'data': DATA, 'sides': 'user', 'by': 'random', 'max_text_tokens': 5}
            | {'max_evidence_tokens': 10, 'seed': 0, 'source': 'profile_text'}
            | {'unsplit': False, **TYPES},
        ),
        'evidence_sha256': (text.evidence_sha256, {'evidence': evidence}),
        'save_evidence': (
            text.save_evidence,
            {'folder': folder / 'e', 'evidence': evidence, 'shard_size': 2},
        ),
        'EvidenceShards': (text.EvidenceShards, {'folder': folder / 'shards'}),
        'approximate_tokens': (text.approximate_tokens, {'text': 'red tea'}),
        'TfidfEncoder': (text.TfidfEncoder, {'dim': 3, 'seed': 0}),
        'TfidfEncoder.call': (text.TfidfEncoder(), {'texts': WORDS}),
        'TfidfEncoder.fit': (text.TfidfEncoder().fit, {'texts': WORDS}),
        'SentenceEncoder': (
            text.SentenceEncoder,
            {'model': 'm', 'batch_size': 2, 'device': 'cpu', 'progress': False},
        ),
        'CachedEncoder': (
            text.CachedEncoder,
            {'encoder': len, 'path': folder / 'c.db', 'batch_size': 2}
            | {'progress': False, 'description': {'model': 'len'}},
        ),
        'OpenAIEncoder': (
            text.OpenAIEncoder,
            {**server, 'batch_size': 2, 'dimensions': 3, 'max_retries': 0}
            | {'timeout': 1.0, 'progress': False},
        ),
        'OpenAIChat': (
            text.OpenAIChat,
            {**server, 'max_tokens': 5, 'timeout': 1.0, 'options': {}},
        ),
        'RayVLLM': (
            text.RayVLLM,
            {'model': 'm', 'max_tokens': 5, 'options': {}, 'engine_kwargs': {}}
            | {'num_engines': 1, 'batch_size': 2},
        ),
        'LocalChat': (text.LocalChat, {'llm': llm, 'max_tokens': 5, 'batch_size': 1}),
        'Prompt': (text.Prompt, {'path': folder / 'none.md'}),
        'Prompt.packaged': (text.Prompt.packaged, {'side': 'user', 'what': 'profiles'}),
        'Prompt.messages': (prompt.messages, {'texts': WORDS, 'max_intents': 2}),
        'ExtractiveModel': (
            text.ExtractiveModel,
            {'evidence': evidence, 'num_intents': 2, 'min_share': 0.1}
            | {'what': 'profiles'},
        ),
        'IntentExtractor': (
            text.IntentExtractor,
            {'model': honest(), 'prompts': {'user': prompt}, 'max_intents': 2}
            | {'what': 'profiles'}
            | {'concurrency': 1, 'max_retries': 0, 'backoff': 1.0, 'rpm': 1.0}
            | {'tpm': 1.0, 'prompt_price': 0.0, 'answer_price': 0.0}
            | {'progress': False},
        ),
        'IntentExtractor.write_batch': (
            extract.write_batch,
            {'evidence': evidence, 'path': folder / 'i.jsonl', 'max_requests': 1}
            | {'requests': folder / 'r.jsonl', 'journal': folder / 'none.sqlite'}
            | {'max_bytes': 10**6},
        ),
        'IntentExtractor.read_batch': (
            extract.read_batch,
            {'evidence': evidence, 'path': folder / 'i.jsonl', 'answers': []}
            | {'journal': folder / 'i.sqlite'},
        ),
    }


def utils_calls(folder: Path) -> Calls:
    return {
        'UserItems': (
            UserItems,
            {'interactions': PAIRS, 'num_users': 12, 'num_items': 10},
        ),
        'UserItems.intersect': (TRAIN.intersect, {'other': TEST}),
        'UserItems.lookup': (TRAIN.lookup, {'users': torch.tensor([0, 1])}),
        'UserItems.sample_negatives': (
            TRAIN.sample_negatives,
            {'users': torch.tensor([0, 1]), 'generator': None},
        ),
        'TextArray': (TextArray, {'values': WORDS}),
        'select_rows': (select_rows, {'value': X, 'index': torch.tensor([0])}),
        'bipartite_edge_index': (
            bipartite_edge_index,
            {'edge_index': PAIRS, 'num_users': 12, 'num_items': 10}
            | {'edge_weight': torch.ones(PAIRS.size(1))},
        ),
        'to_edge_index': (
            to_edge_index,
            {'adj': PAIRS, 'edge_weight': torch.ones(PAIRS.size(1))},
        ),
        'symmetric_norm': (
            symmetric_norm,
            {'edge_index': GRAPH, 'num_nodes': 22, 'dtype': torch.float32},
        ),
        'plain_edge_index': (plain_edge_index, {'edge_index': PAIRS}),
        'find_interaction_types': (find_interaction_types, {'data': DATA, **TYPES}),
        'training_interactions': (training_interactions, {'data': DATA, **TYPES}),
        'map_interactions': (
            map_interactions,
            {'source': DATA, 'target': DATA, **TYPES},
        ),
    }


def baseline_calls(folder: Path) -> Calls:
    given = {'num_users': 12, 'num_items': 10, 'interactions': PAIRS}
    ease = nn.EASE(12, 10, PAIRS)
    return {
        'Ranker': (nn.Ranker, {'num_users': 12, 'num_items': 10}),
        'Popularity': (nn.Popularity, given),
        'ItemKNN': (
            nn.ItemKNN,
            {**given, 'exponent': 0.5, 'shrinkage': 1.0, 'num_neighbors': 3},
        ),
        'EASE': (
            nn.EASE,
            {**given, 'l2_weight': 10.0, 'item_text': TEXT[:10], 'text_weight': 1.0}
            | {'text_l2_weight': 1.0, 'max_bytes': 10**6},
        ),
        'EASE.score': (ease.score, {'users': torch.tensor([0])}),
        'EASE.forward': (ease, {'edge_label_index': PAIRS}),
        'EASE.recommend': (
            ease.recommend,
            {'users': torch.tensor([0]), 'k': 2, 'exclude': TRAIN, 'batch_size': 4},
        ),
        'EASE.calibrate': (
            ease.calibrate,
            {'label': TEST, 'exclude': TRAIN, 'k': 2, 'progress': False},
        ),
    }


def serving_calls(folder: Path) -> Calls:
    bundle = plain_bundle()
    user, item = {'user': 'user-003'}, {'item': 'book 7'}
    given = {'model': bundle.model, 'data': bundle.data, 'encoder': bundle.encoder}
    saved = folder / 'bundle'
    bundle.save(saved)
    ask: dict[str, Any] = {'k': 2, 'among': None, 'exclude': None}
    ask |= {'intents': None, 'dial': 1.0}
    rank = {**ask, 'seen': False, 'progress': False}
    index, best = serving.ItemIndex(X, num_cells=2), bundle.recommend(['user-003'], 2)
    hub = {'name_or_path': saved, 'device': 'cpu', 'local_files_only': True}
    return {
        'Bundle': (
            serving.Bundle,
            {
                **{**given, 'seen': torch.tensor([[0], [1]])},
                **{'metrics': {'recall@20': 0.5}, 'min_rating': 4.0},
            },
        ),
        'Bundle.save': (bundle.save, {'path': folder / 'other'}),
        'Bundle.update': (
            bundle.update,
            {
                'interactions': [('user-003', 'book 7'), ('zoe', 'book 9')],
                'items': {'new': 'a mystery'},
                'users': {'zoe': 'mysteries'},
            },
        ),
        'Bundle.to': (bundle.to, {'device': 'cpu'}),
        'Bundle.save_pretrained': (bundle.save_pretrained, {'path': folder / 'hub'}),
        'Bundle.from_pretrained': (serving.Bundle.from_pretrained, hub),
        'load': (
            serving.load,
            {'path': saved, 'device': 'cpu', 'encoder': bundle.encoder},
        ),
        'Bundle.recommend': (
            bundle.recommend,
            {'users': ['user-003'], **rank, 'index': 'faiss', 'batch_size': 8},
        ),
        'Bundle.recommend_new': (
            bundle.recommend_new,
            {'items': ['book 7'], 'text': None, **ask},
        ),
        'Bundle.write_recommendations': (
            bundle.write_recommendations,
            {'path': folder / 'best.csv', 'users': ['user-003'], **rank}
            | {'index': 'exact', 'batch_size': 8},
        ),
        'Bundle.similar_items': (bundle.similar_items, {**item, 'k': 2}),
        'Bundle.similar_users': (bundle.similar_users, {**user, 'k': 2}),
        'Bundle.score': (bundle.score, {'users': ['user-003'], 'items': ['book 7']}),
        'FrozenRanker': (
            serving.FrozenRanker,
            {'model': bundle.model, 'user_text': None, 'item_text': None},
        ),
        'ItemIndex': (
            serving.ItemIndex,
            {'item_embedding': X, 'num_cells': 2, 'num_probes': 1},
        ),
        'ItemIndex.search': (
            index.search,
            {'user': X[:3], 'k': 2}
            | {'exclude': (torch.tensor([0]), torch.tensor([1]))},
        ),
        'Nodes': (serving.Nodes, {'side': 'user', 'ids': [1, 2], 'titles': ['a', 'b']}),
        'Nodes.rows': (partial(bundle.items.rows, name='items'), {'ids': ['book 7']}),
        'Nodes.row': (partial(bundle.items.row, name='item'), {'one': 'book 7'}),
        'Recommendations.__getitem__': (best.__getitem__, user),
        'Bundle.intents': (bundle.intents, user),
        'Bundle.item_intents': (bundle.item_intents, item),
        'Bundle.explain': (bundle.explain, {**user, **item}),
    }


def distributed_calls(folder: Path) -> Calls:
    """They need a process group."""
    mesh = init_device_mesh('cpu', (1,))
    graph = distributed.ShardedGraph(PAIRS, 12, 10, mesh)
    table = distributed.ShardedEmbedding(10, 4, mesh)
    model = distributed.ShardedLightGCN(graph, 4, text=X)
    shared = distributed.DistributedLoss(build_model(DATA))
    contrast = {'temperature': 0.5, 'impl': 'moments'}
    slices = {'num_layers': 2, 'num_slices': 1}
    return {
        'DistributedLoss': (
            distributed.DistributedLoss,
            {'model': shared.model, 'process_group': None},
        ),
        'DistributedLoss.forward': (shared, {'triplets': TRIPLETS}),
        'ShardedEmbedding': (
            distributed.ShardedEmbedding,
            {'num_rows': 10, 'dim': 4, 'mesh': mesh, 'generator': None},
        ),
        'ShardedEmbedding.forward': (table, {'ids': TRIPLETS[0]}),
        'ShardedGraph': (
            distributed.ShardedGraph,
            {'interactions': PAIRS, 'num_users': 12, 'num_items': 10, 'mesh': mesh},
        ),
        'ShardedGraph.propagate': (graph.propagate, {'x': X, **slices}),
        'ShardedLightGCN': (
            distributed.ShardedLightGCN,
            {'graph': graph, 'embedding_dim': 4, **slices, 'text': X}
            | {'projector': torch.nn.Linear(4, 4), 'text_weight': 1.0, **contrast}
            | {'negatives': 'all', 'generator': None},
        ),
        'ShardedLightGCN.loss': (model.loss, {'triplets': TRIPLETS}),
        'sharded_info_nce': (
            distributed.sharded_info_nce,
            {'query': X, 'key': X, 'keys': X, 'mesh': mesh, **contrast},
        ),
    }


GROUPS: tuple[Callable[[Path], Calls], ...] = (
    *(training_calls, explain_calls, functional_calls, backbone_calls, nn_calls),
    *(transform_calls, dataset_calls, text_calls, utils_calls, baseline_calls),
    *(serving_calls, distributed_calls),
)
