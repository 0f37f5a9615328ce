import assert from 'node:assert/strict';
import test from 'node:test';
import { ApiError } from '../js/api.js';
import { MemoryJournal } from '../js/journal.js';
import { Outbox } from '../js/outbox.js';
import { Timers, settled } from './fixtures.mjs';

/** An outbox whose deliveries wait until the test answers them. */
function outbox(more = {}) {
  const calls = [];
  const timers = new Timers();
  let ids = 0;
  const box = new Outbox({
    journal: new MemoryJournal(),
    send: (entry) => new Promise((resolve, reject) => calls.push({ id: entry.client_id, content: entry.content, resolve, reject })),
    newId: () => `k${(ids += 1)}`,
    timers,
    now: () => 1,
    random: () => 1,
    ...more,
  });
  return { box, calls, timers };
}

const states = (box) => box.entries.map((entry) => `${entry.content}:${entry.state}`);

test('messages of one conversation leave in order, those of others beside them', async () => {
  const { box, calls } = outbox();
  box.add({ key: 'u:a', content: '1' });
  box.add({ key: 'u:a', content: '2' });
  box.add({ key: 'u:b', content: '3' });
  await settled();
  assert.deepEqual(calls.map((call) => call.content), ['1', '3']);
  calls[0].resolve();
  await settled();
  assert.deepEqual(calls.map((call) => call.content), ['1', '3', '2']);
  assert.deepEqual(states(box), ['2:sending', '3:sending']);
});

test('what may succeed later is sent again under the same key, after growing pauses', async () => {
  const { box, calls, timers } = outbox();
  box.add({ key: 'u:a', content: '1' });
  box.add({ key: 'u:a', content: '2' });
  await settled();
  const waits = [];
  for (const error of [new ApiError(0), new ApiError(503, {}, 7), new ApiError(500)]) {
    calls.at(-1).reject(error);
    await settled();
    waits.push(timers.waits[0]);
    await timers.advance(timers.waits[0]);
  }
  assert.deepEqual(waits, [500, 7000, 2000]);
  calls.at(-1).resolve();
  await settled();
  assert.deepEqual(calls.map((call) => call.id), ['k1', 'k1', 'k1', 'k1', 'k2']);
});

test('a connection that is back is used at once', async () => {
  const { box, calls, timers } = outbox();
  box.add({ key: 'u:a', content: '1' });
  await settled();
  calls[0].reject(new ApiError(0));
  await settled();
  box.nudge();
  await settled();
  assert.equal(calls.length, 2);
  assert.deepEqual(timers.waits, []);
});

test('what is refused says why, lets the others pass, and can be tried again or given up', async () => {
  const { box, calls } = outbox();
  box.add({ key: 'u:a', content: '1' });
  box.add({ key: 'u:a', content: '2' });
  await settled();
  calls[0].reject(new ApiError(403, { error: 'no' }));
  await settled();
  assert.deepEqual(states(box), ['1:failed', '2:sending']);
  assert.equal(box.of('u:a')[0].error, 'no');
  calls[1].resolve();
  await settled();
  box.retry('k1');
  await settled();
  assert.deepEqual([calls.at(-1).id, ...states(box)], ['k1', '1:sending']);
  box.discard('k1');
  assert.deepEqual(states(box), ['1:sending'], 'a text that is under way can’t be given up');
  calls.at(-1).reject(new ApiError(404));
  await settled();
  box.discard('k1');
  assert.deepEqual(states(box), []);
});

test('everything outlives the page: texts, files, edits, and that something was refused', async () => {
  const journal = new MemoryJournal();
  const { box, calls } = outbox({ journal });
  box.add({ key: 'u:a', content: 'refused' });
  await settled();
  calls[0].reject(new ApiError(403, { error: 'no' }));
  await settled();
  box.add({ key: 'u:a', content: 'text', reply_to: 'm1' });
  box.add({ key: 'u:a', content: 'caption', file: { name: 'a.png' } });
  box.add({ kind: 'edit', key: 'u:a', message_id: 'm2', content: 'better' });
  await settled();
  const later = outbox({ journal });
  await later.box.load();
  await settled();
  assert.deepEqual(states(later.box), ['refused:failed', 'text:sending', 'caption:sending', 'better:waiting']);
  assert.deepEqual([later.box.entries[0].error, later.box.entries[1].reply_to, later.box.entries[2].file.name, later.box.editOf('m2').content], ['no', 'm1', 'a.png', 'better']);
});

test('two tabs send each entry once, in order, and neither drops what the other has', async () => {
  const journal = new MemoryJournal();
  const locks = new Map();
  const lock = (name, work) => {
    const turn = (locks.get(name) ?? Promise.resolve()).then(work);
    locks.set(name, turn.catch(() => {}));
    return turn;
  };
  let ids = 0;
  const newId = () => `k${(ids += 1)}`;
  let clock = 0;
  const now = () => (clock += 1);
  const sent = [];
  const send = async (entry) => { sent.push(entry.content); };
  const [one, two] = [outbox({ journal, lock, newId, now, send }), outbox({ journal, lock, newId, now, send })];
  one.box.add({ key: 'u:a', content: '1' });
  two.box.add({ key: 'u:a', content: '2' });
  one.box.add({ key: 'u:a', content: '3' });
  await two.box.load();
  await one.box.load();
  await settled();
  await settled();
  assert.deepEqual([...sent].sort(), ['1', '2', '3']);
  assert.deepEqual([one.box.entries.length, two.box.entries.length, (await journal.all('outbox')).length], [0, 0, 0]);
});

test('an edit that waits is replaced by a later one', async () => {
  const { box } = outbox({ send: () => new Promise(() => {}) });
  box.add({ key: 'u:a', content: 'first' });
  await settled();
  box.add({ kind: 'edit', key: 'u:a', message_id: 'm1', content: 'a' });
  box.add({ kind: 'edit', key: 'u:a', message_id: 'm1', content: 'b' });
  assert.deepEqual(states(box), ['first:sending', 'b:waiting']);
});

test('an upload that is under way can be broken off, and what is written after it does not wait for it', async () => {
  const { box, calls } = outbox();
  box.add({ key: 'u:a', content: '', file: { name: 'big' } });
  box.add({ key: 'u:a', content: 'text' });
  await settled();
  assert.deepEqual(calls.map((call) => call.content), ['', 'text']);
  box.discard('k1');
  calls[0].reject(Object.assign(new Error('broken off'), { name: 'AbortError' }));
  await settled();
  assert.deepEqual(states(box), ['text:sending']);
});
