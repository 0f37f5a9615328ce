// The state of the conversations: no network and no DOM.
//
// The server has one counter for each conversation, `update`. The store has every change up to `known`: it accepts the
// change `known + 1`, and a greater number reveals a gap (which sync.js fills by the change feed). It shows the messages
// whose `seq` is above `floor`, and has loaded none below it.
//
// The key of a conversation names the other side and not the conversation, because a user may open one before it exists:
// `u:<user id>`, `g:<group id>`, or `all` for the broadcast.

export const EVERYONE = 'all';
export const userKey = (id) => `u:${id}`;
export const groupKey = (id) => `g:${id}`;

/** The key of the conversation of a message, for the user `me`. */
export function keyOf(message, me) {
  if (message.kind === 'group') return groupKey(message.group_id);
  if (message.kind === 'broadcast') return EVERYONE;
  return userKey(message.sender_id === me ? message.receiver_id : message.sender_id);
}

/** The key of an entry of the user's list of conversations. */
function keyOfItem(item) {
  return item.kind === 'broadcast' ? EVERYONE : item.kind === 'group' ? groupKey(item.group.id) : userKey(item.user.id);
}

/** More conversations than the client ever loads. */
const LIST_MOST = 1e6;

function blank(key) {
  return {
    key,
    kind: key === EVERYONE ? 'broadcast' : key.startsWith('g:') ? 'group' : 'direct',
    id: key.startsWith('g:') ? key.slice(2) : null,
    user: null,
    group: null,
    lastMessage: null,
    unseen: 0,
    /** Whether the server has stopped counting there. */
    unseenMore: false,
    activeAt: '',
    /** Its place in the user's list: greater is later. */
    rank: 0,
    /** The moment of the store at which the last message arrived. */
    said: 0,
    /** Whether it is in the user's list. */
    listed: false,
    known: null,
    /** `unseen` counts messages up to this number. */
    counted: 0,
    messages: new Map(),
    deleted: new Set(),
    floor: Infinity,
    /** Somebody has seen the user's own messages up to this `seq`. */
    seenUpTo: 0,
    /** The users who are typing: user id to `{ username, until }`. */
    typing: new Map(),
    touched: 0,
  };
}

export class Store {
  constructor(me) {
    this.me = me;
    this.conversations = new Map();
    this.keys = new Map();
    this.online = new Map();
    this.listeners = new Set();
    this.clock = 0;
    /** The greatest rank so far, and the next one for the list that is being loaded. */
    this.top = 0;
    this.next = 0;
  }

  /** Calls `listener(key)` after every change of a conversation, and with `null` when the list as a whole changed. */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  emit(key) {
    for (const listener of this.listeners) listener(key);
  }

  get(key) {
    return this.conversations.get(key);
  }

  /** The conversation of that key, created if needed; fills in the `known` parts. */
  ensure(key, { id, user, group } = {}) {
    let c = this.conversations.get(key);
    if (!c) {
      c = blank(key);
      this.conversations.set(key, c);
    }
    if (id) c.id = id;
    if (c.id) this.keys.set(c.id, key);
    if (user) c.user = { ...c.user, ...user };
    if (group) c.group = { ...c.group, ...group };
    return c;
  }

  byId(id) {
    return this.conversations.get(this.keys.get(id));
  }

  /** The conversations in the user's list, latest first. */
  list() {
    const listed = [...this.conversations.values()].filter((c) => c.listed);
    return listed.sort((a, b) => b.rank - a.rank);
  }

  get unseenTotal() {
    let total = 0;
    for (const c of this.conversations.values()) if (c.listed) total += c.unseen;
    return total;
  }

  /** The loaded messages of a conversation, oldest first. */
  window(c) {
    return [...c.messages.values()].filter((m) => m.seq > c.floor).sort((a, b) => a.seq - b.seq);
  }

  isLoaded(c) {
    return c.floor !== Infinity;
  }

  atStart(c) {
    return c.floor === 0;
  }

  /** The current moment of this store. It tells later which changes a slow answer could not contain. */
  mark() {
    return this.clock;
  }

  /**
   * Takes in a page of the user's list, requested at the moment `mark`. A conversation that should be in the first page
   * and is not has left the list. Returns the keys of conversations with changes that the store does not have.
   */
  listPage(items, { first, more, mark }) {
    const behind = [];
    const seen = new Set();
    const oldestKey = items.length ? keyOfItem(items[items.length - 1]) : null;
    const oldest = more ? this.conversations.get(oldestKey)?.rank || Infinity : 0;
    // The order of the server, which follows no clock: above everything known before, and below everything that comes later.
    if (first) {
      this.top += LIST_MOST;
      this.next = this.top;
    }
    for (const item of items) {
      const key = keyOfItem(item);
      const c = this.ensure(key, item);
      seen.add(key);
      c.listed = true;
      // Messages that arrived after the request stay above the list.
      const rank = this.next--;
      if (c.said <= mark) c.rank = rank;
      else if (first) c.rank = ++this.top;
      if (c.known !== null && item.update < c.known) continue;
      Object.assign(c, { lastMessage: item.last_message, unseen: item.unseen_count, unseenMore: item.unseen_more === true, counted: item.update, activeAt: item.updated_at });
      if (c.known !== null && item.update > c.known && this.isLoaded(c)) {
        behind.push(key);
      } else {
        if (item.update !== c.known) c.messages.clear();
        c.known = item.update;
      }
    }
    if (first) {
      for (const c of this.conversations.values()) {
        if (c.listed && !seen.has(c.key) && c.rank > oldest && c.touched <= mark) c.listed = false;
      }
    }
    this.emit(null);
    return behind;
  }

