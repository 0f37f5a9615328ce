// Keeps the store in step with the server: takes in events, fills gaps by the change feed, loads pages.

import { EVERYONE, groupKey, isAtEnd, keyOf, userKey } from './conversation.js';

/** How long the client shows somebody as typing after the last event. */
const TYPING_LASTS = 6000;
/** A client that missed more changes of a conversation than this loads its newest page instead. */
const TOO_MANY = 1000;
const PAGE = 50;

export class Sync {
  constructor({ api, store, onMembers = () => {}, onDropped = () => {}, onNumber = () => {}, onDraft = () => {}, now = Date.now, timers = globalThis }) {
    Object.assign(this, { api, store, onMembers, onDropped, onNumber, onDraft, now, timers });
    /** Events that arrived before the list. */
    this.early = [];
    this.ready = false;
    this.greeted = false;
    this.nextPage = null;
    /** Conversations that are behind: their key, and the greatest number that the client knows to exist. */
    this.behind = new Map();
    this.filling = new Set();
    this.loading = new Map();
  }

  /** Takes in one event of the live connection. */
  applyFrame(frame) {
    if (frame.event === 'hello') return this.hello();
    if (!this.ready) return void this.early.push(frame);
    const { data } = frame;
    const key = this.store.keys.get(frame.conversation_id);
    switch (frame.event) {
      case 'message.created':
      case 'message.updated':
        this.applyMessage(data);
        return this.onNumber(this.store.keys.get(frame.conversation_id), frame);
      case 'message.deleted':
        if (!key) return this.refreshSoon();
        this.applyChange(key, { id: data.id, update: frame.update, deleted_at: 'now' });
        return this.onNumber(key, frame);
      case 'message.seen':
        return this.applySeen(key, data);
      case 'conversation.read':
        return this.applyRead(key, data);
      case 'typing':
        return this.applyTyping(frame, key, data);
      case 'presence':
        return this.store.presence(data.user_id, data.online);
      case 'group.updated':
        return this.store.groupChanged(data);
      case 'group.deleted':
        this.onDropped(groupKey(data.id), 'deleted');
        return this.store.drop(groupKey(data.id));
      case 'member.added':
      case 'member.updated':
      case 'member.removed':
        return this.applyMember(frame.event, data);
      case 'conversation.settings':
        return key ? this.applySettings(key, data) : this.refreshSoon();
      case 'conversation.draft':
        return key ? this.applyDraft(key, data.draft) : undefined;
      case 'conversation.unread':
        return this.refreshSoon();
      case 'resync':
        return key ? this.fill(key) : this.catchUp();
      default:
        // Every number has to be counted, those of events to come too: the feed says what it was.
        return key && frame.update ? this.fill(key, frame.update) : undefined;
    }
  }

  hello() {
    // Nobody told this client who went offline while it was away.
    this.store.online.clear();
    // From the first `hello` on the client misses nothing; after later ones the server replays what it missed.
    if (!this.greeted) this.catchUp();
    else for (const key of this.behind.keys()) this.fill(key);
    this.greeted = true;
  }

  /** Loads everything again that the client may have missed: the list, and the changes of what is loaded. */
  catchUp() {
    this.refreshSoon();
    for (const c of this.store.conversations.values()) if (this.store.isLoaded(c)) this.fill(c.key);
  }

  /** Takes in a message as it is now, from an event or from the answer to a call of this client. */
  applyMessage(message) {
    const key = keyOf(message, this.store.me);
    this.store.ensure(key, { id: message.conversation_id });
    this.applyChange(key, message);
    this.introduce(key, message);
  }

  applyChange(key, entry) {
    const outcome = this.store.applyChange(key, entry);
    if (outcome === 'gap') this.fill(key, entry.update);
    if (outcome === 'unknown' || outcome === 'list') this.refreshSoon();
  }

  /** Loads the other side of a conversation that is new to this client. */
  async introduce(key, message) {
    const c = this.store.get(key);
    if (!c || c.user || c.group || key === EVERYONE) return;
    if (c.kind === 'direct' && message.sender_id !== this.store.me) {
      this.store.ensure(key, { user: message.sender });
      this.store.emit(key);
      return;
    }
    await this.meet(key).catch(() => this.refreshSoon());
  }

  /** Loads the user or group that a key names. */
  async meet(key) {
    if (key === EVERYONE) return;
    const id = key.slice(2);
    const who = key.startsWith('g:') ? { group: await this.api.group(id) } : { user: await this.api.user(id) };
    this.store.ensure(key, who);
    this.store.emit(key);
  }

