// One open conversation: its header, its messages, and where one writes.

import { EVERYONE, userKey } from '../conversation.js';
import { target } from '../api.js';
import { plural } from '../format.js';
import { messageActions } from './actions.js';
import { composerView } from './composer.js';
import { detailsPage } from './details.js';
import { batched, h } from './dom.js';
import { icon } from './icons.js';
import { pinsPage, searchPage } from './lists.js';
import { attempt } from './notices.js';
import { isGone, portrait, titleOf } from './people.js';
import { threadPage } from './thread.js';
import { timelineView } from './timeline.js';

/**
 * `panel` is where details, threads, pins and search show; `go(key, message?)` opens a conversation, `back()` leaves this one,
 * `lost(key)` says that there is none; `watch(group, then)` tells of changed members; `onTyping(key)` says that one writes.
 */
export function chatView({ key, api, store, sync, outbox, drafts, media, reader, directory, places, panel, proof, user, go, back, lost, watch, onTyping }) {
  const title = h('h2', { role: 'heading', 'aria-level': 1, dir: 'auto' });
  const subtitle = h('p', { class: 'subtitle' });
  const picture = h('span', { class: 'portrait' });
  const about = h('button', { class: 'who', type: 'button', title: 'About', onclick: () => panel.show(detailsPage({ key, api, store, sync, go, directory, watch, tally: () => proof.tallies.get(key) })) }, picture, h('span', { class: 'who-text' }, title, subtitle));
  const foot = h('footer', { class: 'foot' });
  const button = (label, drawn, onclick, className = '') => h('button', { class: `round ${className}`, type: 'button', 'aria-label': label, title: label, onclick }, icon(drawn));

  const people = async (q) => {
    const c = store.ensure(key);
    const found = q || c.kind === 'direct' ? await directory.match(q).catch(() => []) : await directory.match('').catch(() => []);
    if (c.kind === 'direct') return found.filter((one) => one.id === key.slice(2) || one.id === store.me);
    if (c.kind === 'broadcast') return found;
    const members = await memberIds();
    return found.filter((one) => members.has(one.id));
  };
  let members = null;
  function memberIds() {
    members ??= (async () => {
      const ids = new Set();
      for (let path = `/groups/${key.slice(2)}/members?limit=200`; path;) {
        const page = await api.members(path);
        for (const member of page.items) ids.add(member.user_id);
        path = page.next;
      }
      return ids;
    })().catch(() => new Set());
    return members;
  }

  const writing = { key, store, outbox, drafts, people, onTyping: () => onTyping(key) };
  const composer = composerView({ ...writing, onSent: () => timeline.sent(), onScroll: (pressed) => timeline.scroll(pressed), onUp: () => timeline.focusNewest() });

  let thread = null;
  const openThread = (message) => {
    thread = threadPage({ key, root: message.thread_id ?? message.id, api, store, outbox, tools, composer: writing });
    panel.show(thread);
  };
  const actions = messageActions({ key, api, store, sync, outbox, media, go, user, onReply: (message) => composer.reply(message), onEdit: (message) => composer.edit(message), onThread: openThread });
  const names = (message, name) => {
    const folded = name.toLowerCase();
    if (folded === 'all') return message.mentions_all ? 'me' : null;
    const id = (message.mentions ?? []).find((one) => store.users.get(one)?.username.toLowerCase() === folded);
    return id ? (id === store.me ? 'me' : 'other') : null;
  };
  const tools = {
    me: store.me, media,
    nameOf: (id) => store.nameOf(id),
    onMenu: actions.openMenu,
    onPick: actions.pick,
    onReact: actions.react,
    onReactors: actions.reactors,
    onReply: key === EVERYONE ? null : (message) => composer.reply(message),
    onThread: key === EVERYONE ? null : openThread,
    onEdits: actions.versions,
    onProfile: (id) => go(userKey(id)),
    onJump: (message) => timeline.jump(message.id),
    isMentioned: names,
    isForMe: (message) => Boolean(message.mentions_all) || (message.mentions ?? []).includes(store.me),
    neighbours: () => store.window(store.get(key)).filter((message) => message.type === 'image'),
  };
  const timeline = timelineView({ key, api, store, sync, outbox, reader, places, tools, actions, onReply: (message) => isWritable() && composer.reply(message) });

  let depth = 0;
  const veil = h('div', { class: 'veil', hidden: true }, h('p', {}, icon('attach'), 'Drop files to send them'));
  const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
  const openSearch = () => panel.show(searchPage({ key, api, store, go, target: key === EVERYONE ? {} : target(key) }));
  const node = h('main', {
    class: 'chat',
    ondragenter: (event) => carriesFiles(event) && (depth += 1, veil.hidden = false),
    ondragleave: (event) => carriesFiles(event) && (depth -= 1, veil.hidden = depth > 0 ? veil.hidden : true),
    ondragover: (event) => carriesFiles(event) && event.preventDefault(),
    ondrop: (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      depth = 0;
      veil.hidden = true;
      if (composer.node.isConnected) composer.attach([...event.dataTransfer.files]);
    },
  },
    h('div', { class: 'bar' }, button('Back to the conversations', 'back', back, 'back'), about,
      key !== EVERYONE && button('Search this conversation', 'search', openSearch),
      button('Pinned messages', 'pin', () => panel.show(pinsPage({ key, api, store, go }))),
      button('Details', 'info', () => about.click(), 'info')),
    timeline.node, foot, veil);

  function status(c) {
    const typing = [...c.typing.keys()].map((id) => store.nameOf(id, c.typing.get(id).username));
    if (typing.length) return ['writing', c.kind === 'direct' ? 'typing…' : `${typing.slice(0, 2).join(', ')} ${typing.length > 1 ? 'are' : 'is'} typing…`];
    if (key === EVERYONE) return ['', 'everybody on this server'];
    if (c.kind === 'group') return ['', c.group ? `${c.group.visibility} group, ${plural(c.group.member_count, 'member')}` : ''];
    if (key === userKey(store.me)) return ['', 'only you see this'];
    if (store.online.get(key.slice(2))) return ['online', 'online'];
    return ['', c.user ? `@${c.user.username}` : ''];
  }

  function says(c) {
    if (c.kind === 'direct' && isGone(c.user)) return 'gone';
    if (c.kind === 'group' && c.group && !c.group.role) return 'outside';
    if (c.kind === 'broadcast' && user().may?.broadcast === false) return 'quiet';
    return 'composer';
  }
  const isWritable = () => says(store.ensure(key)) === 'composer';

  function bottom(c) {
    const now = says(c);
    if (foot.dataset.says === now) return;
    foot.dataset.says = now;
    if (now === 'gone') foot.replaceChildren(h('p', { class: 'hint' }, 'This account was deleted.'));
    else if (now === 'quiet') foot.replaceChildren(h('p', { class: 'hint' }, 'Only admins write here.'));
    else if (now === 'outside') foot.replaceChildren(h('button', { class: 'join', type: 'button', onclick: join }, 'Join this group'));
    else foot.replaceChildren(composer.node);
  }

  const join = () => attempt(async () => {
    await api.addMember(key.slice(2), store.me);
    store.membership(key.slice(2), 'member');
    await sync.regroup(key);
    sync.refreshSoon();
    sync.fill(key);
    composer.focus();
  });

  const draw = () => {
    const c = store.ensure(key);
    const name = titleOf(c, store.me);
    if (title.textContent !== name || !picture.firstChild) {
      title.textContent = name;
      picture.replaceChildren(portrait(c, store.me));
    }
    const [kind, words] = status(c);
    subtitle.textContent = words;
    subtitle.className = `subtitle ${kind}`;
    bottom(c);
  };
  const render = batched(draw);
  const unwatch = watch(key, () => { members = null; });

  return {
    node, key, openSearch,
    /** Loads the conversation, at a message if one is named. */
    async show(message = null) {
      store.ensure(key);
      draw();
      const c = store.get(key);
      if (!c.user && !c.group && key !== EVERYONE) {
        try {
          await sync.meet(key);
        } catch (error) {
          if (error.status === 404 || error.status === 400) return lost(key);
        }
      }
      draw();
      directory.load().then(render, () => {});
      if (matchMedia('(min-width: 721px) and (pointer: fine)').matches && !message) composer.focus();
      return timeline.load(message);
    },
    jump: timeline.jump,
    /** The connection is back. */
    online: timeline.again,
    render: () => {
      render();
      timeline.render();
    },
    draftChanged: (changed) => {
      if (changed === key) composer.changed();
      else if (changed.startsWith(`${key}/`)) thread?.changed();
    },
    close: () => {
      unwatch();
      timeline.close();
    },
  };
}
