// Runs the scenarios with the TypeScript client, and says `ok NAME` of each. Arguments: the URLs of the server, of the
// proxy, and of the proxy's control.

import assert from 'node:assert/strict';
import { ApiError, Client, Rest, leafOf } from '../typescript/dist/index.js';

const [server, proxy, control] = process.argv.slice(2);
const PATIENCE = 20_000;
const password = 'correct horse battery';
const fault = (name) => fetch(`${control}/${name}`, { method: 'POST' });

/** Resolves once `holds()` is true; looks again at every event of the client. */
function until(client, what, holds) {
  if (holds()) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const names = ['message', 'deleted', 'fault', 'repaired', 'state', 'unknown', 'frame'];
    const offs = names.map((name) => client.on(name, () => queueMicrotask(look)));
    const timer = setTimeout(() => done(() => reject(new Error(`not within ${PATIENCE} ms: ${what}`))), PATIENCE);
    const done = (act) => {
      clearTimeout(timer);
      for (const off of offs) off();
      act();
    };
    const look = () => holds() && done(resolve);
  });
}

async function person(name, url = server) {
  const username = `${name}_${Math.random().toString(36).slice(2, 10)}`;
  const { user } = await new Rest({ url: server }).call('post', '/signup', { body: { username, password } });
  return { user, username, rest: await Rest.logIn({ url }, username, password) };
}

/** Ada watches through the proxy, by one client; Bob acts on the server itself. */
async function world() {
  const [ada, bob] = [await person('ada', proxy), await person('bob')];
  const client = new Client({ rest: ada.rest, history: Infinity });
  const seen = { texts: [], deleted: [], faults: [], repaired: [], unknown: [] };
  const latest = new Map();
  client.on('message', ({ message }) => {
    seen.texts.push(message.content);
    latest.set(message.id, message);
  });
  client.on('deleted', ({ id }) => {
    seen.deleted.push(id);
    latest.delete(id);
  });
  client.on('fault', ({ kind }) => seen.faults.push(kind));
  client.on('repaired', (repaired) => seen.repaired.push(repaired));
  client.on('unknown', ({ event }) => seen.unknown.push(event));
  await client.start();
  const say = (content) => bob.rest.call('post', '/messages', { body: { receiver_id: ada.user.id, content } });
  const first = await say('first');
  await until(client, 'the first message', () => seen.texts.includes('first'));
  return { ada, bob, client, seen, latest, say, id: first.conversation_id };
}

/** What the client has is what the server has, to the digest of all messages. */
async function equal({ client, bob, latest, id }) {
  assert.equal(await client.verify(id), true, 'the client finds itself equal');
  const { digest, update } = await bob.rest.call('get', '/conversations/{id}/digest', { path: { id } });
  const ledger = client.sync.ledgers.get(id);
  assert.equal(ledger.known, update);
  assert.equal(ledger.sum.toString(16).padStart(64, '0'), digest);
  // The texts that a program got, and not only the hashes in the ledger.
  const { messages } = await bob.rest.call('get', '/conversations/{id}/changes', {
    path: { id },
    query: { limit: 200 },
  });
  const live = messages.filter((message) => !message.deleted_at);
  assert.deepEqual([...latest.values()].map(leafOf).sort(), live.map(leafOf).sort());
}

/** A fault in a frame: the client says which, repairs itself and says so. */
async function faulty(name, kind, more) {
  const all = await world();
  const { client, seen, say } = all;
  await until(client, 'the proof', () => client.sync.ledgers.get(all.id).sum !== null);
  assert.deepEqual(seen.faults, []);
  await fault(name);
  for (const text of ['one', 'two', 'three']) await say(text);
  await until(client, `the fault "${kind}"`, () => seen.faults.includes(kind));
  await until(client, 'all messages', () => ['one', 'two', 'three'].every((text) => seen.texts.includes(text)));
  if (more.repaired) await until(client, 'the repair', () => seen.repaired.length > 0);
  await equal(all);
  if (more.once) assert.deepEqual(seen.texts, ['first', 'one', 'two', 'three']);
  if (more.numbers)
    assert.deepEqual(
      seen.repaired.flatMap((repaired) => repaired.numbers),
      more.numbers,
    );
  client.stop();
}

