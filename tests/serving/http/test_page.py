"""The page in a real browser, by keyboard and with hostile titles."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip('fastapi')
pytest.importorskip('playwright.sync_api')

import uvicorn
from playwright import sync_api

from pyg_irllrec.serving import Bundle
from pyg_irllrec.serving.http import create_app
from pyg_irllrec.serving.http.serve import listen
from tests.serving.bundles import small_data, small_model

CHROMIUM = '/usr/bin/chromium'
HOSTILE = '<script>window.owned = 1</script><img src=x onerror="window.owned = 1">'

pytestmark = pytest.mark.skipif(
    not Path(CHROMIUM).exists() and os.environ.get('CI') != 'true',
    reason='chromium is not installed',
)


@pytest.fixture(scope='module')
def url() -> Iterator[str]:
    r"""A service in a thread. As HTML, its titles and one id would run a script."""
    data, encoder = small_data()
    titles = data['item'].title
    data['item'].title = [f'{title} {HOSTILE}' for title in titles]
    data['user'].id = [HOSTILE, *data['user'].id[1:]]
    app = create_app(Bundle(small_model(data), data, encoder=encoder))
    config = uvicorn.Config(app, log_level='warning')
    server = uvicorn.Server(config)
    with listen('127.0.0.1', 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f'http://127.0.0.1:{listener.getsockname()[1]}'
        server.should_exit = True
        thread.join()


@pytest.fixture(scope='module')
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM, args=['--no-sandbox']
        )
        yield found
        found.close()


@pytest.fixture
def page(browser, url) -> Iterator[sync_api.Page]:
    r"""The page with the list of its first user. Fails if an error occurs on it."""
    page = browser.new_page()
    faults: list[str] = []
    page.on('pageerror', lambda error: faults.append(str(error)))
    page.on(
        'console', lambda text: faults.append(text.text) if text.type == 'error' else 0
    )
    page.goto(url)
    page.wait_for_selector('#list > li')
    yield page
    page.close()
    assert faults == []


def titles(page: sync_api.Page) -> list[str]:
    return page.locator('#list h3').all_inner_texts()


def pick(page: sync_api.Page, user: str) -> None:
    r"""Choose a user by keyboard."""
    page.locator('#who').focus()
    page.keyboard.type(user)
    sync_api.expect(page.locator('#found [role=option]')).to_have_count(1)
    page.keyboard.press('ArrowDown')
    page.keyboard.press('Enter')
    heading = page.get_by_role('heading', name=f'Recommended to {user}')
    sync_api.expect(heading).to_be_visible()


def test_titles_and_ids_are_text(page):
    assert all(HOSTILE in title for title in titles(page))
    assert HOSTILE in page.locator('#list-heading').inner_text()
    sync_api.expect(page.locator('.reason').first).to_contain_text('Like “The Story')
    page.locator('#list button').first.click()
    sync_api.expect(page.locator('.similar li')).to_have_count(5)
    assert HOSTILE in page.locator('.similar li').first.inner_text()
    page.locator('#words').fill(f'lantern boots {HOSTILE}')
    page.keyboard.press('Enter')
    sync_api.expect(page.locator('#intents > li')).to_have_count(6)
    assert page.evaluate('window.owned') is None
    assert page.locator('main script, main img').count() == 0


def test_a_user_is_found_and_sliders_rerank(page):
    pick(page, 'user-012')
    learned = titles(page)
    assert len(learned) == 20 and page.locator('#list .up').count() == 0
    for _ in range(10):
        page.locator('#intents input').nth(3).press('ArrowRight')
    sync_api.expect(page.locator('#intents output').nth(3)).to_have_text('+1.0')
    sync_api.expect(page.locator('#list .up').first).to_be_visible()
    assert titles(page) != learned
    # At strength 0, and after a reset, the list is the original one.
    page.locator('#dial').press('Home')
    sync_api.expect(page.locator('#list .up')).to_have_count(0)
    assert titles(page) == learned
    page.locator('#dial').press('End')
    sync_api.expect(page.locator('#list .up').first).to_be_visible()
    page.get_by_role('button', name='Reset').click()
    sync_api.expect(page.locator('#list .up')).to_have_count(0)
    assert titles(page) == learned


def test_intents_in_own_words(page):
    pick(page, 'user-021')
    learned = titles(page)
    page.get_by_label('An intent in your own words').fill('lantern and boots')
    page.keyboard.press('Enter')
    own = page.get_by_role('slider', name='lantern and boots')
    sync_api.expect(own).to_have_attribute('aria-valuetext', 'promoted +1.0')
    sync_api.expect(page.locator('#list .up').first).to_be_visible()
    why = page.locator('#list .steered')
    sync_api.expect(why.first).to_have_text('Raised by “lantern and boots”.')
    page.locator('#intents input').first.press('Home')
    sync_api.expect(why.first).to_have_text('Raised by little of “lantern and boots”.')
    page.get_by_role('button', name='Remove lantern and boots').click()
    sync_api.expect(why).to_have_count(0)
    sync_api.expect(own).to_have_count(0)
    sync_api.expect(page.locator('#list .up')).to_have_count(0)
    assert titles(page) == learned


def test_an_error_is_shown_and_the_user_is_in_the_url(browser, url):
    page = browser.new_page()
    page.goto(f'{url}/?user=user-033')
    heading = page.locator('#list-heading')
    sync_api.expect(heading).to_have_text('Recommended to user-033')
    page.locator('.skip').press('Enter')
    sync_api.expect(heading).to_be_focused()
    page.reload()
    sync_api.expect(heading).to_have_text('Recommended to user-033')
    page.locator('#words').fill('xyzzy plugh')
    page.keyboard.press('Enter')
    sync_api.expect(page.get_by_role('alert')).to_contain_text('xyzzy plugh')
    sync_api.expect(page.get_by_role('slider', name='xyzzy')).to_have_count(0)
    page.locator('#who').fill('nobody has this id')
    sync_api.expect(page.locator('#found')).to_contain_text('No user')
    page.close()


def test_every_control_has_a_name(page):
    unnamed = page.evaluate("""() => [...document.querySelectorAll('input, button')]
        .filter((each) => !each.labels?.length && !each.ariaLabel && !each.textContent
            && each.offsetParent)
        .map((each) => each.outerHTML)""")
    assert unnamed == []
    assert page.get_by_role('slider').count() >= 2
    assert page.get_by_role('combobox', name='User').count() == 1
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
    page.set_viewport_size({'width': 320, 'height': 600})
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
