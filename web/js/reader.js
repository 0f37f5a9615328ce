// Tells the server what the user has read.

export class Reader {
  constructor({ api, store, onFailure = () => {} }) {
    Object.assign(this, { api, store, onFailure });
    this.busy = new Set();
  }

  /** The newest message of the conversation is before the reader's eyes. */
  async reached(key) {
    const c = this.store.get(key);
    if (!c?.id || c.unseen === 0 || this.busy.has(key) || (c.kind === 'group' && !c.group?.role)) return;
    const shown = this.store.window(c);
    const newest = shown[shown.length - 1];
    if (!newest) return;
    this.busy.add(key);
    this.store.readAll(key);
    try {
      await this.api.read(c.id, newest.id);
    } catch {
      this.onFailure();
    } finally {
      this.busy.delete(key);
    }
    // Messages that arrived in the meantime.
    if (c.unseen > 0) this.reached(key);
  }
}
