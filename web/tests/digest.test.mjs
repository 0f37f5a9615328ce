import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { Digest, sha256, share } from '../js/digest.js';
import { newId } from '../js/ids.js';

const hex = (bytes) => Buffer.from(bytes).toString('hex');

test('SHA-256 is that of everybody', () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 1000]) {
    const bytes = new Uint8Array(length).fill(length);
    assert.equal(hex(sha256(bytes)), createHash('sha256').update(bytes).digest('hex'));
  }
});

test('a message adds the hash of its id, numbers, state and content', () => {
  const id = '01890a5d-ac96-774b-bcce-b302099a8057';
  const numbers = Buffer.alloc(16);
  numbers.writeBigUInt64BE(3n, 0);
  numbers.writeBigUInt64BE(7n, 8);
  const whole = (state, text) => createHash('sha256').update(Buffer.concat([Buffer.from(id.replaceAll('-', ''), 'hex'), numbers, Buffer.from([state]), createHash('sha256').update(text).digest()])).digest('hex');
  assert.equal(share({ id, seq: 3, update: 7, content: 'ä' }).toString(16).padStart(64, '0'), whole(1, 'ä'));
  assert.equal(share({ id, seq: 3, update: 7, deleted_at: 'then' }).toString(16).padStart(64, '0'), whole(0, ''));
});

test('a change replaces what the message added before', () => {
  const old = { id: newId(), seq: 1, update: 1, content: 'a' };
  const now = { ...old, update: 2, content: 'b' };
  const digest = new Digest({ update: 0, digest: '0'.repeat(64) });
  digest.apply(null, old);
  digest.apply(old, now);
  assert.equal(digest.sum, share(now));
  assert.equal(digest.short, share(now).toString(16).padStart(64, '0').slice(0, 16));
});

test('ids are UUIDs, without what pages over plain http lack', () => {
  const { randomUUID } = crypto;
  crypto.randomUUID = undefined;
  try {
    assert.match(newId(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.notEqual(newId(), newId());
  } finally {
    crypto.randomUUID = randomUUID;
  }
});
