import assert from 'node:assert/strict';
import test from 'node:test';
import { userKey } from '../js/conversation.js';
import { share } from '../js/digest.js';
import { newId } from '../js/ids.js';
import { Proof } from '../js/proof.js';
import { Store } from '../js/store.js';
import { ME, listed, message } from './fixtures.mjs';

const KEY = userKey('bob');
const ids = Array.from({ length: 5 }, newId);
const at = (seq, more) => message(seq, { id: ids[seq], ...more });
const sum = (...states) => states.reduce((total, state) => (total + share(state)) % (1n << 256n), 0n).toString(16).padStart(64, '0');

async function watched() {
  const store = new Store(ME);
  store.applyList([listed(1, { last_message: at(1) })], { first: true, more: false, mark: 0 });
  store.applyNewest(KEY, [at(1)], true);
  const repaired = [];
  const proof = new Proof({ store, api: { digest: async () => ({ update: 1, digest: sum(at(1)) }) }, onRepair: (key) => repaired.push(key) });
  await proof.watch(KEY);
  const take = (entry, digest) => {
    store.applyChange(KEY, entry);
    proof.check(KEY, { update: entry.update, digest: digest.slice(0, 16) });
  };
  return { proof, repaired, take };
}

test('each event is compared with what the client has: new, edited, deleted', async () => {
  const { proof, repaired, take } = await watched();
  const edited = at(1, { update: 3, content: 'other' });
  take(at(2), sum(at(1), at(2)));
  take(edited, sum(edited, at(2)));
  take({ id: ids[2], update: 4, deleted_at: 'now' }, sum(edited, { id: ids[2], seq: 2, update: 4, deleted_at: 'now' }));
  assert.deepEqual([proof.tallies.get(KEY), repaired], [{ verified: 3, repaired: 0 }, []]);
});

test('a difference is repaired', async () => {
  const { proof, repaired, take } = await watched();
  take(at(2, { content: 'not what was sent' }), sum(at(1), at(2)));
  assert.deepEqual([proof.tallies.get(KEY).repaired, repaired, proof.digests.has(KEY)], [1, [KEY], false]);
});

test('what can’t be followed is not judged', async () => {
  const { proof, repaired, take } = await watched();
  take({ id: newId(), update: 2, deleted_at: 'now' }, sum(at(1)));
  assert.deepEqual([proof.tallies.size, repaired], [0, []]);
});
