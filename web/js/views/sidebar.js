// The list of conversations, and the search for people and groups.

import { EVERYONE, groupKey, userKey } from '../store.js';
import { brief, count, moment, plural, summary } from '../format.js';
import { batched, h, reconcile } from './dom.js';
import { icon } from './icons.js';
import { menu, toast } from './dialogs.js';
import { nameOf, portrait, titleOf } from './people.js';

/** How long to wait for another letter before the server is asked. */
const TYPING_PAUSE = 150;

export function sidebarView(app) {
  const { api, store, sync } = app;
  let query = '';
  let found = null;
  let asking = null;
  let timer = 0;
  const kept = new Map();

  const state = h('span', { class: 'state', role: 'status' });
  const clear = h('button', { class: 'round', type: 'button', 'aria-label': 'Clear the search', hidden: true, onclick: () => search('') }, icon('close'));
  const input = h('input', {
    type: 'search', placeholder: 'Search people and groups', 'aria-label': 'Search people and groups', dir: 'auto', autocomplete: 'off', maxLength: 64,
    oninput: () => search(input.value),
    onkeydown: (event) => {
      if (event.key === 'Escape' && query) search('');
      else if (event.key === 'Enter' || event.key === 'ArrowDown') {
        const first = list.querySelector('a');
        if (event.key === 'Enter') first?.click();
        first?.focus();
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
  });
  const opener = h('button', { class: 'round', type: 'button', 'aria-label': 'Menu', 'aria-haspopup': 'menu', onclick: openMenu }, icon('menu'));
  const list = h('nav', { class: 'conversations', 'aria-label': 'Conversations', onkeydown: walk, onscroll: batched(() => {
    if (list.scrollTop + list.clientHeight > list.scrollHeight - 400) sync.more();
  }) });
  const node = h('aside', { class: 'sidebar' },
    h('header', { class: 'bar' }, opener, h('div', { class: 'search' }, icon('search'), input, clear)),
    state, list,
    h('button', { class: 'compose', type: 'button', 'aria-label': 'New group', title: 'New group', onclick: () => app.newGroup() }, icon('plus')));

  function openMenu() {
    const box = opener.getBoundingClientRect();
    menu(box.left, box.bottom + 6, [
      ['person', nameOf(app.user), () => app.profile()],
      ['people', 'New group', () => app.newGroup()],
      ['bookmark', 'Saved messages', () => app.go(userKey(store.me))],
      ['megaphone', 'Everyone', () => app.go(EVERYONE)],
      ['exit', 'Log out', () => app.logOut()],
    ]);
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
    found = null;
    asking?.abort();
    clearTimeout(timer);
    if (query) timer = setTimeout(ask, TYPING_PAUSE);
    render();
  }

  async function ask() {
    asking = new AbortController();
    try {
      const [users, groups] = await Promise.all([api.users(query, asking.signal), api.groups(query, asking.signal)]);
      found = { users, groups };
      render();
    } catch (error) {
      if (error.name !== 'AbortError') toast(error.message, 'error');
    }
  }

  const caption = (text) => ({ key: `caption ${text}`, sign: '', make: () => h('h2', { class: 'caption' }, text) });
  const hint = (text) => ({ key: `hint ${text}`, sign: '', make: () => h('p', { class: 'hint' }, text) });

  function row(c, about = null) {
    const last = c.lastMessage;
    const pending = app.outbox.of(c.key).at(-1);
    const typing = [...c.typing.values()];
    const online = c.kind === 'direct' && store.online.get(c.key.slice(2)) === true;
    const own = last?.sender_id === store.me;
    const seen = own && last.seq <= c.seenUpTo;
    const title = titleOf(c, store.me);
    const selected = app.open === c.key;
    const sign = JSON.stringify([title, about, last?.id, last?.update, last?.sender.display_name, c.unseen, c.activeAt && brief(c.activeAt), online, seen, selected, typing.map((t) => t.username), pending?.client_id, pending?.state, c.user?.username]);
    const preview = () => {
      if (about) return h('span', { class: 'preview' }, h('bdi', {}, about));
      if (typing.length) return h('span', { class: 'preview writing' }, c.kind === 'direct' ? 'typing…' : `${typing[0].username} is typing…`);
      if (pending) return h('span', { class: 'preview' }, h('bdi', {}, pending.content || pending.file?.name || ''));
      if (!last) return h('span', { class: 'preview empty' }, c.key === EVERYONE ? 'Messages to everybody on this server' : 'No messages yet');
      const who = own ? (c.kind === 'direct' ? '' : 'You: ') : c.kind === 'direct' ? '' : `${last.sender.display_name}: `;
      return h('span', { class: 'preview' }, who && h('b', {}, h('bdi', {}, who)), h('bdi', {}, summary(last)));
    };
    const mark = () => {
      if (about) return null;
      if (pending) return icon(pending.state === 'failed' ? 'alert' : 'clock');
      return own && c.kind !== 'broadcast' && c.key !== userKey(store.me) ? icon(seen ? 'checks' : 'check') : null;
    };
    return {
      key: c.key,
      sign,
      make: () => h('a', { class: `row${selected ? ' selected' : ''}`, href: `#${c.key}`, 'aria-current': selected ? 'page' : null },
        h('span', { class: 'portrait' }, portrait(c, store.me), online && h('span', { class: 'dot', title: 'online' })),
        h('span', { class: 'row-text' },
          h('span', { class: 'row-top' },
            h('span', { class: 'row-title' }, h('bdi', {}, title)),
            mark(),
            !about && last && h('time', { dateTime: c.activeAt, title: moment(c.activeAt) }, brief(c.activeAt))),
          h('span', { class: 'row-bottom' }, preview(),
            c.unseen > 0 && h('span', { class: 'badge', 'aria-label': `${c.unseen} unseen` }, count(c.unseen))))),
    };
  }

  function results() {
    const folded = query.toLowerCase();
    const listed = store.list().filter((c) => titleOf(c, store.me).toLowerCase().includes(folded) || c.user?.username.toLowerCase().startsWith(folded));
    const items = listed.map((c) => row(c));
    if (!found) return items;
    const known = new Set(listed.map((c) => c.key));
    const users = found.users.filter((user) => !known.has(userKey(user.id)));
    const groups = found.groups.filter((group) => !known.has(groupKey(group.id)));
    if (users.length) items.push(caption('People'), ...users.map((user) => row({ ...transient(userKey(user.id)), user }, `@${user.username}`)));
    if (groups.length) items.push(caption('Groups'), ...groups.map((group) => row({ ...transient(groupKey(group.id)), group }, `${group.visibility} · ${plural(group.member_count, 'member')}`)));
    if (!items.length) items.push(hint(`Nobody and nothing starts with “${query}”.`));
    return items;
  }

  /** A conversation to be shown that need not exist. */
  const transient = (key) => ({ key, kind: key.startsWith('g:') ? 'group' : 'direct', typing: new Map(), unseen: 0, lastMessage: null, activeAt: '', seenUpTo: 0 });

  function conversations() {
    const listed = store.list();
    const items = listed.map((c) => row(c));
    const everyone = store.get(EVERYONE);
    if (!everyone?.listed) items.push(row({ ...transient(EVERYONE), kind: 'broadcast' }));
    if (sync.ready && listed.every((c) => c.key === EVERYONE)) items.push(hint('Search for somebody’s name to write to them, or make a group.'));
    if (!sync.ready) items.push({ key: 'loading', sign: '', make: () => h('div', { class: 'skeletons', 'aria-label': 'Loading' }, Array.from({ length: 6 }, () => h('span', { class: 'skeleton' }))) });
    return items;
  }

  const render = batched(() => {
    reconcile(list, query ? results() : conversations(), kept);
    const total = store.unseenTotal;
    document.title = total ? `(${count(total)}) Parlance` : 'Parlance';
  });

  return {
    node,
    render,
    focus: () => input.focus(),
    /** Shows whether the live connection is up. */
    connected: (up) => {
      state.textContent = up ? '' : navigator.onLine ? 'Connecting…' : 'Waiting for the network…';
      node.classList.toggle('offline', !up);
    },
    /** Closes the search once something of it was opened. */
    opened: () => query && search(''),
  };
}
