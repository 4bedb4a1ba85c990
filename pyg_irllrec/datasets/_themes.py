"""Latent intents in words, for :class:`SyntheticIntents`."""

from __future__ import annotations

from typing import NamedTuple


class Theme(NamedTuple):
    r"""One intent: what it is called, why people act on it, and what they buy."""

    name: str
    motive: str
    things: tuple[str, ...]


THEMES = (
    Theme('hiking', 'spend quiet days outdoors', ('trail map', 'rucksack', 'tent', 'boots', 'compass', 'thermos', 'lantern', 'poncho')),  # noqa: E501
    Theme('home baking', 'bake bread for the family', ('sourdough starter', 'rolling pin', 'dough scraper', 'loaf tin', 'rye flour', 'proofing basket', 'oven stone', 'pastry brush')),  # noqa: E501
    Theme('road cycling', 'ride faster up the hills', ('carbon bottle', 'clip pedal', 'chain lube', 'bike computer', 'aero helmet', 'tyre lever', 'saddle bag', 'jersey')),  # noqa: E501
    Theme('chess', 'outthink a stronger opponent', ('opening primer', 'chess clock', 'endgame manual', 'wooden board', 'tactics workbook', 'score sheet', 'grandmaster biography', 'puzzle deck')),  # noqa: E501
    Theme('gardening', 'grow vegetables on a small balcony', ('seed tray', 'compost bin', 'pruning shears', 'watering can', 'tomato cage', 'herb planter', 'trowel', 'soil meter')),  # noqa: E501
    Theme('night photography', 'capture stars and city lights', ('tripod', 'wide lens', 'remote shutter', 'star tracker', 'filter kit', 'camera strap', 'headlamp', 'long exposure guide')),  # noqa: E501
    Theme('learning guitar', 'play songs by the campfire', ('capo', 'chord chart', 'tuner', 'steel strings', 'fingerpick set', 'songbook', 'guitar stand', 'metronome')),  # noqa: E501
    Theme('specialty coffee', 'taste a better cup every morning', ('burr grinder', 'pour-over cone', 'gooseneck kettle', 'espresso tamper', 'filter paper', 'arabica beans', 'milk pitcher', 'brew scale')),  # noqa: E501
    Theme('crime fiction', 'untangle a mystery before bed', ('detective novel', 'forensic thriller', 'cold case memoir', 'noir anthology', 'whodunit', 'spy saga', 'courtroom drama', 'heist story')),  # noqa: E501
    Theme('yoga', 'calm the mind and loosen the back', ('cork block', 'yoga mat', 'stretch strap', 'meditation cushion', 'bolster', 'breathing course', 'incense', 'balance board')),  # noqa: E501
    Theme('home repair', 'fix things instead of replacing them', ('cordless drill', 'spirit level', 'wood glue', 'pipe wrench', 'sandpaper', 'wall anchor', 'stud finder', 'multimeter')),  # noqa: E501
    Theme('aquariums', 'watch a living reef at home', ('canister filter', 'coral frag', 'water test kit', 'reef salt', 'heater rod', 'driftwood', 'fish flakes', 'algae scraper')),  # noqa: E501
    Theme('space science', 'understand how the universe began', ('telescope', 'cosmology lecture', 'planet atlas', 'rocket model', 'eyepiece', 'astronaut diary', 'galaxy poster', 'physics primer')),  # noqa: E501
    Theme('vegan cooking', 'eat well without harming animals', ('tofu press', 'lentil cookbook', 'nut milk bag', 'tempeh', 'spice rack', 'oat cream', 'chickpea flour', 'jackfruit')),  # noqa: E501
    Theme('retro gaming', 'relive the games of childhood', ('arcade stick', 'game cartridge', 'pixel art book', 'handheld console', 'joypad', 'chiptune record', 'crt cable', 'strategy guide')),  # noqa: E501
    Theme('early parenting', 'care for a newborn with confidence', ('baby carrier', 'night light', 'picture book', 'bottle warmer', 'swaddle', 'teething ring', 'stroller', 'sleep guide')),  # noqa: E501
    Theme('trail running', 'finish a first mountain marathon', ('hydration vest', 'energy gel', 'grip shoes', 'running watch', 'compression socks', 'race planner', 'blister balm', 'trekking pole')),  # noqa: E501
    Theme('watercolour', 'paint a sketchbook on every journey', ('sable brush', 'cold-press paper', 'pigment pan', 'masking fluid', 'palette', 'field easel', 'ink pen', 'colour wheel')),  # noqa: E501
    Theme('personal finance', 'retire early and sleep well', ('budget planner', 'index fund guide', 'tax handbook', 'expense ledger', 'pension calculator', 'market history', 'debt course', 'coin bank')),  # noqa: E501
    Theme('winter sports', 'chase fresh snow with friends', ('ski goggles', 'base layer', 'avalanche beacon', 'wax kit', 'snowboard', 'hand warmer', 'lift pass holder', 'ice axe')),  # noqa: E501
    Theme('knitting', 'make warm gifts by hand', ('merino yarn', 'circular needle', 'stitch marker', 'cable pattern', 'row counter', 'yarn bowl', 'darning needle', 'blocking mat')),  # noqa: E501
    Theme('language learning', 'talk with people abroad', ('phrasebook', 'flashcards', 'grammar drill', 'audio course', 'bilingual reader', 'verb table', 'pronunciation guide', 'pocket dictionary')),  # noqa: E501
    Theme('classic cars', 'bring an old engine back to life', ('socket set', 'carburettor kit', 'chrome polish', 'workshop manual', 'spark plug', 'gasket sheet', 'leather balm', 'timing light')),  # noqa: E501
    Theme('bird watching', 'know every bird by its song', ('binoculars', 'field guide', 'nest box', 'seed feeder', 'spotting scope', 'song recorder', 'life list journal', 'camouflage hat')),  # noqa: E501
)
