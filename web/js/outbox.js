// Messages and edits on their way to the server. Each entry has a `client_id`, under which the server stores a message once
// however often it is sent. So an entry is sent again until there is an answer. The entries of a conversation leave one after
// the other, in order; files, which take long, leave beside the texts.
//
// The journal has a record for each entry: it outlives the page, and any tab may send it. Only the tab that holds the lock of
// a conversation sends, so that the order stays; without locks (browsers keep them from pages over plain http) two tabs may
// send the same entry, which the server stores once.

import { newId as randomId } from './ids.js';
import { pause } from './live.js';

/** What of an entry is kept in the journal. */
const KEPT = ['client_id', 'key', 'at', 'kind', 'content', 'reply_to', 'thread_id', 'forward', 'message_id', 'file', 'stored', 'state', 'error'];

const lane = (entry) => (entry.file ? `${entry.key} files` : entry.key);
const inOrder = (a, b) => a.at - b.at || (a.client_id < b.client_id ? -1 : 1);

export class Outbox {
  /**
   * `send(entry)` resolves once the server has it, or rejects with an ApiError. `lock(name, work)` runs `work` while no other
   * tab has the lock of that name. `onChange(key)` is called after every change.
   */
  constructor({ journal, send, onChange = () => {}, lock = (name, work) => work(), newId = randomId, timers = globalThis, random = Math.random, now = Date.now }) {
    Object.assign(this, { journal, deliver: send, onChange, lock, newId, timers, random, now });
    this.entries = [];
    this.busy = new Set();
    this.pauses = new Map();
    this.stopped = false;
    this.last = 0;
    journal.watch((store) => store === 'outbox' && this.load());
  }

  /** Takes over what other pages have left or changed. */
  async load() {
    const records = await this.journal.all('outbox');
    const known = new Map(this.entries.map((entry) => [entry.client_id, entry]));
    const keys = new Set();
    for (const record of records) {
      const entry = known.get(record.client_id);
      known.delete(record.client_id);
      if (!entry) this.entries.push({ failures: 0, progress: 0, error: '', ...record, state: record.state === 'failed' ? 'failed' : 'waiting', isSaved: true });
      else if (entry.state === 'waiting' && record.state === 'failed') Object.assign(entry, { state: 'failed', error: record.error });
      else if (entry.state === 'failed' && record.state === 'waiting') Object.assign(entry, { state: 'waiting', error: '' });
      else continue;
      keys.add(record.key);
    }
    // What another tab has sent or discarded.
    for (const entry of known.values()) {
      if (!entry.isSaved || entry.state === 'sending') continue;
      this.entries = this.entries.filter((other) => other !== entry);
      keys.add(entry.key);
    }
    this.entries.sort(inOrder);
    for (const key of keys) this.onChange(key);
    if (!this.stopped) for (const entry of this.entries) this.next(lane(entry));
  }

  stop() {
    this.stopped = true;
    for (const timer of this.pauses.values()) this.timers.clearTimeout(timer);
  }

  /**
   * Takes in a message `{ key, content, reply_to?, thread_id?, file?, forward? }`, or an edit `{ kind: 'edit', key, message_id,
   * content }`; an edit replaces one of the same message that waits.
   */
  add(message) {
    if (message.kind === 'edit') {
      const old = this.entries.find((entry) => entry.kind === 'edit' && entry.message_id === message.message_id && entry.state !== 'sending');
      if (old) this.remove(old);
    }
    this.last = Math.max(this.last + 1, this.now());
    const entry = { kind: 'send', ...message, client_id: this.newId(), at: this.last, state: 'waiting', failures: 0, progress: 0, error: '', isSaved: false };
    this.entries.push(entry);
    entry.saving = this.save(entry);
    this.onChange(entry.key);
    this.next(lane(entry));
    return entry;
  }

