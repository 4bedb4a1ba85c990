from __future__ import annotations

import json

from tests.cli.calls import call
from tests.cli.tables import write_books


def test_the_best_preset_trains(tmp_path, capsys):
    write_books(tmp_path)
    data, out = tmp_path / 'data', tmp_path / 'tuned'
    tables = [
        '--interactions',
        tmp_path / 'ratings.csv',
        '--items',
        tmp_path / 'books.csv',
    ]
    assert call('prepare', *tables, '--out', data, '--quiet') == 0
    assert call('tune', data, '--out', data, '--epochs', 2, '--trials', 1) == 2
    assert '--out and DATA must be different folders' in capsys.readouterr().err
    search = ['tune', data, '--out', out, '--epochs', 2]
    assert call(*search, '--trials', 1, '--quiet') == 0
    capsys.readouterr()
    assert call(*search, '--trials', 2, '--json') == 0
    found = json.loads(capsys.readouterr().out)
    assert found['preset'] == str(out / 'preset.json')
    assert found['trials'] == {'complete': 2}
    assert 0 < found['value'] < 2
    preset = json.loads((out / 'preset.json').read_bytes())
    assert preset['fit']['lr'] == found['params']['fit.lr']
    assert call(*search, '--trials', 2) == 0  # All trials are done.
    shown = capsys.readouterr().out
    assert f'train with --preset {out / "preset.json"}' in shown
    assert f'{found["value"]:.4f} on validation' in shown
    run = tmp_path / 'run'
    preset['fit']['lr'] = 0.125  # Checked in the configuration of the run below.
    (out / 'preset.json').write_text(json.dumps(preset))
    train = ['train', data, '--out', run, '--epochs', 1, '--quiet']
    assert call(*train, '--preset', out / 'preset.json') == 0
    for name, other in (('backbone', 'sgl'), ('alignment', 'none')):
        capsys.readouterr()
        words = ('--preset', out / 'preset.json', f'--{name}', other)
        assert call(*train, *words) == 2
        assert f'was tuned with --{name} ' in capsys.readouterr().err
    assert call(*search, '--trials', 2, '--alignment', 'full') == 2
    assert 'needs intents (pyg-irllrec intents)' in capsys.readouterr().err
    config = json.loads((run / 'config.json').read_bytes())
    assert config['preset']['fit']['lr'] == 0.125
