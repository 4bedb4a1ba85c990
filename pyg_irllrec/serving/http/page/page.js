// The user, the list and the sliders. All text enters the page by textContent, so titles
// and ids are never parsed as HTML.

const NUM_ITEMS = 20;
const NUM_SIMILAR = 5;
const NUM_REASONS = 2;
const NUM_INTENTS = 5;
const REASONS_AT_ONCE = 5;
const WAIT_MS = 150;
const MIN_EFFECT = 0.1; // In standard deviations of the user's scores.

const byId = (id) => document.getElementById(id);
const state = {
  user: null,
  weights: new Map(), // By intent: a name, or the user's own words.
  own: new Set(), // The intents in own words.
  all: false, // Whether all intents are shown.
  named: [], // The intents of the user from the service.
  learned: new Map(), // The ranks of items before steering.
  reasons: new Map(), // By item, of this user.
};

const and = new Intl.ListFormat('en');
const quoted = (titles) => and.format(titles.map((title) => `“${title.replace(/["“”„]/g, "'")}”`));

function make(tag, text, classes, attributes = {}) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (classes) node.className = classes;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// A new request aborts an earlier one of the same kind, whose response is outdated.
const running = new Map();
async function ask(kind, path, body) {
  running.get(kind)?.abort();
  const abort = new AbortController();
  running.set(kind, abort);
  const options = { signal: abort.signal };
  if (body) {
    options.method = 'POST';
    options.headers = { 'content-type': 'application/json' };
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function guarded(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name === 'AbortError') return undefined;
    const lost = error instanceof TypeError;
    byId('error').textContent = lost ? 'The service does not answer.' : error.message;
    byId('error').hidden = false;
    return undefined;
  }
}

function later(work) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, WAIT_MS);
  };
}

// The user.

const who = byId('who');
const found = byId('found');
let active = -1;

function close() {
  found.hidden = true;
  active = -1;
  who.setAttribute('aria-expanded', 'false');
  who.removeAttribute('aria-activedescendant');
}

function activate(index) {
  const options = [...found.querySelectorAll('[role=option]')];
  if (options.length === 0) return;
  active = (index + options.length) % options.length;
  options.forEach((option, at) => option.setAttribute('aria-selected', at === active));
  who.setAttribute('aria-activedescendant', options[active].id);
  options[active].scrollIntoView({ block: 'nearest' });
}

async function search() {
  const asked = who.value === String(state.user) ? '' : who.value;
  const query = encodeURIComponent(asked);
  const answer = await guarded(() => ask('search', `/users?query=${query}&limit=20`));
  if (!answer || document.activeElement !== who) return;
  const options = answer.found.map(({ user, title }, index) => {
    const option = make('li', undefined, '', {
      role: 'option', id: `found-${index}`, 'aria-selected': 'false',
    });
    option.append(make('span', String(user)));
    if (title !== String(user)) option.append(' ', make('span', title.slice(0, 120), 'quiet'));
    option.addEventListener('pointerdown', (event) => event.preventDefault());
    option.addEventListener('click', () => choose(user));
    option.user = user;
    return option;
  });
  const none = make('li', 'No user id or title contains this.', 'quiet');
  found.replaceChildren(...(options.length ? options : [none]));
  found.hidden = false;
  active = -1;
  who.setAttribute('aria-expanded', 'true');
  who.removeAttribute('aria-activedescendant');
}

who.addEventListener('input', later(search));
who.addEventListener('focus', () => { who.select(); search(); });
who.addEventListener('blur', close);
who.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') close();
  if (event.key === 'Enter') {
    event.preventDefault();
    const option = found.children[Math.max(active, 0)];
    if (!found.hidden && option?.user !== undefined) choose(option.user);
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    if (found.hidden) search();
    else activate(active < 0 && step < 0 ? -1 : active + step);
  }
});

async function choose(user) {
  close();
  who.value = String(user);
  state.user = user;
  state.weights = new Map([...state.weights].filter(([name]) => state.own.has(name)));
  state.reasons = new Map();
  byId('error').hidden = true;
  const answer = await guarded(() => steer({}));
  if (!answer) return;
  state.learned = new Map(answer.items.map(({ rank, item }) => [item, rank]));
  state.named = answer.intents;
  history.replaceState(null, '', `?${new URLSearchParams({ user })}`);
  byId('columns').hidden = false;
  byId('list-heading').textContent = `Recommended to ${user}`;
  showIntents();
  showList(answer.items);
  if (Object.keys(raised()).length) await rank();
}

