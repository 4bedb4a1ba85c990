from __future__ import annotations

import hashlib
import json
import random
import shutil
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
import torch
from torch_geometric.nn import GraphSAGE

from benchmarks import bundle_faults
from pyg_irllrec import build_model
from pyg_irllrec.nn import ModuleBackbone
from pyg_irllrec.presets import get_preset
from pyg_irllrec.serving import Bundle, load
from pyg_irllrec.serving._bundle_files import read_tensors, write_tensors
from pyg_irllrec.serving._grow_model import grow_model
from pyg_irllrec.serving._save import with_digest
from pyg_irllrec.typing import RATES
from tests.serving.bundles import (
    bare_bundle,
    full_bundle,
    plain_bundle,
    small_data,
    small_model,
)


@pytest.fixture(scope='module')
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('saved') / 'bundle'
    plain_bundle().save(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / 'copy'))


def scores(bundle: Bundle) -> torch.Tensor:
    return bundle.ranker.score(torch.arange(len(bundle.users)))


def rewrite(folder: Path, **fields: object) -> None:
    record = json.loads((folder / 'bundle.json').read_text())
    (folder / 'bundle.json').write_text(json.dumps(with_digest(record | fields)))


@pytest.mark.parametrize('make', [plain_bundle, full_bundle, bare_bundle])
def test_recommends_as_before(make, tmp_path):
    bundle = make()
    bundle.save(tmp_path / 'bundle')
    state = torch.get_rng_state()
    found = load(tmp_path / 'bundle')
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(scores(found), scores(bundle))
    best, wanted = (each.recommend(None, 5) for each in (found, bundle))
    assert torch.equal(best.item, wanted.item)
    assert torch.equal(best.score, wanted.score)
    for one, other in ((found.users, bundle.users), (found.items, bundle.items)):
        assert list(one) == list(other) and one.title(3) == other.title(3)
    assert found.metrics == bundle.metrics


@pytest.mark.parametrize('text_storage', ['half', 'host'])
def test_texts_are_stored_as_before(text_storage, tmp_path):
    data, _ = small_data()
    preset = get_preset('lightgcn', 'own', 'full')
    preset['model']['text_storage'] = text_storage
    model = small_model(data, 'lightgcn', 'full', preset)
    Bundle(model, data).save(tmp_path / 'bundle')
    found = load(tmp_path / 'bundle').model
    assert found.text_storage == text_storage
    assert torch.equal(found.intent, model.intent)
    assert found.intent.dtype == model.intent.dtype
    grown = grow_model(found, data, torch.tensor([[0], [1]]))
    assert grown.profile.dtype == found.profile.dtype
    assert grown.text_storage == text_storage


def test_keeps_the_data(saved):
    data, wanted = load(saved).data, plain_bundle().data
    assert data.keys() == wanted.keys()
    for store, other in zip(data.stores, wanted.stores):
        for key, value in other.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(store[key], value), key
            else:
                assert store[key] == value, key


def test_solves_no_companion_again(saved, monkeypatch):
    monkeypatch.setattr('pyg_irllrec.nn.EASE._solve', None)
    assert torch.equal(scores(load(saved)), scores(plain_bundle()))


def test_the_encoder_gives_the_same_vectors(saved):
    texts = ['slow cooking', 'hikes']
    assert (load(saved).encoder(texts) == plain_bundle().encoder(texts)).all()
    assert load(saved, encoder=len).encoder is len


def test_a_loaded_model_can_be_trained(saved, tmp_path):
    pytest.importorskip('lightning')
    from pyg_irllrec.training import InteractionDataModule, fit

    bundle = load(saved)
    before = scores(bundle)
    data = InteractionDataModule(bundle.data, batch_size=64)
    fit(bundle.model, data, tmp_path / 'run', epochs=1)
    again = Bundle(bundle.model, bundle.data, encoder=bundle.encoder)
    assert not torch.equal(scores(again), before)
    again.save(tmp_path / 'bundle')
    assert torch.equal(scores(load(tmp_path / 'bundle')), scores(again))


def test_a_model_with_own_parts_is_passed_to_load(tmp_path):
    data, _ = small_data()

    def build() -> torch.nn.Module:
        sage = ModuleBackbone(GraphSAGE(8, 8, 1), 60, 40, embedding_dim=8)
        return build_model(data, sage, 'none')

    bundle = Bundle(build(), data)
    with pytest.warns(UserWarning, match=r'is a ModuleBackbone.* load\(path, model='):
        bundle.save(tmp_path / 'own')
    with pytest.raises(
        ValueError,
        match=r"^'model' must be built like the IRLLRec .*own, which.*model=\.\.\.",
    ):
        load(tmp_path / 'own')
    found = load(tmp_path / 'own', model=build())
    assert torch.equal(scores(found), scores(bundle))
    with pytest.raises(ValueError, match=r"^'model' must be built like the saved one"):
        load(tmp_path / 'own', model=small_model(data, alignment='none'))
    user, item = data[RATES].edge_index
    data[RATES].edge_index = torch.stack([59 - user, item])
    with pytest.raises(ValueError, match='on the graph of the saved'):
        load(tmp_path / 'own', model=build())


