from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyg_irllrec.training.run_folder import RunFolder


def test_an_earlier_run_is_moved_aside(tmp_path):
    run = RunFolder(tmp_path / 'runs' / 'mine')
    assert run.open({'seed': 0, 'root': Path('data')}) is None
    assert run.read_config() == {'seed': 0, 'root': str(Path('data').resolve())}
    assert run.config_path.read_text().startswith('{\n  "seed": 0,\n')
    assert not run.has_checkpoint
    (run.path / 'last.ckpt').write_bytes(b'weights')
    assert run.has_checkpoint
    assert run.open({'seed': 1}) == tmp_path / 'runs' / 'mine.1'
    assert run.open({'seed': 2}) == tmp_path / 'runs' / 'mine.2'
    assert not run.has_checkpoint and run.read_config() == {'seed': 2}
    assert (tmp_path / 'runs' / 'mine.1' / 'last.ckpt').read_bytes() == b'weights'


def test_resumes_only_the_same_configuration(tmp_path):
    run = RunFolder(tmp_path)
    config = {'seed': 0, 'ks': (5, 10)}
    run.open(config)
    assert run.open(config, resume=True) is None
    for other in ({'seed': 1, 'ks': (5, 10)}, config | {'lr': 0.1}, {'seed': 0}):
        with pytest.raises(ValueError, match=r'was begun with .*=.*: resume it with'):
            run.open(other, resume=True)
    assert RunFolder(tmp_path).read_config() == {'seed': 0, 'ks': [5, 10]}


def test_a_run_killed_in_its_first_seconds_starts_over(tmp_path):
    run = RunFolder(tmp_path / 'mine')
    assert run.open({'seed': 0}, resume=True) is None
    assert run.read_config() == {'seed': 0}
    # Checkpoints without a configuration are not resumed.
    run.config_path.rename(tmp_path / 'lost.json')
    (run.path / 'last.ckpt').touch()
    with pytest.raises(ValueError, match='beside its checkpoints'):
        run.open({'seed': 0}, resume=True)
    assert run.open({'seed': 0}) == tmp_path / 'mine.1'


def test_a_run_killed_between_its_first_checkpoints_starts_over(tmp_path):
    run = RunFolder(tmp_path / 'mine')
    run.open({'seed': 0})
    run.best_path.touch()
    assert run.open({'seed': 0}, resume=True) == tmp_path / 'mine.1'
    assert not run.best_path.exists() and run.read_config() == {'seed': 0}


def test_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / 'mine').mkdir()
    monkeypatch.chdir(tmp_path / 'mine')
    run = RunFolder('.')
    run.open({'seed': 0})
    assert run.open({'seed': 1}) == tmp_path / 'mine.1'
    assert json.loads((tmp_path / 'mine' / 'config.json').read_text()) == {'seed': 1}


def test_a_folder_with_other_files_is_left_alone(tmp_path, monkeypatch):
    """Other programs also write a config.json."""
    (tmp_path / 'config.json').write_text('{"name": "theirs"}')
    (tmp_path / 'thesis.tex').write_text('dear')
    for resume in (False, True):
        with pytest.raises(ValueError, match=r'(got thesis\.tex|was begun with)'):
            RunFolder(tmp_path).open({'seed': 0}, resume=resume)
    assert {path.name for path in tmp_path.iterdir()} == {'config.json', 'thesis.tex'}
    (tmp_path / 'last.ckpt').touch()  # A checkpoint shows that it is a run.
    assert RunFolder(tmp_path).open({'seed': 0}) == Path(f'{tmp_path}.1')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="'path' must be a path, got ''"):
        RunFolder('')


def test_a_run_that_was_killed_early_may_have_logs(tmp_path):
    folder = tmp_path / 'run'
    RunFolder(folder).open({'seed': 0})
    (folder / 'csv').mkdir()
    assert RunFolder(folder).open({'seed': 1}) == Path(f'{folder}.1')
    assert (tmp_path / 'run.1' / 'csv').is_dir()


def test_a_link_is_not_moved(tmp_path):
    (tmp_path / 'link').symlink_to('real')  # It does not exist yet.
    run = RunFolder(tmp_path / 'link')
    run.open({'seed': 0})
    assert run.open({'seed': 1}) == tmp_path / 'real.1'
    assert (tmp_path / 'link').is_symlink()
    assert RunFolder(tmp_path / 'link').read_config() == {'seed': 1}


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(OSError, match='cannot be created: File name too long'):
        RunFolder(tmp_path / ('x' * 300)).open({})


def test_places_may_change(tmp_path):
    run = RunFolder(tmp_path)
    run.open({'seed': 0, 'root': 'a'})
    run.open({'seed': 0, 'root': 'b'}, resume=True, places=('root',))
    assert run.read_config() == {'seed': 0, 'root': 'b'}
    run.open({'seed': 0, 'root': 'b'}, resume=True, places=('root', 'seed'))
    run.open({'seed': 1, 'root': 'b'}, resume=True, places=('root', 'seed'))
    assert run.read_config() == {'seed': 1, 'root': 'b'}
    run.open({'seed': 0, 'root': 'b'}, resume=True, places=('seed',))
    with pytest.raises(ValueError, match="with root='b'"):
        run.open({'seed': 0, 'root': 'c'}, resume=True)
    with pytest.raises(ValueError, match='with root='):
        run.open({'seed': 0}, resume=True, places=('root',))


def test_bad_input(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match='holds no run'):
        run.read_config()
    with pytest.raises(ValueError, match=r"'config' must .* got a object"):
        run.open({'model': object()})
    for config in ({'lr': float('nan')}, {(1, 2): 3}, [1]):
        with pytest.raises(ValueError, match="'config' must be a dictionary of values"):
            run.open(config)
    with pytest.raises(ValueError, match="'resume' must be"):
        run.open({}, resume='no')
    assert list(tmp_path.iterdir()) == []
    run.config_path.write_text('[1]')
    with pytest.raises(
        ValueError, match='is damaged: it must hold a JSON object, got a list'
    ):
        run.read_config()
    run.config_path.write_text(json.dumps({'seed': 0})[:5])
    with pytest.raises(ValueError, match='is damaged'):
        run.open({'seed': 0}, resume=True)
    assert repr(run) == f'RunFolder({str(tmp_path)!r})'
