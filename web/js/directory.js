// The people of this server, to be found by any part of their name. The server itself finds by how a name begins.

/** Only so many are loaded (pages of 200); beyond, the server's own search helps. */
const PAGES = 5;
const FRESH = 20_000;

const folded = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

export class Directory {
  constructor({ api, store, now = Date.now }) {
    Object.assign(this, { api, store, now });
    this.users = [];
    this.loadedAt = -Infinity;
    this.loading = null;
  }

  /** Loads everybody, once in a while. */
  load() {
    if (this.now() - this.loadedAt < FRESH) return Promise.resolve();
    this.loading ??= this.fetch().finally(() => {
      this.loading = null;
    });
    return this.loading;
  }

  async fetch() {
    const users = [];
    let path = '/users?limit=200';
    for (let pages = 0; path && pages < PAGES; pages += 1) {
      const page = await this.api.page(path);
      users.push(...page.items);
      path = page.next;
    }
    for (const user of users) this.store.meet(user);
    Object.assign(this, { users, loadedAt: this.now() });
  }

  /** Those who have the text in their name or username; those who begin with it first. */
  async match(text) {
    await this.load();
    const wanted = folded(text.trim().replace(/^@/, ''));
    const names = (user) => [folded(user.display_name ?? ''), folded(user.username)];
    const rank = (user) => (names(user).some((name) => name.startsWith(wanted)) ? 0 : names(user).some((name) => name.split(/[\s._-]/).some((word) => word.startsWith(wanted))) ? 1 : 2);
    const found = this.users.filter((user) => names(user).some((name) => name.includes(wanted)));
    // The server knows who has just come, and those beyond what is loaded.
    if (wanted) {
      const known = new Set(found.map((user) => user.id));
      found.push(...(await this.api.users(text.trim())).filter((user) => !known.has(user.id)));
    }
    return found.sort((a, b) => rank(a) - rank(b) || a.username.localeCompare(b.username));
  }
}