@pytest.mark.parametrize('fault', bundle_faults.FAULTS)
def test_a_damaged_bundle_is_rejected_or_harmless(saved, tmp_path, fault):
    wanted = scores(plain_bundle())
    for seed in range(8):
        copy = Path(shutil.copytree(saved, tmp_path / str(seed)))
        what = bundle_faults.FAULTS[fault](copy, random.Random(f'{fault} {seed}'))
        is_forged = fault.startswith('forged')
        verdict, error = bundle_faults.verdict_of(copy, wanted, is_forged)
        assert verdict not in bundle_faults.FAILURES, (what, error)
        if fault in ('flipped', 'cut', 'removed', 'forged, nested'):
            assert verdict == 'refused', (what, error)


def test_seen_interactions_are_kept(tmp_path):
    data, _ = small_data()
    seen = torch.tensor([[0, 1], [5, 7]])
    Bundle(small_model(data, alignment='none'), data, seen=seen).save(tmp_path)
    assert load(tmp_path).seen.item.tolist() == [5, 7]


def test_invalid_bundle_json(copy):
    rewrite(copy, format='other')
    with pytest.raises(ValueError, match=r'bundle\.json does not describe a bundle'):
        load(copy)
    (copy / 'bundle.json').write_bytes(b' ' * (1 << 24) + b'{}')
    with pytest.raises(ValueError, match=r'bundle\.json has more than \d+ bytes'):
        load(copy)


@pytest.mark.parametrize('solution', [torch.zeros(40, 39), torch.full((40, 3), 40)])
def test_a_solution_that_does_not_fit(copy, solution):
    tensors = {**read_tensors(next(copy.glob('model-*'))), 'solution.0.0': solution}
    record = json.loads((copy / 'bundle.json').read_text())
    files = record['files'] | {'model': write_tensors(copy, 'model', tensors)}
    rewrite(copy, files=files)
    with pytest.raises(ValueError, match='the solution of companion 0'):
        load(copy)


def test_a_missing_bundle(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no bundle: it has no file'):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r'the folder .*none does not exist'):
        load(tmp_path / 'none')
    (tmp_path / 'file').write_text('')
    with pytest.raises(FileNotFoundError, match='holds no bundle'):
        load(tmp_path / 'file')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('options.json', 'but data from pyg-irllrec prepare.* --out RUN'),
        ('config.json', 'but a run.* pyg-irllrec train DATA --out .* --resume'),
    ],
)
def test_other_folders_are_named(tmp_path, name, message):
    (tmp_path / name).write_text('{}')
    with pytest.raises(FileNotFoundError, match=message):
        load(tmp_path)


def test_the_folder_of_a_run(saved):
    (saved.parent / 'config.json').write_text('{}')
    assert saved.name == 'bundle'
    assert load(saved.parent).users.ids == load(saved).users.ids


def test_a_damaged_record_is_named(copy):
    content = (copy / 'bundle.json').read_bytes()
    (copy / 'bundle.json').write_bytes(content[:-20])
    with pytest.raises(ValueError, match=r'bundle\.json is damaged: '):
        load(copy)


def test_another_version_names_the_package_that_wrote_it(copy):
    rewrite(copy, format_version=2, versions={'pyg_irllrec': '9.1'})
    with pytest.raises(ValueError, match=r'version 2, written by pyg_irllrec 9\.1'):
        load(copy)


def test_names_the_file_at_fault(copy):
    (path,) = copy.glob('items-*.parquet')
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=rf'{path.name} has {len(content) - 1} bytes'):
        load(copy)
    path.write_bytes(content[:-1] + b'!')
    with pytest.raises(ValueError, match=f'{path.name} is damaged'):
        load(copy)
    path.unlink()
    with pytest.raises(ValueError, match=f'{path.name} is missing'):
        load(copy)


def test_claimed_sizes_are_checked_before_allocation(copy):
    record = json.loads((copy / 'bundle.json').read_text())
    for name in ('embedding_dim', 'num_intents', 'num_layers'):
        model = json.loads(json.dumps(record['model']))
        model['arguments']['backbone']['arguments'][name] = 10**9
        rewrite(copy, model=model)
        with pytest.raises(ValueError, match='the model claims'):
            load(copy)
    rewrite(copy, model=record['model'], sizes={'user': 60, 'item': 10**12})
    with pytest.raises(ValueError, match='has 40 rows, not 1000000000000'):
        load(copy)


def test_compressed_tables_are_rejected(copy):
    record = json.loads((copy / 'bundle.json').read_text())
    path = copy / record['files']['items']['name']
    table = parquet.read_table(path)
    parquet.write_table(table, path, compression='zstd')
    record['files']['items'] |= {
        'bytes': path.stat().st_size,
        'sha256': hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    rewrite(copy, files=record['files'])
    with pytest.raises(ValueError, match='is compressed'):
        load(copy)


def test_a_reader_that_races_with_a_save_reads_again(copy, monkeypatch):
    module = import_module('pyg_irllrec.serving.load')

    read = module.read_tensors
    others = iter([bare_bundle()])

    def race(path):
        for bundle in others:
            bundle.save(copy)
        return read(path)

    monkeypatch.setattr(module, 'read_tensors', race)
    assert torch.equal(scores(module.load(copy)), scores(bare_bundle()))


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'path': 3}, "'path' must be a path"),
        ({'device': 'tpu9'}, "'device' must be available on this"),
        ({'device': 'meta'}, "'device' must be able to store values"),
        ({'model': 3}, "'model' must be a Recommender"),
        ({'encoder': 3}, "'encoder' must be callable"),
    ],
)
def test_wrong_arguments(saved, given, message):
    with pytest.raises(ValueError, match=message):
        load(**({'path': saved} | given))