const scenarios = {
  async 'sign-up-and-login'() {
    const { rest, username } = await person('eve', proxy);
    assert.equal((await rest.call('get', '/me')).username, username);
    await assert.rejects(
      Rest.logIn({ url: proxy }, username, 'wrong password'),
      (error) => error instanceof ApiError && error.status === 401,
    );
  },
  async 'send-and-receive'() {
    const all = await world();
    const { client, seen, bob } = all;
    const sent = await client.send({ receiver_id: bob.user.id, content: 'hello — 你好 🙂' });
    assert.equal(sent.seq, 2);
    await until(client, 'its own message', () => seen.texts.includes('hello — 你好 🙂'));
    assert.deepEqual(seen.faults, []);
    await equal(all);
    client.stop();
  },
  async 'idempotent-retry'() {
    const { client, bob } = await world();
    const body = { receiver_id: bob.user.id, content: 'once', client_id: 'the-same' };
    const [first, again] = [await client.send(body), await client.send(body)];
    assert.equal(first.id, again.id);
    await assert.rejects(client.send({ ...body, content: 'another' }), (error) => error.status === 409);
    assert.equal(client.outbox.list()[0].failed.code, 'conflict');
    client.stop();
  },
  async 'lost-answer'() {
    const all = await world();
    const { client, seen, bob } = all;
    await fault('lose');
    const texts = ['a', 'b', 'c'];
    const sent = await Promise.all(texts.map((content) => client.send({ receiver_id: bob.user.id, content })));
    assert.deepEqual(
      sent.map((message) => message.seq),
      [2, 3, 4],
    );
    await until(client, 'its own messages', () => seen.texts.length === 4);
    assert.deepEqual(seen.texts, ['first', ...texts]);
    await equal(all);
    client.stop();
  },
  async 'cut-and-resumed'() {
    const all = await world();
    const { client, seen, say } = all;
    const expected = ['first'];
    await fault('cut');
    for (let i = 0; i < 20; i += 1) expected.push((await say(`while away ${i}`)).content);
    await fault('mend');
    client.live.nudge();
    await until(client, 'what it missed', () => seen.texts.length >= 21);
    expected.push((await say('after')).content);
    await until(client, 'what came after', () => seen.texts.includes('after'));
    assert.deepEqual(seen.texts, expected);
    assert.deepEqual(seen.faults, []);
    await equal(all);
    client.stop();
  },
  dropped: () => faulty('drop', 'gap', { repaired: true, once: true }),
  doubled: () => faulty('double', 'repeat', { once: true }),
  reordered: () => faulty('swap', 'gap', { repaired: true, once: true }),
  altered: () => faulty('alter', 'digest', { repaired: true, numbers: [2] }),
  async 'last-one-dropped'() {
    const all = await world();
    const { client, seen, say, id } = all;
    await fault('drop');
    await say('the last one');
    assert.equal(await client.verify(id), true);
    assert.deepEqual(seen.texts, ['first', 'the last one']);
    await equal(all);
    client.stop();
  },
  async 'unknown-event'() {
    const all = await world();
    const { client, seen, say } = all;
    await fault('rename');
    await say('by an event of tomorrow');
    await say('by one of today');
    await until(
      client,
      'both',
      () => seen.texts.includes('by an event of tomorrow') && seen.texts.includes('by one of today'),
    );
    assert.deepEqual(seen.unknown, ['message.sparkled']);
    await equal(all);
    assert.ok(!seen.faults.includes('gap'));
    client.stop();
  },
  async 'edit-and-delete'() {
    const all = await world();
    const { client, seen, latest, bob, say } = all;
    const [kept, gone] = [await say('draft'), await say('a mistake')];
    await bob.rest.call('put', '/messages/{id}', { path: { id: kept.id }, body: { content: 'final' } });
    await bob.rest.call('delete', '/messages/{id}', { path: { id: gone.id } });
    await until(client, 'both changes', () => seen.deleted.includes(gone.id) && seen.texts.includes('final'));
    assert.equal(latest.get(kept.id).content, 'final');
    assert.ok(latest.get(kept.id).edited_at);
    assert.deepEqual(seen.faults, []);
    await equal(all);
    client.stop();
  },
  async reactions() {
    const all = await world();
    const { client, seen, latest, ada, bob, say } = all;
    const { id } = await say('like it?');
    await until(client, 'the message', () => latest.has(id));
    await ada.rest.call('put', '/messages/{id}/reactions/{emoji}', { path: { id, emoji: '👍' } });
    await bob.rest.call('put', '/messages/{id}/reactions/{emoji}', { path: { id, emoji: '❤️' } });
    await until(client, 'both reactions', () => latest.get(id).reactions?.length === 2);
    assert.deepEqual(
      latest.get(id).reactions.map(({ emoji, count }) => [emoji, count]),
      [
        ['👍', 1],
        ['❤️', 1],
      ],
    );
    assert.deepEqual(seen.faults, []);
    await equal(all);
    client.stop();
  },
  async 'token-renewal'() {
    const { ada, client, seen, say } = await world();
    const { session } = ada.rest;
    const before = { ...session.tokens };
    // A token that has run out by this machine's clock: however many calls need one, it is renewed once.
    session.tokens.ends_at = Date.now();
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => ada.rest.call('get', '/me')));
    assert.ok(answers.every(({ id }) => id === ada.user.id));
    assert.notEqual(session.tokens.refresh_token, before.refresh_token);
    // A token that the server refuses, for a request and for a connection.
    session.tokens.token = `${session.tokens.token.slice(0, -4)}AAAA`;
    assert.equal((await ada.rest.call('get', '/me')).id, ada.user.id);
    client.live.cut();
    await say('after a renewal');
    await until(client, 'a message after it', () => seen.texts.includes('after a renewal'));
    // An ended session says so.
    const signedOut = new Promise((resolve) => client.on('signedOut', resolve));
    await ada.rest.call('post', '/logout');
    await signedOut;
    await assert.rejects(ada.rest.call('get', '/me'), (error) => error.status === 401);
  },
};

for (const [name, run] of Object.entries(scenarios)) {
  if (process.env.ONLY && process.env.ONLY !== name) continue;
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAILED ${name}`);
    console.error(error);
    process.exitCode = 1;
  }
}
process.exit();
