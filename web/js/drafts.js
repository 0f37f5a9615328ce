// What the user has written and not sent, a record for each conversation or thread.

/**
 * @typedef {{ key: string, content: string, reply?: object, edit?: { id: string, content: string }, at: number }} Draft
 */

const isBlank = (draft) => !draft.content.trim() && !draft.reply && !draft.edit;

export class Drafts {
  /** `onChange(key)` is called when a draft changed, here or in another tab. */
  constructor({ journal, onChange = () => {}, now = Date.now }) {
    Object.assign(this, { journal, onChange, now });
    /** @type {Map<string, Draft>} */
    this.drafts = new Map();
    this.saving = new Map();
    journal.watch((store) => store === 'drafts' && this.load());
  }

  /** Reads what earlier pages and other tabs have left. What is being saved here is newer. */
  async load() {
    const found = new Map((await this.journal.all('drafts')).map((draft) => [draft.key, draft]));
    for (const key of new Set([...this.drafts.keys(), ...found.keys()])) {
      if (this.saving.has(key)) continue;
      const [old, now] = [this.drafts.get(key), found.get(key)];
      if (old?.at === now?.at) continue;
      if (now) this.drafts.set(key, now);
      else this.drafts.delete(key);
      this.onChange(key);
    }
  }

  /** @param {string} key @returns {Draft | undefined} */
  get(key) {
    return this.drafts.get(key);
  }

  /** Replaces parts of a draft; a blank one goes. */
  set(key, parts) {
    const draft = { key, content: '', ...this.drafts.get(key), ...parts, at: this.now() };
    const gone = isBlank(draft);
    if (gone && !this.drafts.has(key)) return;
    if (gone) this.drafts.delete(key);
    else this.drafts.set(key, draft);
    this.onChange(key);
    this.save(key);
  }

  remove(key) {
    this.set(key, { content: '', reply: undefined, edit: undefined });
  }

  /** Writes the present state of a draft; one write at a time, and the last state always. */
  save(key) {
    if (this.saving.has(key)) {
      this.saving.set(key, true);
      return;
    }
    this.saving.set(key, false);
    const draft = this.drafts.get(key);
    const write = draft ? this.journal.put('drafts', draft) : this.journal.remove('drafts', key);
    write.catch(() => {}).then(() => {
      const again = this.saving.get(key);
      this.saving.delete(key);
      if (again) this.save(key);
    });
  }
}
