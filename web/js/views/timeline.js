// The messages of one conversation: what is loaded, what is on its way, the way up to what is older and down to what is newer.

import { EVERYONE, isAtEnd, userKey } from '../conversation.js';
import { count, day, summary } from '../format.js';
import { batched, h, reconcile } from './dom.js';
import { gestures } from './gestures.js';
import { icon } from './icons.js';
import { messageView, pendingView } from './message.js';
import { announce, attempt, toast } from './notices.js';
import { quotedMessages } from './quoted.js';
import { walkMessages } from './walk.js';

/** From this far before an end of what is loaded, in pixels, more is loaded. */
const AHEAD = 800;
/** This close to the end counts as being there. */
const AT_END = 60;
/** Messages by one sender within this time stand together. */
const RUN = 5 * 60_000;
/** How long the day is named after scrolling (milliseconds). */
const NAMED = 1200;
/** At most so many messages are in the document; beyond, those at the far end go. */
const MOST = 500;
const KEPT = 300;
/** At most so many pages of the broadcast are loaded to show what a message replies to. */
const JUMP_PAGES = 40;

const views = new WeakMap();
const dayKey = (message) => new Date(message.created_at).toDateString();
const sameRun = (a, b) => a && b && a.sender_id === b.sender_id && !b.forwarded === !a.forwarded && Date.parse(b.created_at) - Date.parse(a.created_at) < RUN && dayKey(a) === dayKey(b);

/**
 * `tools` is what messages can do (message.js), `actions` acts on the focused one by a key, `places` keeps for each
 * conversation where one was.
 */
