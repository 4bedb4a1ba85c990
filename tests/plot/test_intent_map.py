from __future__ import annotations

import io
import sys

import pytest

from pyg_irllrec.assemble import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.nn import LightGCN
from pyg_irllrec.plot import draw_intent_map

pytest.importorskip('matplotlib')


@pytest.fixture(scope='module')
def explain() -> IntentExplainer:
    data = SyntheticIntents(num_users=30, num_items=20)[0]
    model = build_model(data, LightGCN(30, 20, 8, num_intents=4), 'none')
    return IntentExplainer(model, data)


def test_marks_nodes_by_their_labels(explain):
    figure = draw_intent_map(explain, {'user': {3: 'anna', 1: 7}, 'item': {}})
    labels = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert labels == [['anna', '7'], []]
    assert [axes.get_title().split()[0] for axes in figure.axes] == ['Users,', 'Items,']


def test_text_is_shown_as_it_is(monkeypatch):
    """Dollar signs start no formula, and a leading underscore hides no label."""
    data = SyntheticIntents(num_users=30, num_items=20)[0]
    model = build_model(data, LightGCN(30, 20, 8, num_intents=2), 'none')
    explain = IntentExplainer(model, data)
    names = iter([r'$\frac$', '_hidden', '$x_{', 'a\ud800'])
    for side in ('user', 'item'):
        found = [
            each._replace(words=[next(names)]) for each in explain.prototypes(side)
        ]
        monkeypatch.setitem(explain._prototypes, side, found)
    figure = draw_intent_map(explain, {'item': {0: '$x_{9^$', 1: 'b\ud800\n'}})
    figure.savefig(io.BytesIO())
    shown = [
        text.get_text()
        for axes in figure.axes
        for text in [*axes.texts, *axes.get_legend().get_texts()]
    ]
    expected = {r'$\frac$', '_hidden', '$x_{', r'a\ud800', '$x_{9^$', r'b\ud800\n'}
    assert set(shown) == expected | {'others'}


def test_the_same_words_have_the_same_colour_on_both_sides(monkeypatch):
    data = SyntheticIntents(num_users=60, num_items=50)[0]
    model = build_model(data, LightGCN(60, 50, 8, num_intents=4), 'none')
    explain = IntentExplainer(model, data)
    for side, names in (('user', 'abcd'), ('item', 'dcba')):
        found = [
            each._replace(words=[name])
            for each, name in zip(explain.prototypes(side), names)
        ]
        monkeypatch.setitem(explain._prototypes, side, found)
    colours = []
    for axes in draw_intent_map(explain).axes:
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        drawn = [tuple(group.get_facecolor()[0]) for group in axes.collections[1:]]
        assert len(set(drawn)) == len(drawn) > 1
        colours.append(dict(zip(names[1:], drawn)))
    user, item = colours
    assert user.keys() & item.keys()
    assert all(user[name] == item[name] for name in user.keys() & item.keys())


def test_some_nodes_of_one_side(explain):
    figure = draw_intent_map(explain, {'item': {19: 'x'}}, sides=['item'], max_nodes=5)
    (axes,) = figure.axes
    points = sum(len(group.get_offsets()) for group in axes.collections)
    assert points == 5 + 1  # And the mark.


def test_without_matplotlib(explain, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[plot\]'"):
        draw_intent_map(explain)
