// A thread: its first message, the replies, and where one replies.

import { batched, h, reconcile } from './dom.js';
import { attempt } from './notices.js';
import { messageView, pendingView } from './message.js';
import { composerView } from './composer.js';

const views = new WeakMap();

/** `root` is the id of the first message; `composer` what composerView needs; `tools` what messages can do. */
export function threadPage({ key, root, api, store, outbox, tools, composer }) {
  const known = new Map();
  const kept = new Map();
  let writing = null;
  const list = h('ol', { class: 'thread-list' });
  const foot = h('div', { class: 'thread-foot' });
  const body = h('div', { class: 'thread' }, list, foot);
  const own = { ...tools, isThread: true, near: (element, then) => then(), onGrow: () => {}, outbox, onJump: tools.onJump };

  function take(message) {
    const old = known.get(message.id);
    if (!old || old.update <= message.update) known.set(message.id, message);
  }

  const draw = () => {
    const c = store.ensure(key);
    for (const message of c.messages.values()) if (message.id === root || message.thread_id === root) take(message);
    for (const id of known.keys()) if (c.deleted.has(id)) known.delete(id);
    const shown = [...known.values()].sort((a, b) => a.seq - b.seq);
    const waiting = outbox.of(key).filter((entry) => entry.thread_id === root && !entry.arrived);
    const atEnd = body.scrollHeight - body.scrollTop - body.clientHeight < 80;
    reconcile(list, [...shown.map((message) => ({
      key: message.id,
      sign: '',
      make: () => {
        const view = messageView(message, own);
        views.set(view.node, view);
        return view.node;
      },
      refresh: (element) => views.get(element).apply(message, { first: true, last: true, group: true, seen: message.seq <= c.seenUpTo, edit: outbox.editOf(message.id), reply: message.reply_to ? known.get(message.reply_to) ?? null : undefined, isBroadcast: false }),
    })), ...waiting.map((entry) => ({
      key: entry.client_id,
      sign: '',
      make: () => {
        const view = pendingView(entry, { onRetry: () => outbox.retry(entry.client_id), onDiscard: () => outbox.discard(entry.client_id) });
        views.set(view.node, view);
        return view.node;
      },
      refresh: (element) => views.get(element).apply({ first: true, last: true }),
    }))], kept);
    if (atEnd) body.scrollTop = body.scrollHeight;
  };
  const render = batched(draw);

  attempt(async () => {
    let { items, next } = await api.thread(root);
    items.forEach(take);
    while (next) {
      ({ items, next } = await api.page(next));
      items.forEach(take);
    }
    draw();
    const first = known.get(root) ?? { id: root };
    writing = composerView({ ...composer, thread: first, onSent: render });
    foot.replaceChildren(writing.node);
    writing.focus();
    body.scrollTop = body.scrollHeight;
  });

  return { name: `thread ${root}`, title: 'Thread', body, render: (changed) => (changed === key || changed === null) && render(), changed: () => writing?.changed(), focus: () => writing?.focus() };
}
