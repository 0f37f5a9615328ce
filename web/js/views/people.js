// How users, groups and conversations are named and pictured.

import { EVERYONE } from '../store.js';
import { hue, initials } from '../format.js';
import { h } from './dom.js';
import { icon } from './icons.js';

const DELETED = 'deleted user';

export const nameOf = (user) => user?.display_name || user?.username || '…';

/** What a conversation is called. */
export function titleOf(c, me) {
  if (c.key === EVERYONE) return 'Everyone';
  if (c.kind === 'group') return c.group?.name ?? '…';
  if (c.key === `u:${me}`) return 'Saved messages';
  return c.user?.username === DELETED ? 'Deleted account' : nameOf(c.user);
}

/** A round picture made of a name: initials on a colour. */
export function face(name, id, className = '') {
  return h('span', { class: `face hue-${hue(id)} ${className}`, 'aria-hidden': 'true' }, initials(name));
}

export function portrait(c, me, className = '') {
  const drawn = c.key === EVERYONE ? 'megaphone' : c.key === `u:${me}` ? 'bookmark' : c.kind === 'direct' && c.user?.username === DELETED ? 'person' : null;
  if (drawn) return h('span', { class: `face drawn ${className}`, 'aria-hidden': 'true' }, icon(drawn));
  return face(titleOf(c, me), c.key.slice(2), className);
}
