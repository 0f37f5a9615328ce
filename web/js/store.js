// The state of the conversations: no network and no DOM.
//
// The server has one counter for each conversation, `update`. The store has every change up to `known`: it accepts the
// change `known + 1`, and a greater number reveals a gap (which sync.js fills by the change feed). It shows the messages
// whose `seq` is above `floor` and not above `ceiling`; of these it has loaded all.

import { blank, isAtEnd, isAtStart, isLoaded, keyOfItem, mentions } from './conversation.js';
import { Roster } from './roster.js';

/** More conversations than the client ever loads. */
const LIST_MOST = 1e6;

export class Store extends Roster {
  constructor(me) {
    super(me);
    this.keys = new Map();
    this.listeners = new Set();
    /** Called with each change before it is applied: `(conversation, old message or null, entry)`. */
    this.onChange = null;
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
    if (user) {
      c.user = { ...c.user, ...user };
      this.meet(user);
    }
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
    c.sorted ??= [...c.messages.values()].filter((m) => m.seq > c.floor && m.seq <= c.ceiling).sort((a, b) => a.seq - b.seq);
    return c.sorted;
  }

  isLoaded(c) { return isLoaded(c); }

  atStart(c) { return isAtStart(c); }

  /** The current moment of this store. It tells later which changes a slow answer could not contain. */
  mark() {
    return this.clock;
  }

