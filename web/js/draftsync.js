// Keeps the draft of each conversation the same on all of the user's devices: the last one that was written wins, and what is
// being written here is never replaced. Drafts of threads, replies' context and unfinished edits stay on this device.

/** How long somebody has to pause before the server is told (milliseconds). */
const PAUSE = 1200;

export class DraftSync {
  constructor({ api, store, drafts, timers = globalThis }) {
    Object.assign(this, { api, store, drafts, timers });
    /** Key to the timer of what is yet to be told. */
    this.due = new Map();
    /** Key to the content that the server has, as far as this device knows. */
    this.told = new Map();
    this.isApplying = false;
  }

  /** Whether the server keeps drafts of that conversation for the user. */
  isKept(key) {
    const c = this.store.get(key);
    return Boolean(c?.id && c.settings?.notify);
  }

  /** A draft changed on this device. */
  changed(key) {
    if (this.isApplying || key.includes('/') || !this.isKept(key)) return;
    this.timers.clearTimeout(this.due.get(key));
    this.due.set(key, this.timers.setTimeout(() => this.tell(key), PAUSE));
  }

  async tell(key) {
    this.due.delete(key);
    const draft = this.drafts.get(key);
    const content = draft?.content.trim() ? draft.content : '';
    const known = this.told.get(key) ?? '';
    const { id } = this.store.get(key) ?? {};
    if (!id || content === known) return;
    this.told.set(key, content);
    try {
      await (content ? this.api.putDraft(id, { content, reply_to: draft.reply?.id }) : this.api.deleteDraft(id));
    } catch (error) {
      this.told.set(key, known);
      if (error.passing) this.changed(key);
    }
  }

  /** The server says what the draft is: written on another device, or gone because it was sent there. */
  apply(key, remote) {
    const content = remote?.content ?? '';
    const known = this.told.get(key);
    this.told.set(key, content);
    const local = this.drafts.get(key);
    if (this.due.has(key) || (local?.content ?? '') === content) return;
    // Text that the server never had is only replaced by what was written later.
    const isUntold = local?.content && local.content !== known;
    if (isUntold && (!remote || Date.parse(remote.updated_at) <= local.at)) return;
    this.isApplying = true;
    this.drafts.set(key, { content });
    this.isApplying = false;
  }

  stop() {
    for (const timer of this.due.values()) this.timers.clearTimeout(timer);
  }
}
