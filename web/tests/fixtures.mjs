// Messages and a clock that only moves when it is told to.

export const ME = 'me';

/** A message in the conversation with `bob`, unless told otherwise. */
export function message(seq, more = {}) {
  const sender = more.sender_id ?? 'bob';
  return {
    id: `m${seq}`, conversation_id: 'c1', kind: 'direct', sender_id: sender, sender: { id: sender, username: sender, display_name: sender },
    receiver_id: sender === ME ? 'bob' : ME, type: 'text', content: `text ${seq}`, seq, update: seq, created_at: `2026-01-01T00:00:${String(seq).padStart(2, '0')}.000000Z`, ...more,
  };
}

export const mine = (seq, more = {}) => message(seq, { sender_id: ME, ...more });
export const tombstone = (seq, update) => ({ id: `m${seq}`, conversation_id: 'c1', seq, update, deleted_at: 'then' });

/** An entry of the list of conversations. */
export function listed(update, more = {}) {
  return { id: 'c1', kind: 'direct', user: { id: 'bob', username: 'bob', display_name: 'Bob' }, last_message: update ? message(update) : null, unseen_count: 0, update, updated_at: `2026-01-01T00:00:${String(update).padStart(2, '0')}.000000Z`, ...more };
}

export class Timers {
  constructor() {
    this.now = 0;
    this.due = new Map();
    this.last = 0;
    this.setTimeout = (work, wait = 0) => {
      this.last += 1;
      this.due.set(this.last, { at: this.now + wait, work });
      return this.last;
    };
    this.clearTimeout = (id) => void this.due.delete(id);
  }

  /** How long until each thing that waits. */
  get waits() {
    return [...this.due.values()].map(({ at }) => at - this.now).sort((a, b) => a - b);
  }

  async advance(by) {
    this.now += by;
    for (const [id, { at, work }] of [...this.due].sort(([, a], [, b]) => a.at - b.at)) {
      if (at > this.now || !this.due.has(id)) continue;
      this.due.delete(id);
      work();
      await settled();
    }
    await settled();
  }
}

/** Lets everything run that waits for nothing but promises. */
export async function settled() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
