// Starts the client: the page to log in, or the app with everything it is composed of.

import { Api, HOME, target } from './api.js';
import * as login from './login.js';
import { Live } from './live.js';
import { Media } from './media.js';
import { Outbox } from './outbox.js';
import { Reader } from './reader.js';
import { EVERYONE, Store, keyOf } from './store.js';
import { Sync } from './sync.js';
import { authView } from './views/auth.js';
import { chatView } from './views/chat.js';
import { toast } from './views/dialogs.js';
import { h } from './views/dom.js';
import { newGroupDialog } from './views/group.js';
import { icon } from './views/icons.js';
import { profileDialog } from './views/profile.js';
import { sidebarView } from './views/sidebar.js';

const root = document.getElementById('app');
let running = null;

/** Shows the login page, with the reason. */
function welcome(notice = '') {
  running?.stop();
  running = null;
  for (const dialog of document.querySelectorAll('dialog, .menu')) dialog.remove();
  document.title = 'Parlance';
  root.replaceChildren(authView({ api: new Api(), notice, onLogin: ({ token, user }) => {
    login.save({ token, user });
    start({ token, user });
  } }));
}

/** The unsent messages of one user. */
function drawer(user) {
  const name = `parlance.outbox.${user}`;
  return {
    load: () => {
      try {
        return JSON.parse(localStorage.getItem(name)) ?? [];
      } catch {
        return [];
      }
    },
    save: (entries) => (entries.length ? localStorage.setItem(name, JSON.stringify(entries)) : localStorage.removeItem(name)),
  };
}

/** Hands an entry of the outbox to the server. */
function sender(api, sync, changed) {
  return async (entry) => {
    if (entry.key === EVERYONE) {
      const { id } = await api.broadcast(entry.content, entry.client_id);
      sync.took(await api.message(id));
      return;
    }
    if (entry.file && !entry.stored) {
      entry.stored = await api.upload(entry.file, (share) => {
        entry.progress = share;
        changed(entry.key);
      });
    }
    const { stored } = entry;
    const carried = stored ? { type: /^image\/(png|jpeg|gif|webp)$/.test(stored.type) ? 'image' : 'file', file_id: stored.id } : {};
    sync.took(await api.send({ ...target(entry.key), ...carried, content: entry.content, reply_to: entry.reply_to, client_id: entry.client_id }));
  };
}

function start({ token, user }) {
  const api = new Api({ token, onUnauthenticated: () => leave('Your session has ended. Please log in again.') });
  const store = new Store(user.id);
  const watching = new Map();
  const sync = new Sync({ api, store, onMembers: (group) => watching.get(`g:${group}`)?.() });
  const outbox = new Outbox({ ...drawer(user.id), send: sender(api, sync, changed), onChange: changed });
  const media = new Media(api);
  const reader = new Reader({ api, store, onFailure: () => sync.refreshSoon() });
  const live = new Live({
    url: `${HOME.replace(/^http/, 'ws')}/ws`,
    token,
    onFrame: (frame) => {
      arrived(frame);
      sync.frame(frame);
    },
    onState: (state) => {
      app.sidebar.connected(state === 'online');
      if (state === 'online') outbox.nudge();
    },
    onSignedOut: () => leave('Your session has ended. Please log in again.'),
    // A browser does not say why the server refused it; the API does, and its 401 ends the session here too.
    onRefused: () => api.me().then((me) => app.became(me), () => {}),
  });
  const app = {
    api, store, sync, outbox, media, reader, watching, user,
    drafts: new Map(),
    open: null,
    go: (key) => {
      location.hash = key ?? '';
    },
    lost: (key) => {
      store.drop(key);
      toast('That conversation is not there any more.');
    },
    typing: (key) => live.send({ op: 'typing', data: target(key) }),
    newGroup: () => newGroupDialog(app),
    profile: () => profileDialog(app),
    became: (me) => {
      app.user = me;
      login.save({ token, user: me });
    },
    leave,
    logOut: async () => {
      await api.logOut().catch(() => {});
      leave('');
    },
  };
  let chat = null;

  function leave(notice) {
    if (running?.app !== app) return;
    login.clear();
    // The next user of this browser does not start in this user's conversation.
    history.replaceState(null, '', location.pathname);
    welcome(notice);
  }

  /** The user's own message may come as an event before its answer. The client must not show it twice in between. */
  function arrived({ event, data }) {
    if (event !== 'message.created' || data.sender_id !== user.id) return;
    const key = keyOf(data, user.id);
    const entry = outbox.entries.find((one) => one.state === 'sending' && !one.arrived && one.key === key && one.content === data.content && (one.reply_to ?? null) === (data.reply_to ?? null));
    if (entry) entry.arrived = true;
  }

  function changed(key) {
    if (key === null || store.get(key)) app.sidebar.render();
    if (chat && (key === chat.key || key === null)) {
      if (!store.get(chat.key)) app.go(null);
      else chat.render();
    }
  }

  function route() {
    const asked = decodeURIComponent(location.hash.slice(1));
    const key = /^([ug]:[0-9a-f-]{36}|all)$/.test(asked) ? asked : null;
    if (key === app.open && chat) return;
    chat?.close();
    app.open = key;
    chat = key ? chatView(app, key) : null;
    frame.classList.toggle('reading', Boolean(chat));
    pane.replaceChildren(chat ? chat.node : h('main', { class: 'nothing' }, h('p', { class: 'pill' }, icon('chat'), 'Choose a conversation, or search for somebody to write to')));
    app.sidebar.opened();
    app.sidebar.render();
    chat?.show();
  }

  function pressed(event) {
    if (document.querySelector('dialog[open], .menu')) return;
    if (event.key === 'k' && (event.ctrlKey || event.metaKey)) app.sidebar.focus();
    else if (event.key === 'Escape' && app.open) app.go(null);
    else if (event.altKey && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      const keys = store.list().map((c) => c.key);
      const at = keys.indexOf(app.open) + (event.key === 'ArrowDown' ? 1 : -1);
      if (keys[at]) app.go(keys[at]);
    } else return;
    event.preventDefault();
  }

  const nudge = () => {
    if (document.hidden) return;
    live.nudge();
    outbox.nudge();
  };

  app.sidebar = sidebarView(app);
  const pane = h('div', { class: 'pane' });
  const frame = h('div', { class: 'frame' }, app.sidebar.node, pane);
  const clock = setInterval(() => store.settle(Date.now()), 1000);
  const unsubscribe = store.subscribe(changed);
  window.addEventListener('hashchange', route);
  window.addEventListener('keydown', pressed);
  window.addEventListener('online', nudge);
  document.addEventListener('visibilitychange', nudge);
  root.replaceChildren(frame);
  running = {
    app,
    stop: () => {
      live.stop();
      outbox.stop();
      media.forget();
      chat?.close();
      clearInterval(clock);
      unsubscribe();
      window.removeEventListener('hashchange', route);
      window.removeEventListener('keydown', pressed);
      window.removeEventListener('online', nudge);
      document.removeEventListener('visibilitychange', nudge);
    },
  };
  app.sidebar.connected(false);
  route();
  live.start();
  // Without the live connection the user still sees the loaded messages.
  sync.refresh();
  outbox.start();
}

/** The login that this browser last stored, here or in another tab. */
function resume() {
  const kept = login.load();
  if (kept) {
    if (running?.app.api.token !== kept.token) {
      running?.stop();
      start(kept);
    }
  } else {
    welcome();
  }
}

login.watch(resume);
// A file dropped outside of the drop area must not replace the page.
for (const kind of ['dragover', 'drop']) window.addEventListener(kind, (event) => event.preventDefault());
resume();
