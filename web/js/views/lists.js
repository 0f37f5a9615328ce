// Lists of messages: pins, mentions, what a search found. Each leads to its place.

import { brief, summary, summaryIcon } from '../format.js';
import { keyOf } from '../conversation.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { attempt } from './notices.js';
import { face, titleOf } from './people.js';
import { highlighted } from './prose.js';

/** One message as an entry of a list; `where` names its conversation. */
export function entryOf(message, { store, go, where = false, highlights = null, isFile = false }) {
  const key = keyOf(message, store.me);
  const c = store.get(key);
  const drawn = summaryIcon(message);
  const text = isFile ? highlighted(message.file?.name ?? '', highlights) : highlights ? around(message.content, highlights) : [summary(message)];
  return h('a', { class: 'found', href: `#${key}/${message.id}`, onclick: (event) => {
    if (event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    go(key, message.id);
  } }, face(message.sender.display_name, message.sender.id, 'small'), h('span', { class: 'found-text' },
    h('span', { class: 'found-top' }, h('b', {}, h('bdi', {}, message.sender_id === store.me ? 'You' : message.sender.display_name)), where && h('span', { class: 'found-where' }, 'in ', h('bdi', {}, c ? titleOf(c, store.me) : '…')),
      h('time', { dateTime: message.created_at }, brief(message.created_at))),
    h('span', { class: 'found-line' }, drawn && icon(drawn), h('bdi', {}, text))));
}

/** The part of a long text that has the first mark. */
function around(content, ranges) {
  const letters = [...content.replace(/[\n\r]/g, ' ')];
  const from = Math.max(0, (ranges[0]?.[0] ?? 0) - 40);
  const part = letters.slice(from, from + 240).join('');
  return [from > 0 && '…', ...highlighted(part, ranges.map(([start, length]) => [start - from, length]).filter(([start]) => start >= 0 && start < 240))];
}

/** The pins of a conversation. */
export function pinsPage({ key, api, store, go }) {
  const body = h('div', { class: 'found-list' }, h('p', { class: 'hint' }, 'Loading…'));
  const load = () => attempt(async () => {
    const { id } = store.ensure(key);
    const { items } = id ? await api.pins(id) : { items: [] };
    body.replaceChildren(...items.map((message) => entryOf(message, { store, go })));
    if (!items.length) body.replaceChildren(h('p', { class: 'hint' }, 'Nothing is pinned here. Pin a message by its menu, and everybody finds it again.'));
  });
  let seen = -1;
  load();
  return { name: 'pins', title: 'Pinned', body, render: (changed) => {
    const { known } = store.ensure(key);
    if (changed !== key || known === seen) return;
    seen = known;
    load();
  } };
}

/** The messages that mention oneself. */
export function mentionsPage({ api, store, go }) {
  const body = h('div', { class: 'found-list' }, h('p', { class: 'hint' }, 'Loading…'));
  attempt(async () => {
    const { items } = await api.mentions();
    body.replaceChildren(...items.map((message) => entryOf(message, { store, go, where: true })));
    if (!items.length) body.replaceChildren(h('p', { class: 'hint' }, 'Nobody has mentioned you yet.'));
  });
  return { name: 'mentions', title: 'Mentions', body };
}

/** Searches in one conversation. */
export function searchPage({ key, api, store, go, target }) {
  let asking = null;
  let timer = 0;
  let next = null;
  const results = h('div', { class: 'found-list', 'aria-live': 'polite' });
  const more = h('button', { class: 'quiet', type: 'button', hidden: true, onclick: () => ask(next) }, 'More');
  const kinds = h('select', { 'aria-label': 'What to look for', onchange: () => ask() }, [['', 'Everything'], ['image', 'Images'], ['file', 'Files'], ['link', 'Links']].map(([value, label]) => h('option', { value }, label)));
  const input = h('input', { type: 'search', placeholder: 'Search this conversation', 'aria-label': 'Search this conversation', dir: 'auto', maxLength: 256, oninput: () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 200);
  } });

  async function ask(path = null) {
    asking?.abort();
    const q = input.value.trim();
    if (!q) {
      more.hidden = true;
      return results.replaceChildren(h('p', { class: 'hint' }, 'Words, “a phrase”, -without.'));
    }
    asking = new AbortController();
    try {
      const page = typeof path === 'string' ? await api.searchPage(path, asking.signal) : await api.search({ q, ...target, has: kinds.value }, asking.signal);
      const found = page.items.map(({ message, highlights, in: where }) => entryOf(message, { store, go, highlights, isFile: where === 'file_name' }));
      if (typeof path === 'string') results.append(...found);
      else results.replaceChildren(...(found.length ? found : [h('p', { class: 'hint' }, 'Nothing was found.')]));
      next = page.next;
      more.hidden = next === null;
    } catch (error) {
      if (error.name !== 'AbortError') results.replaceChildren(h('p', { class: 'hint' }, error.message));
    }
    return undefined;
  }
  ask();
  return { name: 'search', title: 'Search', body: h('div', { class: 'search-page' }, h('div', { class: 'search' }, icon('search'), input, kinds), results, more), focus: () => input.focus() };
}
