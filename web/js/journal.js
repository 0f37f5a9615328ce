// What must outlive the page: unsent messages, unfinished edits, drafts, marks. One record for each thing, so that two tabs
// never overwrite each other. It is in IndexedDB, which keeps files too, and is told to the other tabs by a channel.

/** The kinds of records, and the field that names a record. */
const STORES = { outbox: 'client_id', drafts: 'key', marks: 'key' };

const asked = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** Keeps records in memory: for browsers without IndexedDB, and for tests. */
export class MemoryJournal {
  constructor() {
    this.records = new Map(Object.keys(STORES).map((name) => [name, new Map()]));
    this.listeners = new Set();
  }

  async all(store) { return [...this.records.get(store).values()]; }

  async get(store, id) { return this.records.get(store).get(id); }

  async put(store, record) { this.records.get(store).set(record[STORES[store]], record); }

  async remove(store, id) { this.records.get(store).delete(id); }

  /** Tells the other tabs that a kind of records changed. */
  announce() {}

  /** Calls `listener(store)` when another tab announced a change. */
  watch(listener) { this.listeners.add(listener); }

  close() {}
}

/** Keeps records in IndexedDB. */
export class Journal {
  constructor(database, name) {
    this.database = database;
    this.channel = globalThis.BroadcastChannel ? new BroadcastChannel(name) : null;
  }

  /**
   * Opens the journal of that name; where the browser has no database for this page, one in memory.
   * @param {string} name
   */
  static async open(name) {
    try {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => {
        for (const [store, keyPath] of Object.entries(STORES)) request.result.createObjectStore(store, { keyPath });
      };
      return new Journal(await asked(request), name);
    } catch {
      return new MemoryJournal();
    }
  }

  run(store, mode, work) {
    const transaction = this.database.transaction(store, mode);
    const answer = asked(work(transaction.objectStore(store)));
    if (mode === 'readonly') return answer;
    return new Promise((resolve, reject) => {
      answer.catch(reject);
      transaction.oncomplete = () => resolve(undefined);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }

  all(store) { return this.run(store, 'readonly', (records) => records.getAll()); }

  get(store, id) { return this.run(store, 'readonly', (records) => records.get(id)); }

  async put(store, record) {
    await this.run(store, 'readwrite', (records) => records.put(record));
    this.announce(store);
  }

  async remove(store, id) {
    await this.run(store, 'readwrite', (records) => records.delete(id));
    this.announce(store);
  }

  announce(store) { this.channel?.postMessage(store); }

  watch(listener) { this.channel?.addEventListener('message', ({ data }) => listener(data)); }

  close() {
    this.channel?.close();
    this.database.close();
  }
}