export function timelineView({ key, api, store, sync, outbox, reader, places, tools: given, actions, onReply }) {
  const sections = new Map();
  let stuck = true;
  let failed = null;
  let opening = false;
  /** The first unseen message when the conversation was opened. */
  let firstUnseen = null;
  /** The message at the upper edge, and how far it is from it. */
  let anchor = null;
  let lastAnnounced = null;
  let height = 0;
  let scrolling = 0;

  const list = h('div', { class: 'messages' });
  const top = h('div', { class: 'top' });
  const scroller = h('div', { class: 'scroller', role: 'region', 'aria-label': 'Messages', tabIndex: -1, onscroll: scrolled }, top, list);
  const badge = h('span', { class: 'badge', hidden: true });
  const down = h('button', { class: 'round down', type: 'button', 'aria-label': 'To the newest message', hidden: true, onclick: toNewest }, icon('down'), badge);
  const node = h('div', { class: 'timeline' }, scroller, down);
  const replyOf = quotedMessages({ key, api, store, onChange: () => render() });
  const walk = walkMessages(scroller, list, { onKey: (element, event) => actions.byKey(views.get(element)?.message, event, element) });
  gestures(list, {
    onHold: (element, x, y) => tools.onMenu(views.get(element).message, x, y),
    onSwipe: (element) => onReply(views.get(element).message),
  });

  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      target.comesNear();
    }
  }, { root: scroller, rootMargin: '600px' });
  // The window, the composer or an image changed the height of something: what was in view stays there.
  const resized = new ResizeObserver(() => settle());
  resized.observe(scroller);
  resized.observe(list);

  const tools = {
    ...given,
    outbox,
    near: (element, then) => {
      element.comesNear = then;
      watcher.observe(element);
    },
    onGrow: settle,
    onJump: (message) => attempt(() => jump(message.id)),
    onReply: given.onReply && onReply,
    neighbours: () => store.window(store.get(key)).filter((message) => message.type === 'image'),
  };

  const messages = () => [...list.querySelectorAll('.message')];
  const elementOf = (id) => list.querySelector(`[data-id="${CSS.escape(id)}"]`);
  const isNearEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < AT_END;
  const conversation = () => store.ensure(key);

  /** Notes what is at the upper edge. */
  function remember() {
    const edge = scroller.getBoundingClientRect().top;
    const all = messages();
    let [low, high] = [0, all.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (all[middle].getBoundingClientRect().bottom > edge) high = middle;
      else low = middle + 1;
    }
    anchor = all[low] ? { id: all[low].dataset.id, offset: all[low].getBoundingClientRect().top - edge } : null;
    if (stuck || !anchor) places.delete(key);
    else places.set(key, anchor);
  }

  /** Puts that back where it was; the end, if one is there. */
  function settle() {
    height = scroller.clientHeight;
    if (stuck) scroller.scrollTop = scroller.scrollHeight;
    else if (anchor) {
      const element = elementOf(anchor.id);
      if (element) scroller.scrollTop += element.getBoundingClientRect().top - scroller.getBoundingClientRect().top - anchor.offset;
    }
    down.hidden = stuck;
  }

  function toEnd() {
    stuck = true;
    settle();
    reach();
  }

  async function toNewest() {
    if (store.isLoaded(conversation()) && !isAtEnd(conversation())) await attempt(() => sync.newest(key));
    draw();
    toEnd();
  }

  /** At once, before anything is drawn that would put it back. */
  function scrolled() {
    // A window that became lower is no scrolling away from the end.
    if (stuck && scroller.clientHeight !== height) return settle();
    stuck = isNearEnd() && isAtEnd(conversation());
    down.hidden = stuck;
    return afterwards();
  }

  const afterwards = batched(() => {
    remember();
    reach();
    nameDay();
    more();
  });

  /** The day at the upper edge is named while one scrolls: after that its name would only cover what is read. */
  function nameDay() {
    const edge = scroller.getBoundingClientRect().top;
    for (const section of list.children) section.firstChild.classList.toggle('stuck', section.getBoundingClientRect().top < edge - 4);
    scroller.classList.add('scrolling');
    clearTimeout(scrolling);
    scrolling = setTimeout(() => scroller.classList.remove('scrolling'), NAMED);
  }

  function more() {
    if (scroller.scrollTop < AHEAD) older();
    if (scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < AHEAD) newer();
  }

  /** What has been before the eyes of somebody who looks at the page is read. */
  function reach() {
    const c = conversation();
    // While it opens, what is drawn is not yet where one goes on.
    if (opening || document.hidden || !document.hasFocus() || !store.isLoaded(c)) return;
    const shown = store.window(c);
    const edge = scroller.getBoundingClientRect().bottom + 4;
    let at = shown.length - 1;
    if (!stuck) while (at >= 0 && (elementOf(shown[at].id)?.getBoundingClientRect().bottom ?? Infinity) > edge) at -= 1;
    if (at >= 0) reader.reached(key, stuck ? newestOf(c, shown) : shown[at]);
    showCount();
  }

  const newestOf = (c, shown) => (isAtEnd(c) && c.lastMessage && c.lastMessage.seq > shown.at(-1).seq ? c.lastMessage : shown.at(-1));

  function showCount() {
    const { unseen } = conversation();
    badge.hidden = stuck || unseen === 0;
    badge.textContent = count(unseen);
  }

  async function load(jumpTo = null) {
    failed = null;
    const c = conversation();
    const place = places.get(key);
    const isBack = !jumpTo && c.unseen === 0 && place && store.isLoaded(c) && store.window(c).some((m) => m.id === place.id);
    render();
    opening = true;
    try {
      if (jumpTo) await open(jumpTo);
      else if (isBack) {
        stuck = false;
        anchor = place;
      } else {
        const unseen = c.unseen;
        await sync.open(key);
        if (unseen) firstUnseen = store.firstUnseen(key);
      }
    } catch (error) {
      failed = error;
    }
    opening = false;
    // Who has scrolled meanwhile stays there.
    const isElsewhere = !stuck && firstUnseen === null && isAtEnd(conversation());
    stuck = !isBack && !isElsewhere && !jumpTo && firstUnseen === null && isAtEnd(conversation());
    draw();
    const first = firstUnseen !== null && list.querySelector('.message:has(> .divider)');
    if (first) {
      scroller.scrollTop += first.getBoundingClientRect().top - scroller.getBoundingClientRect().top - 56;
      stuck = isNearEnd() && isAtEnd(conversation());
    }
    if (jumpTo) show(jumpTo);
    else settleAfter();
    lastAnnounced = store.get(key)?.lastMessage?.seq ?? 0;
  }

  function settleAfter() {
    if (stuck) settle();
    else if (firstUnseen !== null) remember();
    else settle();
    down.hidden = stuck;
    reach();
    requestAnimationFrame(() => node.isConnected && more());
  }

  async function older() {
    const c = store.get(key);
    if (!c || !store.isLoaded(c) || store.atStart(c) || failed) return;
    try {
      await sync.older(key);
      if (!stuck && key !== EVERYONE && store.window(c).length > MOST) store.trim(key, 'newer', KEPT);
    } catch (error) {
      failed = error;
      render();
    }
    // Where a page doesn't fill the window nobody scrolls.
    requestAnimationFrame(() => node.isConnected && scroller.scrollTop < AHEAD && older());
  }

  async function newer() {
    const c = store.get(key);
    if (!c || !store.isLoaded(c) || isAtEnd(c) || failed) return;
    await attempt(() => sync.newer(key));
    if (store.window(c).length > MOST) store.trim(key, 'older', KEPT);
  }

  /** Loads what lies around a message, unless it is loaded. */
  async function open(id) {
    const c = conversation();
    if (store.isLoaded(c) && store.window(c).some((m) => m.id === id)) return;
    if (key !== EVERYONE) return void (await sync.around(key, id));
    if (!store.isLoaded(c)) await sync.newest(key);
    for (let pages = 0; pages < JUMP_PAGES && !store.window(c).some((m) => m.id === id) && !store.atStart(c); pages += 1) await sync.older(key);
  }

  async function jump(id) {
    await open(id);
    stuck = false;
    draw();
    show(id);
  }

  function show(id) {
    const target = elementOf(id);
    if (!target) return void toast('That message is not there any more.');
    stuck = false;
    target.scrollIntoView({ block: 'center' });
    remember();
    walk.focus(target, { quietly: true });
    target.classList.add('flash');
    target.addEventListener('animationend', () => target.classList.remove('flash'), { once: true });
    return undefined;
  }

  function itemsOf(c) {
    const shown = store.window(c);
    const waiting = isAtEnd(c) ? outbox.of(key).filter((entry) => !entry.arrived && !entry.thread_id) : [];
    const days = [];
    const sectionOf = (id, label) => {
      if (days.at(-1)?.key !== id) days.push({ key: id, label, items: [] });
      return days.at(-1).items;
    };
    shown.forEach((message, at) => {
      const own = message.sender_id === store.me;
      const place = {
        first: !sameRun(shown[at - 1], message),
        last: !sameRun(message, shown[at + 1]) && !(own && at === shown.length - 1 && waiting.length),
        group: c.kind !== 'direct',
        reply: replyOf(message),
        seen: message.seq <= c.seenUpTo,
        edit: outbox.editOf(message.id),
        isFirstUnseen: message.seq === firstUnseen,
        isBroadcast: c.kind === 'broadcast' || key === userKey(store.me),
      };
      sectionOf(dayKey(message), day(message.created_at)).push({
        key: message.id,
        sign: '',
        make: () => {
          const view = messageView(message, tools);
          views.set(view.node, view);
          return view.node;
        },
        refresh: (element) => views.get(element).apply(message, place),
      });
    });
    waiting.forEach((entry, at) => sectionOf(new Date().toDateString(), 'Today').push({
      key: entry.client_id,
      sign: '',
      make: () => {
        const view = pendingView(entry, { onRetry: () => outbox.retry(entry.client_id), onDiscard: () => outbox.discard(entry.client_id) });
        views.set(view.node, view);
        return view.node;
      },
      refresh: (element) => views.get(element).apply({ first: at === 0 && shown.at(-1)?.sender_id !== store.me, last: at === waiting.length - 1, reply: replyOf(entry) }),
    }));
    return days;
  }

  function draw() {
    const c = store.get(key);
    if (!c || !node.isConnected) return;
    const days = itemsOf(c);
    reconcile(list, days.map(({ key: id, label, items }) => ({
      key: id,
      sign: label,
      make: () => h('section', { class: 'day', 'aria-label': label }, h('h2', { class: 'day-name' }, h('span', {}, label)), h('ol', {})),
      refresh: (section) => {
        section.kept ??= new Map();
        reconcile(section.lastChild, items, section.kept);
      },
    })), sections);
    head(c);
    walk.update();
    settle();
    speak(c);
    showCount();
    if (stuck) {
      reach();
      if (key !== EVERYONE && store.window(c).length > MOST) store.trim(key, 'older', KEPT);
    }
  }

  /** Says to screen readers what has just come, and only that. */
  function speak(c) {
    const last = c.lastMessage;
    if (!last || lastAnnounced === null || last.seq <= lastAnnounced) return;
    lastAnnounced = last.seq;
    if (last.sender_id !== store.me) announce(`${last.sender.display_name}: ${summary(last)}`);
  }

  /** What stands above the first message. */
  function head(c) {
    const loaded = store.isLoaded(c);
    const empty = loaded && !list.childElementCount && store.atStart(c);
    const say = failed ? 'failed' : !loaded || !store.atStart(c) ? 'loading' : empty ? 'empty' : 'start';
    if (top.dataset.says === say) return;
    top.dataset.says = say;
    if (say === 'failed') top.replaceChildren(h('p', { class: 'hint' }, failed.message), h('button', { type: 'button', class: 'quiet', onclick: again }, 'Try again'));
    else if (say === 'loading') top.replaceChildren(h('span', { class: 'spinner', role: 'img', 'aria-label': 'Loading' }));
    else if (say === 'empty') top.replaceChildren(h('p', { class: 'pill' }, key === userKey(store.me) ? 'Keep notes and files here. Only you see them.' : 'No messages here yet. Say hello!'));
    else top.replaceChildren();
  }

  /** Tries again what failed. */
  function again() {
    if (!failed) return;
    failed = null;
    top.dataset.says = '';
    if (store.isLoaded(conversation())) older();
    else load();
  }

  const render = batched(draw);
  window.addEventListener('focus', reach);

  return {
    node, render, load, toEnd: toNewest, jump: (id) => attempt(() => jump(id)),
    focusNewest: () => walk.focus(messages().at(-1)),
    /** Scrolls by a key that was pressed elsewhere. */
    scroll: (pressed) => scroller.scrollBy({ top: (pressed === 'PageUp' ? -0.85 : 0.85) * scroller.clientHeight }),
    again,
    sent: () => {
      firstUnseen = null;
      toNewest();
    },
    close: () => {
      window.removeEventListener('focus', reach);
      watcher.disconnect();
      resized.disconnect();
      for (const element of messages()) views.get(element)?.close?.();
    },
  };
}