  applySeen(key, { message_id: id, user_id: user }) {
    if (!key) return;
    const c = this.store.get(key);
    if (user === this.store.me) {
      if (c.unseen > 0) this.refreshSoon();
      return;
    }
    this.seenByOthers(key, id);
  }

  applyRead(key, { up_to: id, user_id: user }) {
    if (user !== this.store.me) return void (key && this.seenByOthers(key, id));
    const c = this.store.get(key);
    const place = c && (c.messages.get(id) ?? (c.lastMessage?.id === id ? c.lastMessage : null));
    if (!place || !this.store.readUpTo(key, place.seq)) this.refreshSoon();
  }

  applySettings(key, settings) {
    this.store.get(key).settings = settings;
    this.store.emit(key);
    this.store.emit(null);
  }

  applyDraft(key, draft) {
    this.store.get(key).draft = draft;
    this.onDraft(key, draft);
    this.store.emit(key);
  }

  seenByOthers(key, id) {
    const c = this.store.get(key);
    const message = c.messages.get(id) ?? (c.lastMessage?.id === id ? c.lastMessage : null);
    if (message) this.store.seen(key, message.seq);
  }

  applyTyping(frame, key, { user_id: user, username }) {
    if (user === this.store.me) return;
    const where = key ?? userKey(user);
    // A user who types is online, though `presence` may not have said so.
    if (!this.store.online.get(user)) this.store.presence(user, true);
    this.store.typing(where, user, username, this.now() + TYPING_LASTS);
  }

  async applyMember(event, { group_id: group, user_id: user, role }) {
    const key = groupKey(group);
    const gone = event === 'member.removed';
    this.onMembers(group);
    if (user !== this.store.me) {
      if (event !== 'member.updated' && this.store.get(key)) await this.regroup(key);
      return;
    }
    if (event === 'member.updated') return void this.store.membership(group, role);
    if (gone) {
      this.onDropped(key, 'removed');
      this.store.membership(group, null);
    }
    else this.refreshSoon();
    if (this.store.get(key)) await this.regroup(key);
  }

  /** Loads the current state of a group. */
  async regroup(key) {
    try {
      this.store.groupChanged(await this.api.group(key.slice(2)));
    } catch (error) {
      if (error.status === 404) this.store.drop(key);
    }
  }

  /** Loads the first page of the list, a moment from now: many events ask for it at once. */
  refreshSoon() {
    this.timers.clearTimeout(this.soon);
    this.soon = this.timers.setTimeout(() => this.refresh(), 250);
  }

  async refresh() {
    const mark = this.store.mark();
    let page;
    try {
      page = await this.api.conversations();
    } catch (error) {
      if (error.passing) this.soon = this.timers.setTimeout(() => this.refresh(), 2000 + error.retryAfter * 1000);
      return;
    }
    this.listed(page, { first: true, mark });
    this.nextPage = page.next;
    this.ready = true;
    for (const frame of this.early.splice(0)) this.applyFrame(frame);
  }

  /** Loads the next page of the list. */
  async more() {
    if (!this.nextPage) return;
    const path = this.nextPage;
    this.nextPage = null;
    try {
      const page = await this.api.conversations(path);
      this.listed(page, { first: false, mark: this.store.mark() });
      this.nextPage = page.next;
    } catch {
      this.nextPage = path;
    }
  }

  listed(page, how) {
    for (const key of this.store.applyList(page.items, { ...how, more: page.next !== null })) this.fill(key);
    for (const item of page.items) if (item.draft) this.onDraft(this.store.keys.get(item.id), item.draft);
  }

  /** Reads the change feed until nothing is missing up to `wanted`, and to its end. */
  async fill(key, wanted = 0) {
    this.behind.set(key, Math.max(wanted, this.behind.get(key) ?? 0));
    const c = this.store.get(key);
    if (!c?.id || c.known === null || this.filling.has(key)) return;
    this.filling.add(key);
    try {
      if (this.behind.get(key) - c.known > TOO_MANY && c.kind !== 'broadcast') {
        this.store.reset(key);
        await this.newest(key);
        this.refreshSoon();
      } else {
        for (let more = true; more;) {
          const before = c.known;
          const page = await this.api.changes(c.id, before);
          if (this.store.applyChanges(key, page.messages, page.update) === 'list') this.refreshSoon();
          more = page.more || (c.known < this.behind.get(key) && page.update > before);
        }
      }
      this.behind.delete(key);
    } catch (error) {
      if (error.status === 404) {
        this.behind.delete(key);
        this.store.drop(key);
      } else if (error.passing) {
        this.timers.setTimeout(() => this.behind.has(key) && this.fill(key), 2000 + error.retryAfter * 1000);
      }
    } finally {
      this.filling.delete(key);
    }
  }

