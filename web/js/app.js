// The running client of one user: what it is composed of, and what is open.

import { Api, HOME, target } from './api.js';
import { EVERYONE, keyOf } from './conversation.js';
import { deliverer } from './deliver.js';
import { Directory } from './directory.js';
import { Drafts } from './drafts.js';
import { DraftSync } from './draftsync.js';
import { Live } from './live.js';
import * as login from './login.js';
import { Media } from './media.js';
import { Outbox } from './outbox.js';
import { Proof } from './proof.js';
import { Reader } from './reader.js';
import { Store } from './store.js';
import { Sync } from './sync.js';
import { chatView } from './views/chat.js';
import { h, isNarrow } from './views/dom.js';
import { browseDialog, newGroupDialog } from './views/group.js';
import { helpDialog } from './views/help.js';
import { homeView } from './views/home.js';
import { mentionsPage } from './views/lists.js';
import { closeMenu } from './views/menu.js';
import { confirm } from './views/dialogs.js';
import { attempt, toast } from './views/notices.js';
import { notifier } from './views/notify.js';
import { panelView } from './views/panel.js';
import { titleOf } from './views/people.js';
import { profileDialog } from './views/profile.js';
import { resizer } from './views/resizer.js';
import { sidebarView } from './views/sidebar.js';
import { routes } from './routes.js';

/**
 * Starts the client in `root`. `journal` keeps what must outlive the page; `onLeave(notice)` is called when the session ended.
 */