// The sliders.

const dial = byId('dial');
const shown = (weight) => (weight > 0 ? '+' : weight < 0 ? '−' : '') + Math.abs(weight).toFixed(1);

function raised() {
  return Object.fromEntries([...state.weights].filter(([, weight]) => weight !== 0));
}

function steer(intents) {
  const body = { user: state.user, k: NUM_ITEMS, intents, dial: Number(dial.value) };
  return ask('steer', '/steer', body);
}

async function rank() {
  byId('list').classList.add('busy');
  byId('error').hidden = true;
  const answer = await guarded(() => steer(raised()));
  if (!answer) {
    if (!byId('error').hidden) byId('list').classList.remove('busy');
    return;
  }
  byId('list').classList.remove('busy');
  showList(answer.items);
}
const rankLater = later(rank);

function slider(name, note, index) {
  const line = make('li', undefined, 'dial');
  const input = make('input', undefined, 'centred', {
    type: 'range', min: -1, max: 1, step: 0.1, id: `intent-${index}`,
    'aria-describedby': `intent-note-${index}`,
  });
  const value = make('output', undefined, '', { for: input.id });
  const show = () => {
    const weight = Number(input.value);
    value.textContent = shown(weight);
    value.className = weight > 0 ? 'raised' : weight < 0 ? 'muted' : '';
    const word = weight > 0 ? 'promoted' : weight < 0 ? 'demoted' : 'unchanged';
    input.setAttribute('aria-valuetext', `${word} ${shown(weight)}`);
  };
  input.value = state.weights.get(name) ?? 0;
  input.addEventListener('input', () => {
    state.weights.set(name, Number(input.value));
    show();
    rankLater();
  });
  show();
  line.append(make('label', name, '', { for: input.id }), value, input);
  const foot = make('div', undefined, 'foot');
  foot.append(make('p', note, 'quiet', { id: `intent-note-${index}` }));
  line.append(foot);
  if (state.own.has(name)) {
    const remove = make('button', 'Remove', 'small', {
      type: 'button', 'aria-label': `Remove ${name}`,
    });
    remove.addEventListener('click', () => {
      state.own.delete(name);
      state.weights.delete(name);
      showIntents();
      byId('words').focus();
      rank();
    });
    foot.append(remove);
  }
  return line;
}

function showIntents() {
  const some = state.named.filter(
    ({ name }, index) => state.all || index < NUM_INTENTS || state.weights.get(name),
  );
  const lines = some.map(({ name, lift, titles }) => {
    const like = titles.length ? `, as in ${quoted(titles.slice(0, 2))}` : '';
    return [name, `${lift.toFixed(1)} times the average${like}`];
  });
  const own = [...state.own].map((name) => [name, 'In your own words']);
  lines.unshift(...own.reverse());
  byId('intents').replaceChildren(...lines.map((line, index) => slider(...line, index)));
  byId('no-intents').hidden = state.named.length > 0;
  byId('more').hidden = state.named.length <= NUM_INTENTS;
  byId('more').textContent = state.all ? 'Show fewer' : `Show all ${state.named.length}`;
}

byId('more').addEventListener('click', () => {
  state.all = !state.all;
  showIntents();
});

dial.addEventListener('input', () => {
  byId('dial-value').textContent = Number(dial.value).toFixed(1);
  rankLater();
});
byId('reset').addEventListener('click', () => {
  state.weights.clear();
  state.own.clear();
  dial.value = 1;
  byId('dial-value').textContent = '1.0';
  showIntents();
  rank();
});
byId('add').addEventListener('submit', async (event) => {
  event.preventDefault();
  const words = byId('words');
  const name = words.value.trim().replace(/\s+/g, ' ');
  if (!name) return;
  const known = state.weights.has(name) || state.named.some((intent) => intent.name === name);
  state.weights.set(name, 1);
  if (!known) state.own.add(name);
  await rank();
  if (!byId('error').hidden && !known) { // The service does not know these words.
    state.own.delete(name);
    state.weights.delete(name);
  } else {
    words.value = '';
  }
  showIntents();
});

// The list.

function moved(item, rank) {
  const before = state.learned.get(item);
  if (before === undefined) return make('span', 'new', 'moved up');
  if (before === rank) return make('span', '', 'moved');
  const up = before > rank;
  const steps = Math.abs(before - rank);
  const node = make('span', `${up ? '↑' : '↓'} ${steps}`, `moved ${up ? 'up' : 'down'}`);
  node.setAttribute('role', 'img');
  node.setAttribute('aria-label', `${up ? 'up' : 'down'} by ${steps}`);
  return node;
}

