// Messages on their way to the server. Each entry has a `client_id`, under which the server stores it once however often
// the client sends it. So the client sends every entry again until it gets an answer. It sends the entries of a
// conversation one after the other, in order.

import { pause } from './live.js';

export class Outbox {
  /**
   * `send(entry)` resolves once the server has stored it, or rejects with an ApiError. `load()` and `save(entries)` keep
   * entries without files over a reload of the page. The outbox calls `onChange(key)` after every change.
   */
  constructor({ send, onChange = () => {}, load = () => [], save = () => {}, newId = () => crypto.randomUUID(), timers = globalThis, random = Math.random }) {
    Object.assign(this, { deliver: send, onChange, save, newId, timers, random });
    this.entries = load().map((entry) => ({ ...entry, state: 'waiting', failures: 0 }));
    this.busy = new Set();
    this.pauses = new Map();
    this.stopped = false;
  }

  /** Sends the entries that an earlier page left. */
  start() {
    for (const key of new Set(this.entries.map((entry) => entry.key))) this.next(key);
  }

  stop() {
    this.stopped = true;
    for (const timer of this.pauses.values()) this.timers.clearTimeout(timer);
  }

  /** Takes in a message: `{ key, content, reply_to?, file? }`, `file` being a File of the browser. */
  add(message) {
    const entry = { ...message, client_id: this.newId(), state: 'waiting', failures: 0, progress: 0, error: '' };
    this.entries.push(entry);
    this.changed(entry.key);
    this.next(entry.key);
    return entry;
  }

  of(key) {
    return this.entries.filter((entry) => entry.key === key);
  }

  /** Tries a refused entry again. */
  retry(clientId) {
    const entry = this.entries.find((other) => other.client_id === clientId);
    if (!entry || entry.state !== 'failed') return;
    Object.assign(entry, { state: 'waiting', failures: 0, error: '' });
    this.changed(entry.key);
    this.next(entry.key);
  }

  /** Drops an entry that is not being sent. */
  discard(clientId) {
    const entry = this.entries.find((other) => other.client_id === clientId);
    if (!entry || entry.state === 'sending') return;
    this.remove(entry);
    this.next(entry.key);
  }

  /** Sends entries that wait for a retry at once, for when the connection is back. */
  nudge() {
    for (const [key, timer] of [...this.pauses]) {
      this.timers.clearTimeout(timer);
      this.pauses.delete(key);
      this.next(key);
    }
  }

  remove(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
    this.changed(entry.key);
  }

  changed(key) {
    this.save(this.entries.filter((entry) => !entry.file).map(({ key, content, reply_to, client_id }) => ({ key, content, reply_to, client_id })));
    this.onChange(key);
  }

  async next(key) {
    if (this.stopped || this.busy.has(key) || this.pauses.has(key)) return;
    const entry = this.entries.find((other) => other.key === key && other.state === 'waiting');
    if (!entry) return;
    this.busy.add(key);
    entry.state = 'sending';
    this.changed(key);
    try {
      await this.deliver(entry);
      this.remove(entry);
    } catch (error) {
      if (error.passing) {
        const wait = Math.max(error.retryAfter * 1000, pause(entry.failures, this.random));
        Object.assign(entry, { state: 'waiting', failures: entry.failures + 1, error: error.message });
        this.pauses.set(key, this.timers.setTimeout(() => {
          this.pauses.delete(key);
          this.next(key);
        }, wait));
      } else {
        Object.assign(entry, { state: 'failed', error: error.message });
      }
      this.changed(key);
    } finally {
      this.busy.delete(key);
    }
    this.next(key);
  }
}