  /**
   * Takes in a page of the user's list, requested at the moment `mark`. A conversation that should be in the first page
   * and is not has left the list. Returns the keys of conversations with changes that the store does not have.
   */
  applyList(items, { first, more, mark }) {
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
      if (item.settings) c.settings = item.settings;
      if (item.draft !== undefined || item.settings) c.draft = item.draft ?? null;
      if (item.others_read_up_to) c.seenUpTo = Math.max(c.seenUpTo, item.others_read_up_to);
      this.meet(item.last_message?.sender);
      if (c.known !== null && item.update < c.known) continue;
      Object.assign(c, { lastMessage: item.last_message, unseenMore: item.unseen_more === true, counted: item.update, activeAt: item.updated_at });
      if (c.kind !== 'broadcast') Object.assign(c, { unseen: item.unseen_count, unseenMentions: item.unseen_mentions ?? 0 });
      else this.countBroadcast(c);
      if (item.read_up_to !== undefined) c.readSeq = item.read_up_to;
      if (c.known !== null && item.update > c.known && isLoaded(c)) {
        behind.push(key);
      } else {
        if (item.update !== c.known) this.forget(c);
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

  /** The server counts nothing as unseen in the broadcast; the client does, from where it was read last on this device. */
  countBroadcast(c) {
    const last = c.lastMessage;
    if (c.readSeq === null && last) c.readSeq = last.seq;
    const loaded = [...c.messages.values()].filter((m) => m.seq > c.readSeq && m.sender_id !== this.me).length;
    c.unseen = last && last.seq > c.readSeq && last.sender_id !== this.me ? Math.max(1, loaded) : 0;
  }

  forget(c) {
    c.messages.clear();
    c.sorted = null;
  }

  /** Takes in the newest page, oldest first; `atStart` if there is nothing older. */
  applyNewest(key, messages, atStart) {
    const c = this.ensure(key);
    for (const message of messages) this.put(c, message);
    Object.assign(c, { floor: atStart ? 0 : messages[0].seq - 1, ceiling: Infinity, sorted: null });
    this.learn(c, messages);
    this.emit(key);
  }

  /** Takes in a page from anywhere: what is loaded is that page alone, from now on. */
  applyAround(key, messages, { atStart, atEnd }) {
    if (!messages.length) return this.applyNewest(key, [], true);
    const c = this.ensure(key);
    for (const message of messages) this.put(c, message);
    Object.assign(c, { floor: atStart ? 0 : messages[0].seq - 1, ceiling: atEnd ? Infinity : messages.at(-1).seq, sorted: null });
    this.learn(c, messages);
    return this.emit(key);
  }

  /** A page of a conversation that no list told of contains every change up to its latest one. */
  learn(c, messages) {
    if (c.known !== null) return;
    c.known = messages.reduce((most, m) => Math.max(most, m.update), 0);
    c.counted = Math.max(c.counted, c.known);
  }

  /** Takes in the page before the window. */
  applyOlder(key, messages, atStart) {
    const c = this.ensure(key);
    for (const message of messages) this.put(c, message);
    if (atStart) c.floor = 0;
    else if (messages.length) c.floor = Math.min(c.floor, messages[0].seq - 1);
    c.sorted = null;
    this.emit(key);
  }

  /** Takes in the page behind the window. */
  applyNewer(key, messages, atEnd) {
    const c = this.ensure(key);
    for (const message of messages) this.put(c, message);
    if (atEnd) c.ceiling = Infinity;
    else if (messages.length) c.ceiling = Math.max(c.ceiling, messages.at(-1).seq);
    c.sorted = null;
    this.emit(key);
  }

  /** Forgets loaded messages at one side (`older` or `newer`) until at most `most` are left. */
  trim(key, side, most) {
    const c = this.get(key);
    const shown = this.window(c);
    if (shown.length <= most) return;
    if (side === 'older') c.floor = shown[shown.length - most].seq - 1;
    else c.ceiling = shown[most - 1].seq;
    for (const [id, message] of c.messages) if (message.seq <= c.floor || message.seq > c.ceiling) c.messages.delete(id);
    c.sorted = null;
    this.emit(key);
  }

  /** Lowers the window of a conversation that the client reads by its change feed: the store has everything above `floor`. */
  lower(key, floor) {
    const c = this.ensure(key);
    c.floor = Math.min(c.floor, floor);
    c.sorted = null;
    this.emit(key);
  }

  /** Forgets the loaded messages, to load them again. */
  reset(key, known = null) {
    const c = this.ensure(key);
    this.forget(c);
    c.deleted.clear();
    Object.assign(c, { floor: Infinity, ceiling: Infinity, known });
    this.emit(key);
  }

  /** Stores a message, unless the store has a later state of it. */
  put(c, message) {
    if (message.conversation_id) this.ensure(c.key, { id: message.conversation_id });
    const old = c.messages.get(message.id);
    if (c.deleted.has(message.id) || (old && old.update > message.update)) return;
    // Live frames tell of a thread at its first message only when that message itself changes.
    const kept = old?.thread && !message.thread ? { ...message, thread: old.thread } : message;
    c.messages.set(message.id, kept);
    c.sorted = null;
    this.meet(message.sender);
  }

  /**
   * Takes in one change: a message, or `{ id, update, deleted_at }`. Returns `applied`; `known` if the store has it; `gap`
   * if earlier changes are missing (the store ignores it then); `unknown` if the store knows nothing of the conversation.
   */
  applyChange(key, entry) {
    const c = this.conversations.get(key);
    if (!c || c.known === null) {
      if (entry.update !== 1) return 'unknown';
      this.ensure(key).known = 0;
      return this.applyChange(key, entry);
    }
    if (entry.update <= c.known) return 'known';
    if (entry.update > c.known + 1) return 'gap';
    return this.applyChanges(key, [entry], entry.update);
  }

  /**
   * Takes in a page of the change feed that is complete up to the number `upTo`. Returns `applied`, or `list` if the store
   * cannot tell the last message or the unseen count, so that the client has to load the list.
   */
  applyChanges(key, entries, upTo) {
    const c = this.ensure(key);
    const base = c.counted;
    let outcome = 'applied';
    for (const entry of entries) {
      this.onChange?.(c, c.messages.get(entry.id) ?? null, entry);
      if (entry.deleted_at) {
        if (this.applyDeletion(c, entry)) outcome = 'list';
        continue;
      }
      if (c.deleted.has(entry.id)) continue;
      const isNew = entry.seq > base;
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
      if (isNew && entry.sender_id !== this.me) {
        c.unseen += 1;
        if (mentions(entry, this.me)) c.unseenMentions += 1;
      }
      if (isNew && entry.thread_id) this.countReply(c, entry.thread_id, 1, entry.created_at);
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

  /** Takes a message out; true if the list has to say what that leaves. */
  applyDeletion(c, entry) {
    const old = c.messages.get(entry.id);
    c.deleted.add(entry.id);
    c.messages.delete(entry.id);
    c.sorted = null;
    if (old?.thread_id) this.countReply(c, old.thread_id, -1);
    let isUnclear = c.unseen > 0 && c.kind !== 'broadcast' && old?.sender_id !== this.me;
    if (c.lastMessage?.id === entry.id) {
      c.lastMessage = isAtEnd(c) ? this.window(c).at(-1) ?? null : null;
      if (!c.lastMessage && c.floor !== 0) isUnclear = true;
    }
    return isUnclear;
  }

  /** The first message of a thread says how many replies there are; live clients count. */
  countReply(c, root, by, at) {
    const first = c.messages.get(root);
    if (!first) return;
    const replies = Math.max(0, (first.thread?.replies ?? 0) + by);
    c.messages.set(root, { ...first, thread: replies ? { replies, last_reply_at: at ?? first.thread?.last_reply_at } : undefined });
    c.sorted = null;
  }

  /**
   * The user has read up to that `seq`, here or on another device. False if the loaded messages do not suffice to count the
   * rest.
   */
  readUpTo(key, seq) {
    const c = this.get(key);
    if (!c || (c.readSeq ?? -1) >= seq) return true;
    const from = c.readSeq;
    c.readSeq = seq;
    if (c.unseen === 0) return true;
    const theirs = (m) => m.sender_id !== this.me && m.seq > (from ?? 0);
    if (c.lastMessage && seq >= c.lastMessage.seq) {
      Object.assign(c, { unseen: 0, unseenMore: false, unseenMentions: 0 });
    } else if (isLoaded(c) && isAtEnd(c) && c.floor <= seq) {
      const after = this.window(c).filter((m) => m.seq > seq && theirs(m));
      Object.assign(c, { unseen: c.unseenMore ? after.length : Math.min(c.unseen, after.length), unseenMore: false });
      c.unseenMentions = Math.min(c.unseenMentions, after.filter((m) => mentions(m, this.me)).length);
    } else if (isLoaded(c) && from !== null && c.floor <= from && !c.unseenMore) {
      const passed = this.window(c).filter((m) => m.seq <= seq && theirs(m));
      c.unseen = Math.max(1, c.unseen - passed.length);
    } else {
      this.emit(key);
      return false;
    }
    this.emit(key);
    return true;
  }

  /** The `seq` of the first unseen message, as far as what is loaded tells; `null` if there is none or it isn't known. */
  firstUnseen(key) {
    const c = this.get(key);
    if (!c || c.unseen === 0 || !isLoaded(c)) return null;
    const theirs = this.window(c).filter((m) => m.sender_id !== this.me);
    if (c.readSeq !== null) return theirs.find((m) => m.seq > c.readSeq)?.seq ?? null;
    return isAtEnd(c) && theirs.length >= c.unseen ? theirs[theirs.length - c.unseen].seq : null;
  }

  /** Somebody has seen one of the user's own messages, and all earlier ones. */
  seen(key, seq) {
    const c = this.get(key);
    if (!c || c.seenUpTo >= seq) return;
    c.seenUpTo = seq;
    this.emit(key);
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

