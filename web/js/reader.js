// Tells the server what the user has read: up to the last message that was before their eyes.

/** While somebody scrolls, the server is told at most this often (milliseconds). */
const EVERY = 600;

export class Reader {
  constructor({ api, store, onFailure = () => {}, onRead = () => {}, timers = globalThis }) {
    Object.assign(this, { api, store, onFailure, onRead, timers });
    /** Key to the message to tell of next. */
    this.due = new Map();
    this.busy = new Set();
  }

  /** A message of the conversation is before the reader's eyes, and so were those above it. */
  reached(key, message) {
    const c = this.store.get(key);
    if (!c?.id || !message || (c.kind === 'group' && !c.group?.role)) return;
    if ((c.readSeq ?? -1) >= message.seq && c.unseen === 0) return;
    if (c.readSeq !== null && c.readSeq >= message.seq) return;
    const before = c.unseen;
    const counted = this.store.readUpTo(key, message.seq);
    this.onRead(key, message.seq);
    if (before === 0 || c.kind === 'broadcast') return;
    this.due.set(key, message.id);
    if (!counted) this.onFailure();
    if (!this.busy.has(key)) this.tell(key);
  }

  async tell(key) {
    this.busy.add(key);
    while (this.due.has(key)) {
      const id = this.due.get(key);
      this.due.delete(key);
      try {
        await this.api.read(this.store.get(key)?.id, id);
      } catch {
        this.onFailure();
      }
      await new Promise((resolve) => this.timers.setTimeout(resolve, EVERY));
    }
    this.busy.delete(key);
  }
}
