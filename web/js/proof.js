// Compares, at every event, what this client has with what the server says it has: the digest of the conversation. A
// difference is repaired by loading the conversation anew. It proves messages, their order and their contents; not files,
// reactions, pins or names.

import { Digest } from './digest.js';

export class Proof {
  /** `onRepair(key)` has to load the conversation again. */
  constructor({ api, store, onRepair }) {
    Object.assign(this, { api, store, onRepair });
    /** Key to the digest that this client keeps by itself. */
    this.digests = new Map();
    this.asking = new Set();
    /** Key to `{ verified, repaired }`: how many events matched, and how often they did not. */
    this.tallies = new Map();
    store.onChange = (c, old, entry) => this.follow(c, old, entry);
  }

  /** Begins with the server's word for a conversation that is open. */
  async watch(key) {
    const c = this.store.get(key);
    if (!c?.id || this.digests.has(key) || this.asking.has(key)) return;
    this.asking.add(key);
    try {
      const answer = await this.api.digest(c.id);
      // If something came meanwhile the numbers differ: the next event asks again.
      if (answer.update === c.known) this.digests.set(key, new Digest(answer));
    } catch {
      // Without a digest nothing can be compared; everything else goes on.
    } finally {
      this.asking.delete(key);
    }
  }

  unwatch(key) {
    this.digests.delete(key);
  }

  /** Follows one change, before the store has it. What is not known of the old message can't be followed. */
  follow(c, old, entry) {
    const digest = this.digests.get(c.key);
    if (!digest) return;
    const seq = entry.seq ?? old?.seq;
    const isNew = !old && seq > digest.update;
    if (seq === undefined || (!old && !isNew)) {
      this.digests.delete(c.key);
      return;
    }
    digest.apply(old, { ...entry, seq });
  }

  /** An event came and was taken in: the digest that it carries has to be the one of this client. */
  check(key, frame) {
    if (!key || !frame.digest) return;
    const digest = this.digests.get(key);
    if (!digest || digest.update !== frame.update) return;
    const tally = this.tallies.get(key) ?? { verified: 0, repaired: 0 };
    this.tallies.set(key, tally);
    if (digest.short === frame.digest) {
      tally.verified += 1;
      return;
    }
    tally.repaired += 1;
    this.digests.delete(key);
    this.onRepair(key);
  }
}