export function startApp({ root, kept, journal, onLeave }) {
  let user = kept.user;
  let chat = null;
  let farewell = '';
  let isStopped = false;
  const ended = () => leave(farewell || 'Your session has ended. Please log in again.');
  const api = new Api({
    token: kept.token, refreshToken: kept.refresh_token ?? null, onUnauthenticated: ended,
    onRenewed: (tokens) => login.save(tokens), reload: login.load, lock: login.locked,
  });
  const store = new Store(user.id);
  const watching = new Map();
  const places = new Map();
  const sync = new Sync({
    api, store, onDropped,
    onNumber: (key, frame) => proof.check(key, frame),
    onDraft: (key, draft) => draftSync.apply(key, draft),
    onMembers: (group) => (watching.get(`g:${group}`) ?? []).forEach((then) => then()),
  });
  const proof = new Proof({ api, store, onRepair: (key) => attempt(async () => {
    store.reset(key);
    await sync.newest(key);
    sync.refreshSoon();
  }) });
  const outbox = new Outbox({ journal, lock: login.locked, onChange: changed, send: deliverer({ api, sync, onProgress: changed }) });
  const drafts = new Drafts({ journal, onChange: (key) => {
    draftSync.changed(key);
    sidebar.render();
    chat?.draftChanged(key);
  } });
  const draftSync = new DraftSync({ api, store, drafts });
  const directory = new Directory({ api, store });
  const media = new Media(api);
  const reader = new Reader({ api, store, onFailure: () => sync.refreshSoon(), onRead: (key, seq) => key === EVERYONE && journal.put('marks', { key, seq }).catch(() => {}) });
  const live = new Live({
    url: `${HOME.replace(/^http/, 'ws')}/ws`,
    token: () => api.token,
    onFrame: arrived,
    onState: (state) => {
      sidebar.connected(state === 'online');
      if (state === 'online') {
        outbox.nudge();
        chat?.online();
      } else store.forgetPresence();
    },
    // The token may have ended and not the session.
    onSignedOut: () => api.renew().then((renewed) => (renewed ? live.connect() : ended()), () => live.retryLater()),
    // A browser does not say why the server refused it; the API does, and its 401 ends the session here too.
    onRefused: () => api.me().then(became, () => {}),
  });
  const watch = (key, then) => {
    watching.set(key, [...(watching.get(key) ?? []), then]);
    return () => watching.set(key, watching.get(key).filter((other) => other !== then));
  };

  function became(me) {
    user = me;
    store.meet(me);
    login.save({ user: me });
  }

  function leave(notice) {
    if (isStopped) return;
    login.clear();
    onLeave(notice);
  }

  async function logOut() {
    if (outbox.isFragile && !(await confirm('Log out all the same?', 'A file is still being sent, and is lost.', 'Log out'))) return;
    await api.logOut().catch(() => {});
    // The next user of this browser does not start in this user's conversation.
    history.replaceState(null, '', location.pathname);
    leave('');
  }

  /** What is open goes away: says why. */
  function onDropped(key, reason) {
    const c = store.get(key);
    if (!c || router.key !== key) return;
    toast(reason === 'deleted' ? `“${titleOf(c, store.me)}” was deleted.` : `You were removed from “${titleOf(c, store.me)}”. What you were writing is kept.`, 'error');
  }

  function arrived(frame) {
    const { event, data } = frame;
    // The user's own message may come as an event before its answer.
    if (event === 'message.created' && data.sender_id === user.id) outbox.arrived(keyOf(data, user.id), data);
    const isNew = event === 'message.created' && sync.ready && (store.get(keyOf(data, user.id))?.known ?? 0) < frame.update;
    sync.applyFrame(frame);
    if (isNew) notices.arrived(data);
  }

  function changed(key) {
    if (isStopped) return;
    if (key === null || store.get(key)) sidebar.render();
    notices.badge();
    panel.render(key);
    if (chat && (key === chat.key || key === null)) {
      if (!store.get(chat.key)) router.go(null);
      else chat.render();
    }
  }

  const lost = (key) => {
    store.drop(key);
    toast('That conversation is not there any more.');
  };

  const commands = {
    profile: () => profileDialog({ api, user: () => user, became, leave, leaving: (words) => { farewell = words; }, logOut, notifications: notices.controls }),
    newGroup: () => newGroupDialog({ api, store, sync, directory, go: router.go }),
    browse: () => browseDialog({ api, go: router.go }),
    mentions: () => panel.show(mentionsPage({ api, store, go: router.go })),
    help: helpDialog,
    logOut,
  };

  const pane = h('div', { class: 'pane' });
  const panel = panelView({ onChange: (isOpen) => frame.classList.toggle('with-panel', isOpen) });

  function show(key, message) {
    if (chat && key === chat.key) {
      if (message) chat.jump(message);
      return;
    }
    chat?.close();
    if (chat) proof.unwatch(chat.key);
    panel.close();
    chat = key ? chatView({ key, api, store, sync, outbox, drafts, media, reader, directory, places, panel, proof, user: () => user, go: router.go, back: router.back, lost, watch, onTyping: (to) => live.send({ op: 'typing', data: target(to) }) }) : null;
    frame.classList.toggle('reading', Boolean(chat));
    // Where the list is all there is, it is the page's content.
    sidebar.node.setAttribute('role', isNarrow() && !chat ? 'main' : 'banner');
    pane.replaceChildren(chat ? chat.node : homeView({ api, store, directory, go: router.go, user: () => user, commands }));
    sidebar.opened();
    sidebar.render();
    notices.badge();
    if (chat) attempt(() => chat.show(message)).then(() => chat && proof.watch(chat.key));
  }

  const router = routes({ onRoute: show });
  const notices = notifier({ store, go: router.go, isOpen: (key) => router.key === key });
  const sidebar = sidebarView({ api, store, sync, outbox, drafts, directory, go: router.go, isOpen: (key) => router.key === key, user: () => user, commands });
  const frame = h('div', { class: 'frame' }, sidebar.node, pane, panel.node);
  sidebar.node.append(resizer(frame));

  function pressed(event) {
    if (document.querySelector('dialog[open], .menu, .picker')) return;
    const isTyping = event.target.closest?.('input, textarea, select');
    if (event.key === 'k' && (event.ctrlKey || event.metaKey)) sidebar.focus();
    else if (event.key.toLowerCase() === 'f' && event.shiftKey && (event.ctrlKey || event.metaKey) && chat) chat.openSearch();
    else if (event.key === '?' && !isTyping) helpDialog();
    else if (event.key === 'Escape' && panel.isOpen) panel.close();
    else if (event.altKey && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      const keys = store.list().map((c) => c.key);
      const next = keys[keys.indexOf(router.key) + (event.key === 'ArrowDown' ? 1 : -1)];
      if (next) router.go(next);
    } else return;
    event.preventDefault();
  }

  const nudge = () => {
    if (document.hidden) return;
    live.nudge();
    outbox.nudge();
  };
  const offline = () => live.offline();
  const guard = (event) => outbox.isFragile && event.preventDefault();
  const clock = setInterval(() => store.settle(Date.now()), 1000);
  const unsubscribe = store.subscribe(changed);
  const listeners = [[window, 'keydown', pressed], [window, 'online', nudge], [window, 'offline', offline], [window, 'beforeunload', guard], [document, 'visibilitychange', nudge]];
  for (const [source, name, listener] of listeners) source.addEventListener(name, listener);

  async function start() {
    sidebar.connected(false);
    const [marks] = await Promise.all([journal.all('marks').catch(() => []), drafts.load().catch(() => {}), outbox.load().catch(() => {})]);
    if (isStopped) return;
    for (const { key, seq } of marks) store.ensure(key).readSeq = seq;
    root.replaceChildren(frame);
    // Without the live connection the user still sees the loaded messages; and a link leads to what the list knows.
    await sync.refresh();
    if (isStopped) return;
    router.start();
    live.start();
    if (!user.may) api.me().then(became, () => {});
  }
  start();

  return {
    user: () => user,
    /** Another tab has renewed the tokens. */
    renewed: (tokens) => Object.assign(api, { token: tokens.token, refreshToken: tokens.refresh_token ?? null }),
    stop: () => {
      isStopped = true;
      live.stop();
      outbox.stop();
      draftSync.stop();
      media.forget();
      chat?.close();
      router.stop();
      notices.stop();
      closeMenu();
      clearInterval(clock);
      unsubscribe();
      for (const [source, name, listener] of listeners) source.removeEventListener(name, listener);
      journal.close();
    },
  };
}