function showList(items) {
  const lines = items.map(({ rank, item, title, effects }) => {
    const line = make('li');
    line.append(make('span', `${rank}.`, 'rank'), make('h3', title), moved(item, rank));
    const body = make('div', undefined, 'body');
    const why = steered(effects);
    if (why) body.append(make('p', why, 'steered quiet'));
    body.append(make('p', state.reasons.get(item) ?? '', 'reason quiet'), similarButton(item, title));
    line.append(body);
    line.item = item;
    return line;
  });
  byId('list').replaceChildren(...lines);
  const none = 'There is nothing left to recommend.';
  byId('status').textContent = items.length ? `${items.length} items` : none;
  showReasons(items.map(({ item }) => item));
}

// The effects of intents on an item, the strongest first. A demoted intent raises items that
// have little of it, and a promoted intent lowers them.
function steered(effects) {
  const strong = Object.entries(effects)
    .filter(([, effect]) => Math.abs(effect) >= MIN_EFFECT)
    .sort(([, one], [, other]) => Math.abs(other) - Math.abs(one));
  const named = (up) => strong
    .filter(([, effect]) => effect > 0 === up)
    .map(([name, effect]) => {
      const has = effect > 0 === state.weights.get(name) > 0;
      return `${has ? '' : 'little of '}“${name}”`;
    })
    .sort((one, other) => one.startsWith('little') - other.startsWith('little'));
  const parts = [['Raised by', named(true)], ['Lowered by', named(false)]];
  return parts.filter(([, names]) => names.length)
    .map(([verb, names]) => `${verb} ${and.format(names)}.`).join(' ');
}

// The parts of an explanation that the list does not show already.
function reason({ similar, intents }) {
  const titles = similar.slice(0, NUM_REASONS).map(({ title }) => title);
  const names = intents.slice(0, NUM_REASONS).map(({ name }) => name);
  const parts = [];
  if (titles.length) parts.push(`Like ${quoted(titles)}, chosen before.`);
  if (names.length) parts.push(`Shared intents: ${names.join('; ')}.`);
  return parts.join('\n');
}

async function showReasons(items) {
  const user = state.user;
  const missing = items.filter((item) => !state.reasons.has(item));
  for (let at = 0; at < missing.length; at += REASONS_AT_ONCE) {
    const body = { user, items: missing.slice(at, at + REASONS_AT_ONCE) };
    const answer = await guarded(() => ask('explain', '/explain', body));
    if (!answer || user !== state.user) return;
    for (const why of answer.explanations) {
      state.reasons.set(why.item, reason(why) || why.text);
    }
    for (const line of byId('list').children) {
      const why = state.reasons.get(line.item);
      if (why !== undefined) line.querySelector('.reason').textContent = why;
    }
  }
}

function similarButton(item, title) {
  const part = make('div');
  const button = make('button', 'Similar items', 'small', {
    type: 'button', 'aria-expanded': 'false', 'aria-label': `Items similar to ${title}`,
  });
  const list = make('ul', undefined, 'similar', { 'aria-label': `Similar to ${title}` });
  list.hidden = true;
  button.addEventListener('click', async () => {
    if (list.hidden && !list.children.length) {
      const body = { item, k: NUM_SIMILAR };
      const answer = await guarded(() => ask(`similar ${item}`, '/similar', body));
      if (!answer) return;
      list.replaceChildren(...answer.similar.map((each) => make('li', each.title)));
    }
    list.hidden = !list.hidden;
    button.setAttribute('aria-expanded', String(!list.hidden));
  });
  part.append(button, list);
  return part;
}

// The start.

if (matchMedia('(max-width: 52rem)').matches) byId('steer').open = false;

guarded(async () => {
  const { bundle } = await ask('health', '/health');
  const counts = [['users', bundle.users], ['items', bundle.items]].filter(
    ([, number]) => Number.isInteger(number),
  );
  const shown = counts.map(([name, number]) => `${number.toLocaleString('en')} ${name}`);
  byId('facts').textContent = shown.join(', ');
});
guarded(async () => {
  const asked = new URLSearchParams(location.search).get('user');
  const user = asked || (await ask('first', '/users?limit=1')).found[0]?.user;
  if (user !== undefined) await choose(user);
});
