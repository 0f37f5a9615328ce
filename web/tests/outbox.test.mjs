import assert from 'node:assert/strict';
import test from 'node:test';
import { ApiError } from '../js/api.js';
import { Outbox } from '../js/outbox.js';
import { Timers, settled } from './fixtures.mjs';

/** An outbox whose deliveries wait until the test answers them. */
function outbox(more = {}) {
  const calls = [];
  const timers = new Timers();
  let ids = 0;
  const box = new Outbox({
    send: (entry) => new Promise((resolve, reject) => calls.push({ id: entry.client_id, content: entry.content, resolve, reject })),
    newId: () => `k${(ids += 1)}`,
    timers,
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
  calls[0].reject(new ApiError(0));
  await settled();
  box.nudge();
  assert.equal(calls.length, 2);
  assert.deepEqual(timers.waits, []);
});

test('what is refused says why, lets the others pass, and can be tried again or given up', async () => {
  const { box, calls } = outbox();
  box.add({ key: 'u:a', content: '1' });
  box.add({ key: 'u:a', content: '2' });
  calls[0].reject(new ApiError(403, { error: 'no' }));
  await settled();
  assert.deepEqual(states(box), ['1:failed', '2:sending']);
  assert.equal(box.of('u:a')[0].error, 'no');
  calls[1].resolve();
  await settled();
  box.retry('k1');
  assert.deepEqual([calls.at(-1).id, ...states(box)], ['k1', '1:sending']);
  box.discard('k1');
  assert.deepEqual(states(box), ['1:sending'], 'what is under way can’t be given up');
  calls.at(-1).reject(new ApiError(404));
  await settled();
  box.discard('k1');
  assert.deepEqual(states(box), []);
});

test('text outlives the page, files do not', async () => {
  let saved = [];
  const { box } = outbox({ save: (entries) => (saved = JSON.parse(JSON.stringify(entries))) });
  box.add({ key: 'u:a', content: 'text', reply_to: 'm1' });
  box.add({ key: 'u:a', content: 'caption', file: { name: 'a.png' } });
  assert.deepEqual(saved, [{ key: 'u:a', content: 'text', reply_to: 'm1', client_id: 'k1' }]);
  const later = outbox({ load: () => saved });
  later.box.start();
  assert.deepEqual(later.calls.map((call) => [call.id, call.content]), [['k1', 'text']]);
});
