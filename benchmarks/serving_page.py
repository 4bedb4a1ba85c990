r"""Take a screenshot of the service's web page in a headless Chromium.

    python -m benchmarks.serving_page --png docs/serve.png

Serves a bundle of the embedded dataset, trained for a few epochs. The title of an item
lists the things in its text. The page shows a user with one intent promoted, one
demoted and one in words. Takes a minute.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

import uvicorn
from playwright.sync_api import Page, sync_playwright

from benchmarks._serving_data import embedded_data
from pyg_irllrec import build_model
from pyg_irllrec.serving import Bundle
from pyg_irllrec.serving.http import create_app
from pyg_irllrec.serving.http.serve import listen
from pyg_irllrec.training import InteractionDataModule, fit


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--png', type=Path, required=True, metavar='FILE')
    parser.add_argument('--width', type=int, default=1100)
    parser.add_argument('--height', type=int, default=900)
    parser.add_argument('--dark', action='store_true')
    parser.add_argument('--epochs', type=int, default=20)
    parser.add_argument('--chromium', default='/usr/bin/chromium', metavar='FILE')
    args = parser.parse_args()
    server = uvicorn.Server(
        uvicorn.Config(create_app(make_bundle(args.epochs)), log_level='warning')
    )
    with listen('127.0.0.1', 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            take_picture(f'http://127.0.0.1:{listener.getsockname()[1]}', args)
        finally:
            server.should_exit = True
            thread.join()
    return 0


def make_bundle(epochs: int) -> Bundle:
    data, encoder = embedded_data(1000, 800)
    data['item'].title = [title(text) for text in data['item'].profile_text]
    data['user'].id = [f'user-{row:04}' for row in range(data['user'].num_nodes)]
    model = build_model(data)
    with tempfile.TemporaryDirectory() as folder:
        fit(model, InteractionDataModule(data), folder, epochs=epochs, lr=0.01)
    return Bundle(model, data, encoder=encoder)


def title(text: str) -> str:
    """Offer the rucksack, the tent; mostly about hiking -> Rucksack, tent."""
    names = re.findall(r'\bthe ([^,.;]+?)(?=,|;|\.| and )', text)
    return ', '.join(names).capitalize() or text


def take_picture(url: str, args: argparse.Namespace) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=args.chromium, args=['--no-sandbox']
        )
        page = browser.new_page(
            viewport={'width': args.width, 'height': args.height},
            color_scheme='dark' if args.dark else 'light',
        )
        page.goto(f'{url}/?user=user-0007')
        page.wait_for_selector('#list > li')
        steer(page)
        page.wait_for_timeout(3000)
        page.screenshot(path=args.png)
        browser.close()


def steer(page: Page) -> None:
    if not page.locator('#words').is_visible():
        return  # On a narrow screen the dials are collapsed.
    page.locator('#words').fill('baking bread on a rainy day')
    page.keyboard.press('Enter')
    page.wait_for_selector('#intents button')
    for dial, key, times in ((1, 'ArrowRight', 6), (2, 'ArrowLeft', 5)):
        for _ in range(times):
            page.locator('#intents input').nth(dial).press(key)
    page.evaluate("""() => {
        document.activeElement.blur();
        document.querySelector('aside').scrollTo(0, 0);
        scrollTo(0, 0);
    }""")


if __name__ == '__main__':
    sys.exit(main())
