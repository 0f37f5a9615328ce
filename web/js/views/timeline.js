// The messages of one conversation: what is loaded, what is on its way, and the way up to what is older.

import { EVERYONE, userKey } from '../store.js';
import { count, day } from '../format.js';
import { batched, h, reconcile } from './dom.js';
import { icon } from './icons.js';
import { attempt, confirm, menu, open, toast } from './dialogs.js';
import { messageNode, pendingNode, setTick } from './message.js';
import { moment } from '../format.js';

/** From this far above the first message, in pixels, older ones are loaded. */
const AHEAD = 800;
/** This close to the end counts as being there. */
const AT_END = 60;
/** Messages by one sender within this time stand together. */
const RUN = 5 * 60_000;
/** At most so many pages are loaded to show what a message replies to. */
const JUMP_PAGES = 40;

export function timelineView(app, key, { onReply, onEdit }) {
  const { api, store, sync, outbox, media, reader } = app;
  const kept = new Map();
  const replies = new Map();
  let stuck = true;
  let failed = null;
  let behind = 0;

  const list = h('ol', { class: 'messages', role: 'log', 'aria-label': 'Messages', 'aria-live': 'polite' });
  const top = h('div', { class: 'top' });
  const scroller = h('div', { class: 'scroller', tabIndex: -1, onscroll: batched(scrolled), onkeydown: walk }, top, list);
  const badge = h('span', { class: 'badge', hidden: true });
  const down = h('button', { class: 'round down', type: 'button', 'aria-label': 'To the newest message', hidden: true, onclick: toEnd }, icon('down'), badge);
  const node = h('div', { class: 'timeline' }, scroller, down);

  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      target.comesNear();
    }
  }, { root: scroller, rootMargin: '600px' });
  // The window, the composer or an image changed the height of something.
  const resized = new ResizeObserver(() => stuck && toEnd());
  resized.observe(scroller);
  resized.observe(list);

  const tools = {
    media,
    near: (element, then) => {
      element.comesNear = then;
      watcher.observe(element);
    },
    onGrow: () => stuck && toEnd(),
    onJump: (message) => attempt(() => jump(message.id)),
    onMenu: openMenu,
  };

  const isAtEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < AT_END;

  function toEnd() {
    stuck = true;
    scroller.scrollTop = scroller.scrollHeight;
    reach();
  }

  function scrolled() {
    stuck = isAtEnd();
    down.hidden = stuck;
    if (stuck) reach();
    if (scroller.scrollTop < AHEAD) older();
  }

  /** Everything is read once its end is seen by somebody who looks at the page. */
  function reach() {
    behind = 0;
    badge.hidden = true;
    if (document.hasFocus() && isAtEnd() && store.isLoaded(store.ensure(key))) reader.reached(key);
  }

  async function load() {
    failed = null;
    render();
    try {
      await sync.newest(key);
    } catch (error) {
      failed = error;
    }
    render();
    requestAnimationFrame(() => scroller.scrollTop < AHEAD && older());
  }

  async function older() {
    const c = store.get(key);
    if (!c || !store.isLoaded(c) || store.atStart(c) || failed) return;
    try {
      await sync.older(key);
    } catch (error) {
      failed = error;
      render();
    }
    // Where a page doesn't fill the window nobody scrolls.
    requestAnimationFrame(() => node.isConnected && scroller.scrollTop < AHEAD && older());
  }

  /** What a message replies to: loaded, fetched before, or asked for now. */
  function replyOf(message) {
    const id = message.reply_to;
    if (!id) return undefined;
    const c = store.get(key);
    if (c.deleted.has(id)) return 'gone';
    const loaded = c.messages.get(id);
    if (loaded) return loaded;
    if (!replies.has(id)) {
      replies.set(id, null);
      api.message(id).then((found) => replies.set(id, found), (error) => error.status === 404 && replies.set(id, 'gone')).then(render);
    }
    return replies.get(id);
  }

  /** Scrolls to a message, loading what lies between. */
  async function jump(id) {
    const c = store.get(key);
    for (let pages = 0; pages < JUMP_PAGES && !store.window(c).some((m) => m.id === id) && !store.atStart(c); pages += 1) await sync.older(key);
    draw();
    const target = list.querySelector(`[data-id="${CSS.escape(id)}"]`);
    if (!target) return void toast('That message is not there any more.');
    stuck = false;
    target.scrollIntoView({ block: 'center', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
    target.classList.add('flash');
    target.addEventListener('animationend', () => target.classList.remove('flash'), { once: true });
    return undefined;
  }

  function openMenu(message, x, y) {
    const c = store.get(key);
    const own = message.sender_id === store.me;
    const inCharge = ['owner', 'admin'].includes(c.group?.role);
    const items = [];
    if (key !== EVERYONE) items.push(['reply', 'Reply', () => onReply(message)]);
    if (message.content) items.push(['copy', 'Copy text', () => attempt(() => navigator.clipboard.writeText(message.content))]);
    if (message.file) items.push(['download', 'Save file', () => attempt(() => media.save(message.file))]);
    if (own) items.push(['edit', 'Edit', () => onEdit(message)]);
    if (own && key !== userKey(store.me)) items.push(['eye', 'Seen by', () => seenBy(message)]);
    if (own || inCharge) items.push(['trash', 'Delete', () => remove(message), 'danger']);
    menu(x, y, items);
  }

  function seenBy(message) {
    open('Seen by', async (body) => {
      const receipts = await attempt(() => api.receipts(message.id));
      body.append(...(receipts ?? []).map((receipt) => h('p', { class: 'line' }, h('span', { dir: 'auto' }, receipt.username), h('time', { dateTime: receipt.seen_at }, moment(receipt.seen_at)))));
      if (receipts?.length === 0) body.append(h('p', { class: 'hint' }, 'Nobody yet.'));
    }, { className: 'small' });
  }

  async function remove(message) {
    if (!(await confirm('Delete this message?', 'It is deleted for everybody.', 'Delete'))) return;
    await attempt(async () => {
      await api.deleteMessage(message.id);
      // Its number is not in the answer: the feed tells it, if the live connection hasn't.
      sync.fill(key);
    });
  }

  function walk(event) {
    const at = document.activeElement.closest?.('li');
    if (!at) return;
    const step = { ArrowUp: 'previousElementSibling', ArrowDown: 'nextElementSibling' }[event.key];
    if (step) {
      let next = at[step];
      while (next && !next.classList.contains('message')) next = next[step];
      next?.focus();
      event.preventDefault();
    } else if (event.key === 'Enter' && document.activeElement === at) {
      at.querySelector('.more')?.click();
      event.preventDefault();
    }
  }

  const sameRun = (a, b) => a && b && a.sender_id === b.sender_id && Date.parse(b.created_at) - Date.parse(a.created_at) < RUN && day(a.created_at) === day(b.created_at);

  function items(c) {
    const shown = store.window(c);
    const waiting = outbox.of(key).filter((entry) => !entry.arrived);
    const group = c.kind !== 'direct';
    const made = [];
    shown.forEach((message, at) => {
      if (day(shown[at - 1]?.created_at ?? 0) !== day(message.created_at)) {
        const label = day(message.created_at);
        made.push({ key: `day ${label}`, sign: '', make: () => h('li', { class: 'day' }, h('span', {}, label)) });
      }
      const own = message.sender_id === store.me;
      const first = !sameRun(shown[at - 1], message);
      const last = !sameRun(message, shown[at + 1]) && !(own && at === shown.length - 1 && waiting.length);
      const reply = replyOf(message);
      made.push({
        key: message.id,
        sign: [message.update, first, last, message.sender.display_name, reply && (reply.update ?? reply)].join(' '),
        make: () => messageNode(message, { own, first, last, group, reply, tools }),
        refresh: (element) => own && setTick(element, message.seq <= c.seenUpTo),
      });
    });
    waiting.forEach((entry, at) => made.push({
      key: entry.client_id,
      sign: [entry.state, entry.failures > 0, entry.error, at].join(' '),
      make: () => pendingNode(entry, {
        first: at === 0 && shown.at(-1)?.sender_id !== store.me,
        last: at === waiting.length - 1,
        reply: replyOf(entry),
        onRetry: () => outbox.retry(entry.client_id),
        onDiscard: () => outbox.discard(entry.client_id),
      }),
      refresh: (element) => {
        const bar = element.querySelector('progress');
        if (bar) bar.value = entry.progress;
      },
    }));
    return made;
  }

  function draw() {
    const c = store.get(key);
    if (!c || !node.isConnected) return;
    const newest = list.lastElementChild?.dataset.id;
    // What is in view stays where it is when something above it changes.
    const anchor = stuck ? null : [...list.querySelectorAll('.message')].find((child) => child.offsetTop + child.offsetHeight > scroller.scrollTop);
    const offset = anchor ? anchor.offsetTop - scroller.scrollTop : 0;
    reconcile(list, store.isLoaded(c) ? items(c) : [], kept);
    head(c);
    if (stuck) return void toEnd();
    // It may be another element by now, of the same message.
    const same = anchor && list.querySelector(`[data-id="${CSS.escape(anchor.dataset.id)}"]`);
    if (same) scroller.scrollTop = same.offsetTop - offset;
    if (newest !== list.lastElementChild?.dataset.id && c.unseen) {
      behind = c.unseen;
      badge.hidden = false;
      badge.textContent = count(behind);
    }
    down.hidden = isAtEnd();
    return undefined;
  }

  /** What stands above the first message. */
  function head(c) {
    const loaded = store.isLoaded(c);
    const empty = loaded && !list.childElementCount && store.atStart(c);
    const say = failed ? 'failed' : !loaded || !store.atStart(c) ? 'loading' : empty ? 'empty' : 'start';
    if (top.dataset.says === say) return;
    top.dataset.says = say;
    if (say === 'failed') top.replaceChildren(h('p', { class: 'hint' }, failed.message), h('button', { type: 'button', class: 'quiet', onclick: () => { failed = null; top.dataset.says = ''; if (loaded) older(); else load(); } }, 'Try again'));
    else if (say === 'loading') top.replaceChildren(h('span', { class: 'spinner', 'aria-label': 'Loading' }));
    else if (say === 'empty') top.replaceChildren(h('p', { class: 'pill' }, key === userKey(store.me) ? 'Keep notes and files here. Only you see them.' : 'No messages here yet. Say hello!'));
    else top.replaceChildren();
  }

  const render = batched(draw);
  const focused = () => isAtEnd() && reach();
  window.addEventListener('focus', focused);

  return {
    node,
    render,
    load,
    toEnd,
    close: () => {
      window.removeEventListener('focus', focused);
      watcher.disconnect();
      resized.disconnect();
    },
  };
}