  /**
   * Loads a conversation where the user stopped reading: around the first unseen message, or the newest page.
   */
  open(key) {
    const c = this.store.ensure(key);
    const isFar = key !== EVERYONE && (c.unseen > PAGE || c.unseenMore);
    return isFar ? this.around(key, 'unseen') : this.newest(key);
  }

  /** Loads the newest page of a conversation, once at a time. */
  newest(key) {
    return this.once(`newest ${key}`, async () => {
      const c = this.store.ensure(key);
      if (key === EVERYONE) return this.backwards(c, c.known ?? 0);
      const { items, next } = await this.api.messages(key);
      this.store.applyNewest(key, items, next === null);
      return this.ticks(key);
    });
  }

  /** Loads the page around a message, or around the first `unseen` one. */
  around(key, id) {
    return this.once(`around ${key} ${id}`, async () => {
      const { items, next, prev } = await this.api.messages(key, { around: id });
      const c = this.store.ensure(key);
      this.store.applyAround(key, items, { atStart: prev === null, atEnd: next === null });
      if (id === 'unseen' && c.readSeq === null) {
        // It is in the middle; near an end the page is filled up from the other side.
        const first = items[Math.min(items.length - 1, prev === null ? 0 : PAGE >> 1)];
        if (first) c.readSeq = first.seq - 1;
      }
      return this.ticks(key);
    });
  }

  /** Loads the page before what is loaded. */
  older(key) {
    return this.once(`older ${key}`, async () => {
      const c = this.store.get(key);
      if (!c || !this.store.isLoaded(c) || this.store.atStart(c)) return undefined;
      if (key === EVERYONE) return this.backwards(c, c.floor);
      const [first] = this.store.window(c);
      if (!first) return this.store.lower(key, 0);
      const { items, next } = await this.api.messages(key, { before: first.id });
      return this.store.applyOlder(key, items, next === null);
    });
  }

  /** Loads the page behind what is loaded. */
  newer(key) {
    return this.once(`newer ${key}`, async () => {
      const c = this.store.get(key);
      if (!c || !this.store.isLoaded(c) || isAtEnd(c)) return undefined;
      const last = this.store.window(c).at(-1);
      if (!last) return this.newest(key);
      const { items, next } = await this.api.messages(key, { after: last.id });
      return this.store.applyNewer(key, items, next === null);
    });
  }

  /**
   * The broadcast has no pages by message, but its change feed has the same messages: above `floor` it contains those that
   * were sent above `floor` and have not changed since, and the client knows those that have changed.
   */
  async backwards(c, from) {
    const floor = Math.max(0, from - PAGE);
    if (c.id) {
      for (let after = floor, more = true; more && after < (c.known ?? 0);) {
        const page = await this.api.changes(c.id, after);
        for (const entry of page.messages) {
          if (entry.deleted_at) c.deleted.add(entry.id);
          else this.store.put(c, entry);
        }
        more = page.more;
        after = page.update;
      }
    }
    c.known ??= 0;
    this.store.lower(c.key, floor);
  }

  /**
   * Finds the newest of the user's own messages that others have seen. A user who saw one saw those before it, so a few
   * requests are enough.
   */
  async ticks(key) {
    const c = this.store.get(key);
    if (!c || key === EVERYONE || key === userKey(this.store.me)) return;
    const own = this.store.window(c).filter((m) => m.sender_id === this.store.me && m.seq > c.seenUpTo);
    const isSeen = async (message) => (await this.api.receipts(message.id)).length > 0;
    try {
      let [seen, unseen] = [-1, own.length];
      for (let probe = own.length - 1; seen + 1 < unseen; probe = (seen + unseen) >> 1) {
        if (await isSeen(own[probe])) seen = probe;
        else unseen = probe;
      }
      if (seen >= 0) this.store.seen(key, own[seen].seq);
    } catch {
      // Ticks are not essential: the next event brings them up to date.
    }
  }

  async once(name, load) {
    if (!this.loading.has(name)) {
      const loading = load().finally(() => this.loading.delete(name));
      this.loading.set(name, loading);
    }
    return this.loading.get(name);
  }
}
