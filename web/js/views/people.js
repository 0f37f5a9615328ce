// How users, groups and conversations are named and pictured.

import { EVERYONE } from '../conversation.js';
import { hue, initials } from '../format.js';
import { h, tinted } from './dom.js';
import { icon } from './icons.js';

const DELETED = 'deleted user';

export const nameOf = (user) => user?.display_name || user?.username || '…';
export const isGone = (user) => Boolean(user?.deleted) || user?.username === DELETED;

/** What a conversation is called. */
export function titleOf(c, me) {
  if (c.key === EVERYONE) return 'Everyone';
  if (c.kind === 'group') return c.group?.name ?? '…';
  if (c.key === `u:${me}`) return 'Saved messages';
  return isGone(c.user) ? 'Deleted account' : nameOf(c.user);
}

/** A round picture made of a name: initials on a colour; of a group, with its own shape. */
export function face(name, id, className = '') {
  return tinted(h('span', { class: `face ${className}`, 'aria-hidden': 'true', data: { initials: initials(name) } }), hue(id));
}

export function portrait(c, me, className = '') {
  const drawn = c.key === EVERYONE ? 'megaphone' : c.key === `u:${me}` ? 'bookmark' : c.kind === 'direct' && isGone(c.user) ? 'person' : null;
  if (drawn) return h('span', { class: `face drawn ${className}`, 'aria-hidden': 'true' }, icon(drawn));
  return face(titleOf(c, me), c.key.slice(2), `${c.kind === 'group' ? 'squared ' : ''}${className}`);
}

/** Whether the user is in charge of the conversation: may pin in it, and mention all. */
export function mayLead(c, user) {
  if (c.kind === 'direct') return true;
  if (c.kind === 'broadcast') return user.may?.broadcast !== false;
  return ['owner', 'admin'].includes(c.group?.role);
}
