// One conversation in the list.

import { EVERYONE, isMuted, userKey } from '../conversation.js';
import { brief, count, moment, summary, summaryIcon } from '../format.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { portrait, titleOf } from './people.js';

/** A conversation to be shown that need not exist. */
export const transient = (key) => ({ key, kind: key === EVERYONE ? 'broadcast' : key.startsWith('g:') ? 'group' : 'direct', typing: new Map(), unseen: 0, unseenMentions: 0, lastMessage: null, activeAt: '', seenUpTo: 0, settings: {} });

/**
 * An item for `reconcile`. `about` replaces the last message (in results); `draft` is what is written and not sent; `pending`
 * what is on its way; `onMenu(c, x, y)` opens its menu.
 */
export function rowOf(c, { store, selected, about = '', draft = null, pending = null, onMenu = null }) {
  const title = titleOf(c, store.me);
  const online = c.kind === 'direct' && store.online.get(c.key.slice(2)) === true && c.key !== userKey(store.me);
  const last = c.lastMessage;
  const own = last?.sender_id === store.me;
  const seen = own && last.seq <= c.seenUpTo;
  const typing = [...c.typing.keys()].map((id) => store.nameOf(id, c.typing.get(id).username));
  const muted = isMuted(c);
  const written = !selected && draft?.content.trim() ? draft.content : '';
  const sign = [title, online, selected, about, last?.id, last?.update, last && brief(last.created_at), seen, c.unseen, c.unseenMentions, typing.join(), written, pending?.client_id, pending?.state, muted, c.settings.favourite].join('\u0000');

  const preview = () => {
    if (about) return h('span', { class: 'preview' }, h('bdi', {}, about));
    if (typing.length) return h('span', { class: 'preview writing' }, c.kind === 'direct' ? 'typing…' : `${typing[0]} is typing…`);
    if (written) return h('span', { class: 'preview' }, h('b', { class: 'draft' }, 'Draft: '), h('bdi', {}, written));
    if (pending) return h('span', { class: 'preview' }, h('bdi', {}, pending.content || pending.file?.name || 'Forwarded message'));
    if (!last) return h('span', { class: 'preview empty' }, c.key === EVERYONE ? 'Messages to everybody here' : 'No messages yet');
    const who = c.kind === 'direct' ? '' : own ? 'You: ' : `${last.sender.display_name}: `;
    const drawn = summaryIcon(last);
    return h('span', { class: 'preview' }, who && h('b', {}, h('bdi', {}, who)), drawn && icon(drawn), h('bdi', {}, summary(last)));
  };
  const mark = () => {
    if (about || written) return null;
    if (pending) return icon(pending.state === 'failed' ? 'alert' : 'clock');
    return own && c.kind !== 'broadcast' && c.key !== userKey(store.me) ? icon(seen ? 'checks' : 'check') : null;
  };
  return {
    key: c.key,
    sign,
    make: () => h('a', { class: `row${selected ? ' selected' : ''}${c.unseen && !muted ? ' unread' : ''}`, href: `#${c.key}`, 'aria-current': selected ? 'page' : null, oncontextmenu: (event) => {
      if (!onMenu || about) return;
      event.preventDefault();
      onMenu(c, event.clientX, event.clientY);
    } },
      h('span', { class: 'portrait' }, portrait(c, store.me), online && h('span', { class: 'dot', role: 'img', 'aria-label': 'online' })),
      h('span', { class: 'row-text' },
        h('span', { class: 'row-top' },
          h('span', { class: 'row-title' }, h('bdi', {}, title)),
          muted && icon('silent'), c.settings.favourite && icon('star'),
          mark(),
          !about && last && h('time', { dateTime: c.activeAt, title: moment(c.activeAt) }, brief(c.activeAt))),
        h('span', { class: 'row-bottom' }, preview(),
          c.unseenMentions > 0 && h('span', { class: 'badge at', role: 'img', 'aria-label': 'mentions you' }, '@'),
          c.unseen > 0 && h('span', { class: `badge${muted ? ' quiet-badge' : ''}`, role: 'img', 'aria-label': `${c.unseen} unseen` }, count(c.unseen))))),
  };
}