  /** Takes in the newest page, oldest first; `atStart` if there is nothing older. */
  newestPage(key, messages, atStart) {
    const c = this.ensure(key);
    for (const message of messages) this.put(c, message);
    c.floor = atStart ? 0 : messages[0].seq - 1;
    if (c.known === null) {
      // The page contains every change up to its latest one.
      c.known = messages.reduce((most, m) => Math.max(most, m.update), 0);
      c.counted = Math.max(c.counted, c.known);
    }
    this.emit(key);
  }

  /** Takes in the page before the window. */
  olderPage(key, messages, atStart) {
    const c = this.ensure(key);
    for (const message of messages) this.put(c, message);
    if (atStart) c.floor = 0;
    else if (messages.length) c.floor = Math.min(c.floor, messages[0].seq - 1);
    this.emit(key);
  }

  /** Lowers the window of a conversation that the client reads by its change feed: the store has everything above `floor`. */
  lower(key, floor) {
    const c = this.ensure(key);
    c.floor = Math.min(c.floor, floor);
    this.emit(key);
  }

  /** Forgets the loaded messages, to load them again. */
  reset(key, known = null) {
    const c = this.ensure(key);
    c.messages.clear();
    c.deleted.clear();
    c.floor = Infinity;
    c.known = known;
    this.emit(key);
  }

  /** Stores a message, unless the store has a later state of it. */
  put(c, message) {
    if (message.conversation_id) this.ensure(c.key, { id: message.conversation_id });
    const old = c.messages.get(message.id);
    if (c.deleted.has(message.id) || (old && old.update > message.update)) return;
    c.messages.set(message.id, message);
  }

  /**
   * Takes in one change: a message, or `{ id, update, deleted_at }`. Returns `applied`; `known` if the store has it; `gap`
   * if earlier changes are missing (the store ignores it then); `unknown` if the store knows nothing of the conversation.
   */
  change(key, entry) {
    const c = this.conversations.get(key);
    if (!c || c.known === null) {
      if (entry.update !== 1) return 'unknown';
      this.ensure(key).known = 0;
      return this.change(key, entry);
    }
    if (entry.update <= c.known) return 'known';
    if (entry.update > c.known + 1) return 'gap';
    return this.changes(key, [entry], entry.update);
  }

  /**
   * Takes in a page of the change feed that is complete up to the number `upTo`. Returns `applied`, or `list` if the store
   * cannot tell the last message or the unseen count, so that the client has to load the list.
   */
  changes(key, entries, upTo) {
    const c = this.ensure(key);
    const base = c.counted;
    let outcome = 'applied';
    for (const entry of entries) {
      if (entry.deleted_at) {
        const mine = c.messages.get(entry.id)?.sender_id === this.me;
        c.deleted.add(entry.id);
        c.messages.delete(entry.id);
        if (c.lastMessage?.id === entry.id) {
          const shown = this.window(c);
          c.lastMessage = shown[shown.length - 1] || null;
          if (!c.lastMessage && c.floor !== 0) outcome = 'list';
        }
        if (c.unseen > 0 && !mine) outcome = 'list';
        continue;
      }
      if (c.deleted.has(entry.id)) continue;
      this.put(c, entry);
      c.typing.delete(entry.sender_id);
      if (!c.lastMessage || entry.seq >= c.lastMessage.seq) {
        if (!c.lastMessage || entry.seq > c.lastMessage.seq) {
          c.activeAt = entry.created_at;
          c.rank = ++this.top;
          c.said = this.clock + 1;
        }
        c.lastMessage = entry;
      }
      if (entry.seq > base && entry.sender_id !== this.me && c.kind !== 'broadcast') c.unseen += 1;
      // The sender's current name.
      if (c.kind === 'direct' && entry.sender_id === c.key.slice(2)) c.user = { ...c.user, ...entry.sender };
      if (c.kind !== 'group' || c.group?.role || entry.sender_id === this.me) c.listed = true;
    }
    c.counted = Math.max(base, upTo);
    c.known = Math.max(c.known ?? 0, upTo);
    c.touched = ++this.clock;
    this.emit(key);
    return outcome;
  }

  /** The user has read everything that is loaded. */
  readAll(key) {
    const c = this.get(key);
    if (!c || c.unseen === 0) return;
    c.unseen = 0;
    c.unseenMore = false;
    this.emit(key);
  }

  /** The user has read up to a message on another device. False if the loaded messages do not suffice to count the rest. */
  readUpTo(key, id) {
    const c = this.get(key);
    if (!c || c.unseen === 0) return true;
    const place = id === c.lastMessage?.id ? c.lastMessage : c.messages.get(id);
    if (!place || (place !== c.lastMessage && c.floor > place.seq)) return false;
    const after = [...c.messages.values()].filter((m) => m.seq > place.seq && m.sender_id !== this.me);
    // If the server had stopped counting, the loaded messages give a better count.
    c.unseen = c.unseenMore ? after.length : Math.min(c.unseen, after.length);
    c.unseenMore = false;
    this.emit(key);
    return true;
  }

  /** Somebody has seen one of the user's own messages, and all earlier ones. */
  seen(key, seq) {
    const c = this.get(key);
    if (!c || c.seenUpTo >= seq) return;
    c.seenUpTo = seq;
    this.emit(key);
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
    if (role === null) Object.assign(c, { unseen: 0, unseenMore: false });
    c.touched = ++this.clock;
    this.emit(null);
    this.emit(c.key);
  }

  /** The user may not see the conversation any more. */
  drop(key) {
    const c = this.conversations.get(key);
    if (!c) return;
    this.conversations.delete(key);
    if (c.id) this.keys.delete(c.id);
    this.emit(null);
    this.emit(key);
  }
}
