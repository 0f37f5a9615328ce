// The list of conversations, and the search for people, groups and messages.

import { EVERYONE, groupKey, userKey } from '../conversation.js';
import { plural } from '../format.js';
import { batched, h, isTouch, reconcile } from './dom.js';
import { icon } from './icons.js';
import { entryOf } from './lists.js';
import { menu, menuBelow } from './menu.js';
import { attempt, toast } from './notices.js';
import { nameOf, titleOf } from './people.js';
import { rowOf, transient } from './row.js';
import { change } from './settings.js';

/** How long to wait for another letter before the server is asked (milliseconds). */
const TYPING_PAUSE = 150;
const FILTERS = [['all', 'All'], ['unread', 'Unread'], ['people', 'People'], ['groups', 'Groups']];

/**
 * `commands` is what the menus offer: `profile`, `newGroup`, `browse`, `mentions`, `help`, `logOut`; `user()` is oneself,
 * `isOpen(key)` says whether a conversation is the open one.
 */
export function sidebarView({ api, store, sync, outbox, drafts, directory, go, isOpen, user, commands }) {
  let query = '';
  let found = null;
  let asking = null;
  let timer = 0;
  let filter = 'all';
  let isArchive = false;
  const kept = new Map();

  const state = h('span', { class: 'state', role: 'status' });
  const clear = h('button', { class: 'round', type: 'button', 'aria-label': 'Clear the search', hidden: true, onclick: () => search('') }, icon('close'));
  const input = h('input', {
    type: 'search', placeholder: isTouch() ? 'Search' : 'Search (Ctrl K)', 'aria-label': 'Search people, groups and messages', dir: 'auto', autocomplete: 'off', maxLength: 64,
    oninput: () => search(input.value),
    onkeydown: (event) => {
      if (event.key === 'Escape' && query) search('');
      else if (event.key === 'Enter' || event.key === 'ArrowDown') {
        const first = list.querySelector('a');
        if (event.key === 'Enter') first?.click();
        else first?.focus();
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
  });
  const opener = h('button', { class: 'round', type: 'button', 'aria-label': 'Menu', 'aria-haspopup': 'menu', onclick: openMenu }, icon('menu'));
  const maker = h('button', { class: 'round new', type: 'button', 'aria-label': 'New', title: 'New message or group', 'aria-haspopup': 'menu', onclick: openNew }, icon('compose'));
  const tabs = h('div', { class: 'filters', role: 'group', 'aria-label': 'Show' }, FILTERS.map(([name, label]) => h('button', { type: 'button', data: { filter: name }, 'aria-pressed': String(name === filter), onclick: () => {
    filter = name;
    isArchive = false;
    for (const tab of tabs.children) tab.setAttribute('aria-pressed', String(tab.dataset.filter === name));
    render();
  } }, label)));
  const list = h('nav', { class: 'conversations', 'aria-label': 'Conversations', onkeydown: walk, onscroll: batched(() => {
    if (list.scrollTop + list.clientHeight > list.scrollHeight - 400) sync.more();
  }) });
  const node = h('header', { class: 'sidebar' },
    h('h1', { class: 'spoken' }, 'Parlance'),
    h('div', { class: 'bar' }, opener, h('div', { class: 'search' }, icon('search'), input, clear), maker),
    state, tabs, list);

  function openMenu() {
    menuBelow(opener, [
      ['person', nameOf(user()), commands.profile],
      ['at', 'Mentions', commands.mentions],
      ['bookmark', 'Saved messages', () => go(userKey(store.me))],
      ['megaphone', 'Everyone', () => go(EVERYONE)],
      ['archive', 'Archived', () => { isArchive = true; render(); }],
      ['help', 'Keyboard and help', commands.help, { key: '?' }],
      ['exit', 'Log out', commands.logOut],
    ], { label: 'Menu' });
  }

  function openNew() {
    menuBelow(maker, [
      ['person', 'Write to somebody', () => { search(''); input.focus(); toast('Type a name to find somebody.'); }],
      ['people', 'New group', commands.newGroup],
      ['globe', 'Browse public groups', commands.browse],
    ], { label: 'New' });
  }

  function rowMenu(c, x, y) {
    const set = (changes) => () => attempt(() => change({ c, api, store }, changes));
    const { settings } = c;
    const items = [['chat', 'Open', () => go(c.key)]];
    if (settings.notify) {
      items.push([settings.muted_until ? 'bell' : 'silent', settings.muted_until ? 'Unmute' : 'Mute', set({ muted_until: settings.muted_until ? null : 'forever' })],
        ['star', settings.favourite ? 'No favourite any more' : 'Favourite', set({ favourite: !settings.favourite })],
        ['archive', settings.archived ? 'Back to the list' : 'Archive', set({ archived: !settings.archived })]);
    }
    if (c.unseen && c.lastMessage) {
      items.push(['checks', 'Mark as read', () => attempt(async () => {
        store.readUpTo(c.key, c.lastMessage.seq);
        await api.read(c.id, c.lastMessage.id);
      })]);
    }
    menu(x, y, items, { label: titleOf(c, store.me) });
  }

  function walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const links = [...list.querySelectorAll('a')];
    const next = links[links.indexOf(document.activeElement) + step];
    (next ?? (step < 0 ? input : null))?.focus();
    event.preventDefault();
  }

  function search(text) {
    query = text.trim();
    if (input.value !== text) input.value = text;
    clear.hidden = query === '';
    tabs.hidden = query !== '';
    found = null;
    asking?.abort();
    clearTimeout(timer);
    if (query) timer = setTimeout(ask, TYPING_PAUSE);
    render();
  }

  async function ask() {
    asking = new AbortController();
    const { signal } = asking;
    const none = { items: [] };
    const asked = query;
    const [users, groups, messages] = await Promise.all([
      directory.match(query).catch(() => []),
      api.groups(query, signal).catch(() => []),
      // A search without a letter is refused, and a server that makes its index anew has none yet.
      /[\p{L}\p{N}]/u.test(query) ? api.search({ q: query, limit: 20 }, signal).catch(() => none) : none,
    ]);
    if (signal.aborted || asked !== query) return;
    found = { users, groups, messages: messages.items };
    render();
  }

  const caption = (text) => ({ key: `caption ${text}`, sign: text, make: () => h('h2', { class: 'caption' }, text) });
  const hint = (text) => ({ key: 'hint', sign: text, make: () => h('p', { class: 'hint' }, text) });
  const row = (c, about = '') => rowOf(c, { store, about, selected: isOpen(c.key), draft: drafts.get(c.key), pending: outbox.of(c.key).at(-1), onMenu: rowMenu });

  function results() {
    const folded = query.toLowerCase();
    const listed = store.list().filter((c) => titleOf(c, store.me).toLowerCase().includes(folded) || c.user?.username.toLowerCase().startsWith(folded));
    const items = listed.map((c) => row(c));
    if (!found) return items;
    const known = new Set(listed.map((c) => c.key));
    const users = found.users.filter((one) => !known.has(userKey(one.id)) && one.id !== store.me).slice(0, 12);
    const groups = found.groups.filter((group) => !known.has(groupKey(group.id)));
    if (users.length) items.push(caption('People'), ...users.map((one) => row({ ...transient(userKey(one.id)), user: one }, `@${one.username}`)));
    if (groups.length) items.push(caption('Groups'), ...groups.map((group) => row({ ...transient(groupKey(group.id)), group }, `${group.visibility} · ${plural(group.member_count, 'member')}`)));
    if (found.messages.length) {
      items.push(caption('Messages'), ...found.messages.map(({ message, highlights, in: where }) => ({
        key: `message ${message.id}`, sign: `${message.update} ${query}`,
        make: () => entryOf(message, { store, go, where: true, highlights, isFile: where === 'file_name' }),
      })));
    }
    if (!items.length) items.push(hint(`Nothing has “${query}” in it.`));
    return items;
  }

  const FITS = { all: () => true, unread: (c) => c.unseen > 0, people: (c) => c.kind === 'direct', groups: (c) => c.kind === 'group' };

  function conversations() {
    const listed = store.list();
    if (isArchive) {
      const archived = listed.filter((c) => c.settings.archived);
      return [{ key: 'back', sign: '', make: () => h('button', { class: 'quiet', type: 'button', onclick: () => { isArchive = false; render(); } }, icon('back'), 'Archived') },
        ...(archived.length ? archived.map((c) => row(c)) : [hint('Nothing is archived.')])];
    }
    const shown = listed.filter((c) => !c.settings.archived && FITS[filter](c));
    const favourites = shown.filter((c) => c.settings.favourite);
    const items = favourites.map((c) => row(c));
    items.push(...shown.filter((c) => !c.settings.favourite).map((c) => row(c)));
    if (filter === 'all' && !store.get(EVERYONE)?.listed) items.push(row(store.get(EVERYONE) ?? transient(EVERYONE)));
    if (!sync.ready) items.push({ key: 'loading', sign: '', make: () => h('div', { class: 'skeletons', role: 'img', 'aria-label': 'Loading' }, Array.from({ length: 6 }, () => h('span', { class: 'skeleton' }))) });
    else if (!items.length) items.push(hint(filter === 'unread' ? 'You have read everything.' : 'Nothing here yet.'));
    else if (filter === 'all' && listed.every((c) => c.key === EVERYONE)) items.push(hint('Search for somebody’s name to write to them, or make a group.'));
    return items;
  }

  const render = batched(() => reconcile(list, query ? results() : conversations(), kept));
  let wasDown = false;

  return {
    node,
    render,
    focus: () => input.focus(),
    /** Shows whether the live connection is up. */
    connected: (up) => {
      state.textContent = up ? (wasDown ? 'Connected again' : '') : navigator.onLine ? 'Connecting…' : 'Waiting for the network…';
      if (up && wasDown) setTimeout(() => state.textContent === 'Connected again' && (state.textContent = ''), 2500);
      wasDown = !up && sync.ready;
      state.classList.toggle('good', up);
      node.classList.toggle('offline', !up);
    },
    /** Closes the search once something of it was opened. */
    opened: () => query && search(''),
  };
}
