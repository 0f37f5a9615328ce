import assert from 'node:assert/strict';
import test from 'node:test';
import { ApiError } from '../js/api.js';
import { EVERYONE, userKey } from '../js/conversation.js';
import { Store } from '../js/store.js';
import { Sync } from '../js/sync.js';
import { ME, Timers, listed, message, mine, settled, tombstone } from './fixtures.mjs';

const KEY = userKey('bob');

/** A client before a server that answers from `pages` and tells what it was asked. */
async function client(answers = {}) {
  const asked = [];
  const api = new Proxy({}, { get: (_, name) => async (...rest) => {
    asked.push([name, ...rest].join(' '));
    const answer = answers[name];
    return typeof answer === 'function' ? answer(...rest) : answer;
  } });
  answers.conversations ??= { items: [listed(2)], next: null };
  answers.messages ??= { items: [message(1), message(2)], next: null };
  answers.receipts ??= [];
  const store = new Store(ME);
  const timers = new Timers();
  const sync = new Sync({ api, store, timers, now: () => timers.now });
  await sync.refresh();
  await sync.newest(KEY);
  asked.length = 0;
  const created = (m) => sync.applyFrame({ event: 'message.created', conversation_id: 'c1', update: m.update, data: m });
  return { answers, asked, store, sync, timers, created };
}

const shown = (store) => store.window(store.get(KEY)).map((m) => `${m.id}.${m.update}`);

test('a gap is filled by the change feed, once, and to its end', async () => {
  const { answers, asked, store, created } = await client();
  const pages = [{ update: 4, messages: [message(3), message(4)], more: true }, { update: 6, messages: [tombstone(1, 5), message(6)], more: false }];
  answers.changes = () => pages.shift();
  created(message(5, { update: 5 }));
  created(message(6));
  await settled();
  assert.deepEqual(asked.filter((call) => call.startsWith('changes')), ['changes c1 2', 'changes c1 4']);
  assert.deepEqual(shown(store), ['m2.2', 'm3.3', 'm4.4', 'm6.6']);
});

test('a gap that cannot be filled now is filled later', async () => {
  const { answers, store, timers, created } = await client();
  answers.changes = () => { throw new ApiError(503, {}, 3); };
  created(message(4));
  await settled();
  answers.changes = { update: 4, messages: [message(3), message(4)], more: false };
  await timers.advance(5000);
  assert.deepEqual(shown(store), ['m1.1', 'm2.2', 'm3.3', 'm4.4']);
});

test('a conversation that may no longer be seen goes', async () => {
  const { answers, store, created } = await client();
  answers.changes = () => { throw new ApiError(404); };
  created(message(9));
  await settled();
  assert.equal(store.get(KEY), undefined);
});

test('events that come before the list wait for it', async () => {
  const store = new Store(ME);
  const sync = new Sync({ api: { conversations: async () => ({ items: [listed(2)], next: null }) }, store, timers: new Timers() });
  sync.applyFrame({ event: 'message.created', conversation_id: 'c1', update: 3, data: message(3) });
  assert.equal(store.get(KEY), undefined);
  await sync.refresh();
  assert.equal(store.get(KEY).lastMessage.id, 'm3');
  assert.equal(store.get(KEY).unseen, 1);
});

test('a resync of everything asks for the list and for what is loaded', async () => {
  const { answers, asked, store, sync, timers } = await client();
  answers.changes = { update: 3, messages: [message(2, { update: 3 })], more: false };
  sync.applyFrame({ event: 'resync', data: { reason: 'too far behind' } });
  await timers.advance(300);
  assert.deepEqual([...asked].sort(), ['changes c1 2', 'conversations']);
  assert.deepEqual(shown(store), ['m1.1', 'm2.3']);
});

test('a resync of one conversation asks for its changes only', async () => {
  const { answers, asked, sync } = await client();
  answers.changes = { update: 2, messages: [], more: false };
  sync.applyFrame({ event: 'resync', conversation_id: 'c1', data: { reason: 'slow' } });
  await settled();
  assert.deepEqual(asked, ['changes c1 2']);
});

test('the broadcast is read backwards by its change feed without holes', async () => {
  // 120 changes: message 10 was edited by change 115, and 30 was deleted by change 120.
  const feed = [];
  for (let seq = 1; seq <= 120; seq += 1) {
    if (seq === 115) feed.push(message(10, { update: 115, kind: 'broadcast', conversation_id: 'all' }));
    else if (seq === 120) feed.push({ ...tombstone(30, 120), conversation_id: 'all' });
    else if (seq !== 10 && seq !== 30) feed.push(message(seq, { kind: 'broadcast', conversation_id: 'all' }));
  }
  const changes = (_, after) => {
    const messages = feed.filter((entry) => entry.update > after).slice(0, 20);
    const update = messages.at(-1)?.update ?? 120;
    return { update, messages, more: update < 120 };
  };
  const { store, sync } = await client({ changes, conversations: { items: [listed(120, { id: 'all', kind: 'broadcast', user: undefined })], next: null } });
  await sync.newest(EVERYONE);
  const seqs = () => store.window(store.get(EVERYONE)).map((m) => m.seq);
  assert.deepEqual([seqs()[0], seqs().length], [71, 48]);
  await sync.older(EVERYONE);
  await sync.older(EVERYONE);
  const all = Array.from({ length: 120 }, (_, at) => at + 1).filter((seq) => ![30, 115, 120].includes(seq));
  assert.deepEqual(seqs(), all);
  assert.equal(store.atStart(store.get(EVERYONE)), true);
});

test('a few questions find how far one was read', async () => {
  const own = Array.from({ length: 40 }, (_, at) => mine(at + 1));
  const receipts = (id) => (Number(id.slice(1)) <= 17 ? [{ user_id: 'bob' }] : []);
  const { asked, store, sync } = await client({ messages: { items: own, next: null }, conversations: { items: [listed(40)], next: null }, receipts });
  assert.equal(store.get(KEY).seenUpTo, 17);
  await sync.ticks(KEY);
  assert.ok(asked.length <= 7, `${asked.length} questions`);
});

test('what others read up to is seen, and what one reads elsewhere is read', async () => {
  const own = [mine(1), mine(2), message(3, { sender_id: 'bob' })];
  const { store, sync } = await client({ messages: { items: own, next: null }, conversations: { items: [listed(3, { unseen_count: 1 })], next: null } });
  await sync.newest(KEY);
  const id = store.get(KEY).id;
  const read = (user, up_to) => sync.applyFrame({ event: 'conversation.read', conversation_id: id, data: { user_id: user, up_to } });
  read('bob', mine(1).id);
  assert.deepEqual([store.get(KEY).seenUpTo, store.get(KEY).unseen], [1, 1]);
  read('bob', 'unknown');
  assert.equal(store.get(KEY).seenUpTo, 1);
  read(store.me, message(3).id);
  assert.deepEqual([store.get(KEY).seenUpTo, store.get(KEY).unseen], [1, 0]);
});

test('somebody new is introduced by the message', async () => {
  const { store, sync } = await client();
  sync.applyFrame({ event: 'message.created', conversation_id: 'c2', update: 1, data: message(1, { id: 'e1', conversation_id: 'c2', sender_id: 'eve' }) });
  assert.equal(store.get(userKey('eve')).user.username, 'eve');
});
