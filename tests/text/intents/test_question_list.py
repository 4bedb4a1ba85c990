from __future__ import annotations

from contextlib import closing

import pytest

from pyg_irllrec.text.intents._question_list import QuestionList
from pyg_irllrec.text.intents._question_maker import QuestionMaker
from pyg_irllrec.text.intents._wanted import Wanted
from pyg_irllrec.text.intents.evidence import Evidence, evidence_sha256
from tests.text.chat_data import some_evidence


def listed(evidence):
    maker = QuestionMaker({'model': 'm'}, Wanted('intents', 5), None)
    return closing(QuestionList(evidence, maker))


def test_questions_in_the_order_of_nodes():
    twins = [Evidence('user', name, ('user text 1', 'more 1')) for name in 'ab']
    evidence = [*some_evidence(20), Evidence('user', 'none', ()), *twins]
    evidence += some_evidence(2, 'item')
    with listed(evidence) as found:
        keys = list(found.keys())
        assert keys[20] is None and keys[21] == keys[22] == keys[1]
        assert len({key for key in keys if key}) == found.num_questions() == 22
        assert found.counts() == {'nodes': 25, 'no evidence': 1}
        rows = [*range(20), 23, 24]
        counts = [3 if row == 1 else 1 for row in rows]
        expected = list(zip((keys[row] for row in rows), rows, counts))
        assert list(found.questions()) == expected
        assert found.key(23) == keys[23] and found.num_texts(keys[3]) == 2
        assert found.num_texts(b'another') is None
        assert found.evidence_sha256 == evidence_sha256(evidence)


def test_the_same_id_in_two_node_types_is_two_nodes():
    with listed([*some_evidence(1), *some_evidence(1, 'item')]) as found:
        assert found.counts()['nodes'] == 2
    evidence = [Evidence('user', 1, ()), Evidence('user', '1', ())]
    with listed(evidence) as found:
        assert found.num_questions() == 0
    with pytest.raises(ValueError, match="each node once, got user 'x' twice"):
        listed([*some_evidence(9), *[Evidence('user', 'x', ())] * 2])
