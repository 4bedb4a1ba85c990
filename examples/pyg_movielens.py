"""A recommender of this package on PyG's MovieLens1M, split by PyG."""

import torch
from torch_geometric.datasets import MovieLens1M
from torch_geometric.transforms import RandomLinkSplit

from pyg_irllrec import build_model
from pyg_irllrec.training import InteractionDataModule, RunFolder, fit

rates, rated_by = ('user', 'rates', 'movie'), ('movie', 'rated_by', 'user')
data = MovieLens1M('data/MovieLens1M')[0]
split = RandomLinkSplit(0.1, 0.1, edge_types=rates, rev_edge_types=rated_by)
train, val, test = split(data)

torch.manual_seed(0)
model = build_model(train, alignment='none')
run = RunFolder('runs/pyg-movielens')
run.open({'seed': 0})  # An earlier run is moved aside.
result = fit(model, InteractionDataModule(train, val, test), run.path)
print({name: round(value, 4) for name, value in result.test.items()})

users = torch.tensor([0, 1, 2])
best = model.recommend(users, k=5, exclude=data[rates].edge_index)
print(best.item)