  async save(entry) {
    try {
      await this.journal.put('outbox', Object.fromEntries(KEPT.filter((name) => entry[name] !== undefined).map((name) => [name, name === 'state' && entry.state === 'sending' ? 'waiting' : entry[name]])));
      entry.isSaved = true;
    } catch {
      // No room: it is sent all the same, from memory.
      entry.isSaved = false;
    }
  }

  /** The messages of a conversation that wait, those of its threads too. */
  of(key) {
    return this.entries.filter((entry) => entry.key === key && entry.kind !== 'edit');
  }

  /** The edit of a message that waits. */
  editOf(messageId) {
    return this.entries.find((entry) => entry.kind === 'edit' && entry.message_id === messageId);
  }

  /** Whether something would be lost with this page. */
  get isFragile() {
    return this.entries.some((entry) => !entry.isSaved && entry.state !== 'failed');
  }

  find(clientId) {
    return this.entries.find((entry) => entry.client_id === clientId);
  }

  /** Tries a refused entry again. */
  retry(clientId) {
    const entry = this.find(clientId);
    if (entry?.state !== 'failed') return;
    Object.assign(entry, { state: 'waiting', failures: 0, error: '' });
    this.save(entry);
    this.onChange(entry.key);
    this.next(lane(entry));
  }

  /** Drops an entry that is not being sent; an upload is broken off. */
  discard(clientId) {
    const entry = this.find(clientId);
    if (!entry) return;
    if (entry.state === 'sending') {
      entry.abort?.abort();
      return;
    }
    this.remove(entry);
    this.next(lane(entry));
  }

  /** Sends entries that wait for a retry at once, for when the connection is back. */
  nudge() {
    for (const [name, timer] of [...this.pauses]) {
      this.timers.clearTimeout(timer);
      this.pauses.delete(name);
      this.next(name);
    }
  }

  /** An event brought the user's own message before the answer did: it is not shown twice in between. */
  arrived(key, message) {
    const entry = this.entries.find((one) => one.kind !== 'edit' && one.state === 'sending' && !one.arrived && one.key === key
      && (one.stored ? one.stored.id === message.file_id : one.content === message.content) && (one.reply_to ?? null) === (message.reply_to ?? null));
    if (entry) entry.arrived = true;
  }

  remove(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
    Promise.resolve(entry.saving).then(() => this.journal.remove('outbox', entry.client_id)).catch(() => {});
    this.onChange(entry.key);
  }

  async next(name) {
    const first = () => this.entries.find((entry) => entry.state === 'waiting' && lane(entry) === name);
    if (this.stopped || this.busy.has(name) || this.pauses.has(name) || !first()) return;
    this.busy.add(name);
    try {
      await this.lock(`outbox ${name}`, async () => {
        const entry = first();
        if (entry && !this.stopped) await this.hand(entry, name);
      });
    } finally {
      this.busy.delete(name);
    }
    this.next(name);
  }

  /** Hands one entry to the server, unless another tab has. */
  async hand(entry, name) {
    await entry.saving;
    if (entry.isSaved && !(await this.journal.get('outbox', entry.client_id))) {
      this.entries = this.entries.filter((other) => other !== entry);
      this.onChange(entry.key);
      return;
    }
    entry.state = 'sending';
    entry.abort = new AbortController();
    this.onChange(entry.key);
    try {
      await this.deliver(entry);
      this.remove(entry);
    } catch (error) {
      if (error.name === 'AbortError') return void this.remove(entry);
      if (error.passing) {
        const wait = Math.max(error.retryAfter * 1000, pause(entry.failures, this.random));
        Object.assign(entry, { state: 'waiting', failures: entry.failures + 1, error: error.message });
        this.pauses.set(name, this.timers.setTimeout(() => {
          this.pauses.delete(name);
          this.next(name);
        }, wait));
      } else {
        Object.assign(entry, { state: 'failed', error: error.message });
        this.save(entry);
      }
      this.onChange(entry.key);
    }
    return undefined;
  }
}
