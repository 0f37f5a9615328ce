// What can be done with a message: by its menu, by the bar beside it, and by keys.

import { EVERYONE, userKey } from '../conversation.js';
import { moment } from '../format.js';
import { QUICK } from '../emoji.js';
import { h } from './dom.js';
import { confirm, open } from './dialogs.js';
import { forwardDialog } from './forward.js';
import { menu } from './menu.js';
import { attempt, copy, toast } from './notices.js';
import { mayLead } from './people.js';
import { pickEmoji } from './picker.js';
import { prose } from './prose.js';

/** `go(key, message?)` opens a conversation; `onReply`, `onEdit`, `onThread` belong to the open one; `user()` is oneself. */
export function messageActions({ key, api, store, sync, outbox, media, go, user, onReply, onEdit, onThread }) {
  const conversation = () => store.ensure(key);

  const react = (message, emoji, on) => attempt(async () => {
    await api.react(message.id, emoji, on);
    sync.fill(key);
  });

  const mayReact = () => key !== EVERYONE || true;
  const hasReacted = (message, emoji) => (message.reactions ?? []).some((one) => one.emoji === emoji && one.user_ids.includes(store.me));

  async function remove(message) {
    if (!(await confirm('Delete this message?', 'It is deleted for everybody.', 'Delete'))) return;
    await attempt(async () => {
      await api.deleteMessage(message.id);
      // Its number is not in the answer: the feed tells it, if the live connection hasn't.
      sync.fill(key);
    });
  }

  function seenBy(message) {
    open('Seen by', async (body) => {
      const receipts = await attempt(() => api.receipts(message.id));
      body.append(...(receipts ?? []).map((receipt) => h('p', { class: 'line' }, h('span', { dir: 'auto' }, store.nameOf(receipt.user_id, receipt.username)), h('time', { dateTime: receipt.seen_at }, moment(receipt.seen_at)))));
      if (receipts?.length === 0) body.append(h('p', { class: 'hint' }, 'Nobody yet.'));
    }, { className: 'small' });
  }

  function reactors(message) {
    open('Reactions', async (body) => {
      const found = await attempt(() => api.reactions(message.id));
      body.append(...(found ?? []).map(({ emoji, user: who, created_at: at }) => h('p', { class: 'line' }, h('span', {}, `${emoji} `, h('bdi', {}, who.display_name)), h('time', { dateTime: at }, moment(at)))));
      if (found?.length === 0) body.append(h('p', { class: 'hint' }, 'Nobody yet.'));
    }, { className: 'small' });
  }

  function versions(message) {
    open('Edits', async (body) => {
      const found = await attempt(() => api.edits(message.id));
      body.append(...(found ?? []).reverse().map((version, at) => h('article', { class: 'version' }, h('p', { class: 'line' }, h('b', {}, at === 0 ? 'Now' : at === found.length - 1 ? 'At first' : 'Before'),
        h('time', { dateTime: version.created_at }, moment(version.created_at))), prose(version.content))));
    });
  }

  const pin = (message, on) => attempt(async () => {
    await api.pin(message.id, on);
    sync.fill(key);
    toast(on ? 'Pinned.' : 'Unpinned.');
  });

  const linkTo = (message) => `${location.href.split('#')[0]}#${key}/${message.id}`;

  const markUnread = (message) => attempt(async () => {
    await api.markUnread(message.conversation_id, message.id);
    sync.refreshSoon();
    go(null);
  });

  /** What may be done with a message: entries of a menu. */
  function entries(message) {
    const c = conversation();
    const own = message.sender_id === store.me;
    const leads = mayLead(c, user());
    const isMember = c.kind !== 'group' || Boolean(c.group?.role);
    return [
      onReply && key !== EVERYONE && isMember && ['reply', 'Reply', () => onReply(message), { key: 'R' }],
      onThread && key !== EVERYONE && ['thread', message.thread_id || message.thread ? 'Open thread' : 'Reply in thread', () => onThread(message), { key: 'T' }],
      onEdit && own && !message.forwarded && (message.type === 'text' || message.content) && ['edit', 'Edit', () => onEdit(message), { key: 'E' }],
      message.content && ['copy', 'Copy text', () => copy(message.content), { key: 'C' }],
      ['link', 'Copy link', () => copy(linkTo(message), 'The link was copied.'), { key: 'L' }],
      ['forward', 'Forward', () => forwardDialog({ store, outbox, message, go }), { key: 'F' }],
      message.file && ['download', 'Save file', () => attempt(() => media.save(message.file)), { key: 'S' }],
      leads && isMember && ['pin', message.pinned ? 'Unpin' : 'Pin', () => pin(message, !message.pinned), { key: 'P' }],
      !own && c.settings?.notify && ['chat', 'Mark as unread', () => markUnread(message), { key: 'U' }],
      own && message.edited_at && ['history', 'Edits', () => versions(message), { key: 'H' }],
      message.reactions?.length > 0 && ['smile', 'Reactions', () => reactors(message)],
      own && key !== userKey(store.me) && ['eye', 'Seen by', () => seenBy(message), { key: 'I' }],
      (own || (leads && c.kind === 'group')) && ['trash', 'Delete', () => remove(message), { kind: 'danger', key: 'Del' }],
    ].filter(Boolean);
  }

  const pick = (message, near) => pickEmoji(near, (emoji) => react(message, emoji, !hasReacted(message, emoji)));

  function openMenu(message, x, y) {
    const near = { getBoundingClientRect: () => new DOMRect(x, y, 0, 0) };
    const quick = (leave) => h('div', { class: 'quick', role: 'group', 'aria-label': 'React' }, [...QUICK.map((emoji) => h('button', { type: 'button', role: 'menuitem', 'aria-label': `React with ${emoji}`, tabIndex: -1, onclick: () => {
      leave();
      react(message, emoji, !hasReacted(message, emoji));
    } }, emoji)), h('button', { type: 'button', role: 'menuitem', class: 'round', 'aria-label': 'Another reaction', tabIndex: -1, onclick: () => {
      leave();
      pick(message, near);
    } }, '+')]);
    menu(x, y, entries(message), { header: mayReact() ? quick : null, label: 'Message' });
  }

  /** Does what a key stands for at the message that has the focus. */
  function byKey(message, event, element) {
    if (!message || event.ctrlKey || event.metaKey) return false;
    const pressed = event.key === 'Delete' || event.key === 'Backspace' ? 'Del' : event.key.toUpperCase();
    const box = element.querySelector('.bubble').getBoundingClientRect();
    if (event.key === 'Enter' || event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey)) openMenu(message, box.left + 12, box.bottom);
    else if (event.key === '+') pick(message, element.querySelector('.bubble'));
    else {
      const found = entries(message).find((entry) => entry[3]?.key === pressed);
      if (!found) return false;
      found[2]();
    }
    return true;
  }

  return { openMenu, byKey, react, pick, reactors, versions, pin };
}
