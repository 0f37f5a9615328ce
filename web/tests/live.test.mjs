import assert from 'node:assert/strict';
import test from 'node:test';
import { Live, pause } from '../js/live.js';
import { Timers } from './fixtures.mjs';

function live() {
  const sockets = [];
  const seen = { frames: [], states: [], signedOut: 0, refused: 0 };
  class Socket {
    constructor(url, protocols) {
      Object.assign(this, { url, protocols, sent: [], readyState: 1 });
      sockets.push(this);
    }
    send(text) { this.sent.push(JSON.parse(text)); }
    close() { this.readyState = 3; }
    say(frame) { this.onmessage({ data: JSON.stringify(frame) }); }
    cut(code = 1006) { this.onclose({ code }); }
  }
  const timers = new Timers();
  const connection = new Live({
    url: 'ws://host/ws', token: () => 'T', socket: Socket, timers, random: () => 1,
    onFrame: (frame) => seen.frames.push(frame.event),
    onState: (state) => seen.states.push(state),
    onSignedOut: () => (seen.signedOut += 1),
    onRefused: () => (seen.refused += 1),
  });
  connection.start();
  return { connection, sockets, seen, timers };
}

const hello = (cursor) => ({ event: 'hello', cursor, data: { user_id: 'me', heartbeat_seconds: 25 } });

test('it resumes after the last event that was taken in', async () => {
  const { sockets, seen, timers } = live();
  assert.deepEqual([sockets[0].url, sockets[0].protocols], ['ws://host/ws', ['parlance.v1', 'bearer.T']]);
  sockets[0].say(hello('c1'));
  sockets[0].say({ event: 'message.created', cursor: 'c 2', data: {} });
  sockets[0].say({ event: 'pong' });
  sockets[0].cut();
  await timers.advance(500);
  assert.equal(sockets[1].url, 'ws://host/ws?since=c%202');
  assert.deepEqual(seen.frames, ['hello', 'message.created']);
  assert.deepEqual(seen.states, ['online', 'connecting']);
  assert.equal(seen.refused, 0);
});

test('an event that could not be taken in is asked for again', async () => {
  const { connection, sockets, timers } = live();
  sockets[0].say(hello('c1'));
  connection.onFrame = () => { throw new Error('a fault of ours'); };
  assert.throws(() => sockets[0].say({ event: 'message.created', cursor: 'c2' }));
  sockets[0].cut();
  await timers.advance(500);
  assert.match(sockets[1].url, /since=c1$/);
});

test('the pauses grow, differ, and have an end', () => {
  assert.deepEqual([0, 1, 2, 6, 40].map((n) => pause(n, () => 1)), [500, 1000, 2000, 30_000, 30_000]);
  assert.deepEqual([0, 40].map((n) => pause(n, () => 0)), [250, 15_000]);
});

test('an ended session is not tried again', async () => {
  const { sockets, seen, timers } = live();
  sockets[0].say(hello('c1'));
  sockets[0].cut(4401);
  await timers.advance(60_000);
  assert.deepEqual([sockets.length, seen.signedOut], [1, 1]);
});

test('what fails before it opens is told, since the browser does not say why', async () => {
  const { sockets, seen, timers } = live();
  sockets[0].cut();
  await timers.advance(500);
  sockets[1].cut();
  assert.deepEqual([seen.refused, timers.waits[0]], [2, 1000]);
});

test('a connection that is silent after a ping is given up', async () => {
  const { sockets, seen, timers } = live();
  sockets[0].say(hello('c1'));
  await timers.advance(25_000);
  assert.deepEqual(sockets[0].sent, [{ op: 'ping' }]);
  sockets[0].say({ event: 'pong' });
  await timers.advance(25_000);
  await timers.advance(10_000);
  assert.equal(sockets[0].readyState, 3);
  await timers.advance(500);
  assert.equal(sockets.length, 2);
  assert.deepEqual(seen.states, ['online', 'connecting']);
});
