import assert from 'node:assert/strict';
import test from 'node:test';
import { userKey } from '../js/conversation.js';
import { Drafts } from '../js/drafts.js';
import { DraftSync } from '../js/draftsync.js';
import { MemoryJournal } from '../js/journal.js';
import { Store } from '../js/store.js';
import { ME, Timers, listed, settled } from './fixtures.mjs';

const KEY = userKey('bob');

async function device() {
  const store = new Store(ME);
  store.applyList([listed(1, { settings: { notify: 'all', archived: false, favourite: false } })], { first: true, more: false, mark: 0 });
  const timers = new Timers();
  const asked = [];
  const api = { putDraft: async (id, { content }) => void asked.push(content), deleteDraft: async () => void asked.push(null) };
  let clock = 1000;
  const drafts = new Drafts({ journal: new MemoryJournal(), onChange: (key) => sync.changed(key), now: () => (clock += 1) });
  const sync = new DraftSync({ api, store, drafts, timers });
  return { drafts, sync, timers, asked };
}

test('a draft outlives the page, with what it answers; a blank one goes', async () => {
  const journal = new MemoryJournal();
  const drafts = new Drafts({ journal });
  drafts.set(KEY, { content: 'half', reply: { id: 'm1' } });
  drafts.set(KEY, { content: 'half a thought' });
  await settled();
  const later = new Drafts({ journal });
  await later.load();
  assert.deepEqual([later.get(KEY).content, later.get(KEY).reply.id], ['half a thought', 'm1']);
  later.remove(KEY);
  await settled();
  assert.deepEqual(await journal.all('drafts'), []);
});

test('the server is told after a pause, once, and when the draft is gone', async () => {
  const { drafts, timers, asked } = await device();
  for (const content of ['h', 'he', 'hello']) drafts.set(KEY, { content });
  drafts.set(`${KEY}/thread`, { content: 'not this' });
  await timers.advance(1200);
  drafts.set(KEY, { content: '' });
  await timers.advance(1200);
  assert.deepEqual(asked, ['hello', null]);
});

test('what another device wrote shows here, and what is sent there goes here', async () => {
  const { drafts, sync, timers, asked } = await device();
  sync.apply(KEY, { content: 'from the phone', updated_at: '2026-01-01T00:00:00Z' });
  assert.equal(drafts.get(KEY).content, 'from the phone');
  sync.apply(KEY, null);
  assert.equal(drafts.get(KEY), undefined);
  await timers.advance(5000);
  assert.deepEqual(asked, []);
});

test('what is written here and not told is not taken away', async () => {
  const { drafts, sync, timers } = await device();
  drafts.set(KEY, { content: 'mine' });
  sync.apply(KEY, null);
  sync.apply(KEY, { content: 'theirs', updated_at: '2030-01-01T00:00:00Z' });
  assert.equal(drafts.get(KEY).content, 'mine');
  await timers.advance(1200);
  drafts.drafts.get(KEY).at = Date.parse('2031-01-01T00:00:00Z');
  drafts.drafts.get(KEY).content = 'mine, longer';
  sync.apply(KEY, { content: 'older', updated_at: '2030-01-01T00:00:00Z' });
  assert.equal(drafts.get(KEY).content, 'mine, longer');
});
