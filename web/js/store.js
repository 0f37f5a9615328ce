// What is known of the conversations: pure state, no network and no DOM.
//
// Each conversation of the server has one counter, `update`. `known` is the number up to which every change is in here, so
// that a change numbered `known + 1` can be taken in and a greater one tells of a gap (which sync.js fills by the change
// feed). What is shown is the window of messages whose `seq` is above `floor`; below it nothing is loaded.
//
// A conversation's key says with whom it is and not which, since one may be opened before it exists: `u:<user id>`,
// `g:<group id>`, or `all` for the broadcast.

export const EVERYONE = 'all';
export const userKey = (id) => `u:${id}`;
export const groupKey = (id) => `g:${id}`;

/** The key of the conversation of a message, for the user `me`. */
export function keyOf(message, me) {
  if (message.kind === 'group') return groupKey(message.group_id);
  if (message.kind === 'broadcast') return EVERYONE;
  return userKey(message.sender_id === me ? message.receiver_id : message.sender_id);
}

/** The key of an entry of one's list of conversations. */
function keyOfItem(item) {
  return item.kind === 'broadcast' ? EVERYONE : item.kind === 'group' ? groupKey(item.group.id) : userKey(item.user.id);
}

/** More conversations than a list is ever loaded of. */
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
    /** Its place in one's list: greater is later. */
    rank: 0,
    /** At which moment of the store the last message came in. */
    said: 0,
    /** Whether it is in one's list. */
    listed: false,
    known: null,
    /** Up to which number `unseen` counts. */
    counted: 0,
    messages: new Map(),
    deleted: new Set(),
    floor: Infinity,
    /** Own messages up to this `seq` have been seen by somebody. */
    seenUpTo: 0,
    /** Who is writing: user id to `{ username, until }`. */
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
    /** The greatest rank given, and the next one of the list that is being loaded. */
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

  /** The conversation of that key, made if need be; `known` parts of it are filled in. */
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

  /** Those in one's list, latest first. */
  list() {
    const listed = [...this.conversations.values()].filter((c) => c.listed);
    return listed.sort((a, b) => b.rank - a.rank);
  }

  get unseenTotal() {
    let total = 0;
    for (const c of this.conversations.values()) if (c.listed) total += c.unseen;
    return total;
  }

  /** What is loaded of a conversation, oldest first. */
  window(c) {
    return [...c.messages.values()].filter((m) => m.seq > c.floor).sort((a, b) => a.seq - b.seq);
  }

  isLoaded(c) {
    return c.floor !== Infinity;
  }

  atStart(c) {
    return c.floor === 0;
  }

  /** A moment of this store, to tell later what a slow answer could not know of. */
  mark() {
    return this.clock;
  }

  /**
   * Takes in a page of one's list, asked for at the moment `mark`. Of the first page, what should be in it and isn't has
   * left the list. Gives the keys of those that changed more than is known here.
   */
  listPage(items, { first, more, mark }) {
    const behind = [];
    const seen = new Set();
    const oldestKey = items.length ? keyOfItem(items[items.length - 1]) : null;
    const oldest = more ? this.conversations.get(oldestKey)?.rank || Infinity : 0;
    // The server's order, which goes by no clock: above all that was known before, and below what comes in from now on.
    if (first) {
      this.top += LIST_MOST;
      this.next = this.top;
    }
    for (const item of items) {
      const key = keyOfItem(item);
      const c = this.ensure(key, item);
      seen.add(key);
      c.listed = true;
      // What was said since the list was asked for stays above it.
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
      // The page shows every change up to the latest that it shows.
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

  /** Lowers the window of a conversation that is read by its change feed: everything above `floor` has been put in. */
  lower(key, floor) {
    const c = this.ensure(key);
    c.floor = Math.min(c.floor, floor);
    this.emit(key);
  }

  /** Forgets what is loaded, to load it again. */
  reset(key, known = null) {
    const c = this.ensure(key);
    c.messages.clear();
    c.deleted.clear();
    c.floor = Infinity;
    c.known = known;
    this.emit(key);
  }

  /** A message, unless a later state of it is known. */
  put(c, message) {
    if (message.conversation_id) this.ensure(c.key, { id: message.conversation_id });
    const old = c.messages.get(message.id);
    if (c.deleted.has(message.id) || (old && old.update > message.update)) return;
    c.messages.set(message.id, message);
  }

  /**
   * Takes in one change: a message, or `{ id, update, deleted_at }`. Answers `applied`; `known` if it was known; `gap` if
   * others before it are missing (nothing was done then); `unknown` if nothing is known of the conversation.
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
   * Takes in a page of the change feed that is complete up to the number `upTo`. Answers `applied`, or `list` where what
   * the list says of the conversation (the last message, how many are unseen) can't be told from what is known here.
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
      // The name that somebody writes under now.
      if (c.kind === 'direct' && entry.sender_id === c.key.slice(2)) c.user = { ...c.user, ...entry.sender };
      if (c.kind !== 'group' || c.group?.role || entry.sender_id === this.me) c.listed = true;
    }
    c.counted = Math.max(base, upTo);
    c.known = Math.max(c.known ?? 0, upTo);
    c.touched = ++this.clock;
    this.emit(key);
    return outcome;
  }

  /** One has read everything that is loaded. */
  readAll(key) {
    const c = this.get(key);
    if (!c || c.unseen === 0) return;
    c.unseen = 0;
    c.unseenMore = false;
    this.emit(key);
  }

  /** One has read up to a message on another device. False where the rest can't be counted from what is loaded. */
  readUpTo(key, id) {
    const c = this.get(key);
    if (!c || c.unseen === 0) return true;
    const place = id === c.lastMessage?.id ? c.lastMessage : c.messages.get(id);
    if (!place || (place !== c.lastMessage && c.floor > place.seq)) return false;
    const after = [...c.messages.values()].filter((m) => m.seq > place.seq && m.sender_id !== this.me);
    // Where counting had stopped, what is loaded tells better.
    c.unseen = c.unseenMore ? after.length : Math.min(c.unseen, after.length);
    c.unseenMore = false;
    this.emit(key);
    return true;
  }

  /** Somebody has seen a message of one's own, and with it what came before. */
  seen(key, seq) {
    const c = this.get(key);
    if (!c || c.seenUpTo >= seq) return;
    c.seenUpTo = seq;
    this.emit(key);
  }

  /** Somebody is writing, until the moment `until` (milliseconds). */
  typing(key, user, username, until) {
    const c = this.get(key);
    if (!c) return;
    c.typing.set(user, { username, until });
    this.emit(key);
  }

  /** Forgets who is no longer writing at the moment `now`. */
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

  /** A group changed; what isn't given stays. */
  groupChanged(group) {
    const { role, ...rest } = group;
    const c = this.ensure(groupKey(group.id), { group: role === undefined ? rest : group });
    c.touched = ++this.clock;
    this.emit(c.key);
  }

  /** One is in the group in that role now, or, with null, no longer. */
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

  /** The conversation is no longer to be seen. */
  drop(key) {
    const c = this.conversations.get(key);
    if (!c) return;
    this.conversations.delete(key);
    if (c.id) this.keys.delete(c.id);
    this.emit(null);
    this.emit(key);
  }
}
