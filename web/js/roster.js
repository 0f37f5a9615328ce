// Who there is: users and their names, who is there, who writes, and which groups the user is in.

import { groupKey, userKey } from './conversation.js';

/** The part of the store that is about people. */
export class Roster {
  constructor(me) {
    this.me = me;
    this.conversations = new Map();
    this.online = new Map();
    /** What is known of users: id to `{ id, username, display_name }`. */
    this.users = new Map();
    this.clock = 0;
  }

  /** Remembers a user's name. */
  meet(user) {
    if (user?.id) this.users.set(user.id, { ...this.users.get(user.id), ...user });
  }

  /** What a user is called: the display name if it is known. */
  nameOf(id, username = '') {
    const user = this.users.get(id);
    return user?.display_name || user?.username || username || '…';
  }

  /** Somebody is typing, until the moment `until` (milliseconds). */
  typing(key, user, username, until) {
    const c = this.get(key);
    if (!c) return;
    c.typing.set(user, { username, until });
    this.emit(key);
  }

  /** Forgets the users who are not typing any more at the moment `now`. */
  settle(now) {
    for (const c of this.conversations.values()) {
      const before = c.typing.size;
      for (const [user, { until }] of c.typing) if (until <= now) c.typing.delete(user);
      if (c.typing.size !== before) this.emit(c.key);
    }
  }

  presence(user, online) {
    this.online.set(user, online);
    this.emit(userKey(user));
  }

  /** Without a connection nobody can be said to be there. */
  forgetPresence() {
    this.online.clear();
    for (const c of this.conversations.values()) c.typing.clear();
    this.emit(null);
  }

  /** A group changed; absent fields stay. */
  groupChanged(group) {
    const { role, ...rest } = group;
    const c = this.ensure(groupKey(group.id), { group: role === undefined ? rest : group });
    c.touched = ++this.clock;
    this.emit(c.key);
  }

  /** The user has that role in the group now; with null, is no member any more. */
  membership(group, role) {
    const c = this.get(groupKey(group));
    if (!c) return;
    c.group = { ...c.group, id: group, role };
    if (role !== null && !c.listed) c.rank = ++this.top;
    c.listed = role !== null;
    if (role === null) Object.assign(c, { unseen: 0, unseenMore: false, unseenMentions: 0 });
    c.touched = ++this.clock;
    this.emit(null);
    this.emit(c.key);
  }
}
