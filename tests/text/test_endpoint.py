from __future__ import annotations

import pytest

from pyg_irllrec.text._api_key import ApiKey
from pyg_irllrec.text._endpoint import Endpoint, EndpointError

pytest.importorskip('openai')


def test_an_error_with_a_cause_is_not_a_broken_connection():
    def send(client):
        raise RuntimeError('no') from KeyError('why')

    endpoint = Endpoint('http://127.0.0.1:1/v1', ApiKey('none'), 1, 100)
    with pytest.raises(EndpointError, match='RuntimeError: no') as caught:
        endpoint.call(send)
    assert caught.value.kind == 'refused'
    endpoint.close()
