import assert from 'node:assert/strict';
import test from 'node:test';
import { EVERYONE, groupKey, keyOf, userKey } from '../js/conversation.js';
import { Store } from '../js/store.js';
import { ME, listed, message, mine, tombstone } from './fixtures.mjs';

const KEY = userKey('bob');
const ids = (store) => store.window(store.get(KEY)).map((m) => m.id);

function loaded(...messages) {
  const store = new Store(ME);
  store.applyList([listed(messages.length)], { first: true, more: false, mark: 0 });
  store.applyNewest(KEY, messages, true);
  return store;
}

test('a conversation is known by the other one, whoever writes', () => {
  assert.equal(keyOf(message(1), ME), KEY);
  assert.equal(keyOf(mine(1), ME), KEY);
  assert.equal(keyOf(mine(1, { receiver_id: ME }), ME), userKey(ME));
  assert.equal(keyOf(message(1, { kind: 'group', group_id: 'g' }), ME), groupKey('g'));
  assert.equal(keyOf(message(1, { kind: 'broadcast' }), ME), EVERYONE);
});

test('changes are taken in one after the other, and a gap is told and not taken in', () => {
  const store = loaded(message(1), message(2));
  assert.equal(store.applyChange(KEY, message(3)), 'applied');
  assert.equal(store.applyChange(KEY, message(5)), 'gap');
  assert.deepEqual(ids(store), ['m1', 'm2', 'm3']);
  assert.equal(store.applyChange(KEY, message(3)), 'known');
  assert.equal(store.applyChanges(KEY, [message(4), message(5)], 5), 'applied');
  assert.deepEqual(ids(store), ['m1', 'm2', 'm3', 'm4', 'm5']);
  assert.equal(store.get(KEY).known, 5);
});

test('a later state of a message wins in whatever order they come', () => {
  const store = loaded(message(1), message(2));
  const edited = message(1, { update: 3, content: 'new', edited_at: 'then' });
  assert.equal(store.applyChange(KEY, edited), 'applied');
  store.applyOlder(KEY, [message(1)], true);
  assert.equal(store.get(KEY).messages.get('m1').content, 'new');
});

test('what was deleted does not come back with a page that was asked for before', () => {
  const store = loaded(message(1), message(2));
  store.applyChange(KEY, tombstone(1, 3));
  store.applyOlder(KEY, [message(1)], true);
  assert.deepEqual(ids(store), ['m2']);
});

test('the last message moves to the one before when it is deleted', () => {
  const store = loaded(message(1), message(2));
  assert.equal(store.applyChange(KEY, tombstone(2, 3)), 'applied');
  assert.equal(store.get(KEY).lastMessage.id, 'm1');
  const bare = new Store(ME);
  bare.applyList([listed(2)], { first: true, more: false, mark: 0 });
  assert.equal(bare.applyChange(KEY, tombstone(2, 3)), 'list', 'nothing else is loaded: the list has to be asked');
});

test('each message of others counts once as unseen', () => {
  const store = loaded(message(1));
  store.applyChange(KEY, message(2));
  store.applyChange(KEY, mine(3));
  store.applyChange(KEY, message(2, { update: 4, content: 'edited' }));
  assert.equal(store.get(KEY).unseen, 1);
  assert.equal(store.unseenTotal, 1);
  // A gap whose first message was edited after the last: the feed orders by the change.
  store.applyChanges(KEY, [message(6), message(5, { update: 7 })], 7);
  assert.equal(store.get(KEY).unseen, 3);
});

test('what the list counted is not counted again by the feed that follows', () => {
  const store = loaded(message(1), message(2));
  const behind = store.applyList([listed(4, { unseen_count: 2 })], { first: true, more: false, mark: store.mark() });
  assert.deepEqual(behind, [KEY]);
  store.applyChanges(KEY, [message(3), message(4)], 4);
  assert.equal(store.get(KEY).unseen, 2);
  store.applyChange(KEY, message(5));
  assert.equal(store.get(KEY).unseen, 3);
});

test('a list that is older than what is known changes nothing', () => {
  const store = loaded(message(1), message(2));
  store.applyChange(KEY, message(3));
  store.applyList([listed(2)], { first: true, more: false, mark: store.mark() });
  assert.equal(store.get(KEY).lastMessage.id, 'm3');
  assert.equal(store.get(KEY).unseen, 1);
});

test('the first message ever makes a conversation; a later one of an unknown conversation needs the list', () => {
  const store = new Store(ME);
  assert.equal(store.applyChange(KEY, message(1)), 'applied');
  assert.equal(store.get(KEY).unseen, 1);
  assert.deepEqual(store.list().map((c) => c.key), [KEY]);
  assert.equal(store.applyChange(userKey('eve'), message(7)), 'unknown');
});

test('the server counts nothing in the broadcast: what is unseen is counted from where it was read here', () => {
  const store = new Store(ME);
  store.ensure(EVERYONE).readSeq = 3;
  const item = (seq) => ({ id: 'all', kind: 'broadcast', last_message: message(seq, { kind: 'broadcast' }), unseen_count: 0, update: seq, updated_at: '2026' });
  store.applyList([item(3)], { first: true, more: false, mark: 0 });
  assert.equal(store.unseenTotal, 0);
  store.applyChange(EVERYONE, message(4, { kind: 'broadcast' }));
  assert.equal(store.unseenTotal, 1);
  store.readUpTo(EVERYONE, 4);
  assert.equal(store.unseenTotal, 0);
});

test('a page from the middle is a window of its own, until it is joined to the end', () => {
  const store = new Store(ME);
  store.applyList([listed(60)], { first: true, more: false, mark: 0 });
  store.applyAround(KEY, [message(30), message(31)], { atStart: false, atEnd: false });
  store.applyChange(KEY, message(61));
  assert.deepEqual(ids(store), ['m30', 'm31']);
  assert.equal(store.get(KEY).lastMessage.id, 'm61');
  store.applyNewer(KEY, [message(32), message(33)], false);
  assert.deepEqual(ids(store), ['m30', 'm31', 'm32', 'm33']);
  store.applyNewer(KEY, [message(34), message(60)], true);
  assert.deepEqual(ids(store).slice(-3), ['m34', 'm60', 'm61']);
});

test('what is trimmed at one side is loaded again from there', () => {
  const store = loaded(...Array.from({ length: 10 }, (_, at) => message(at + 1)));
  store.trim(KEY, 'newer', 4);
  assert.deepEqual(ids(store), ['m1', 'm2', 'm3', 'm4']);
  store.applyNewer(KEY, [5, 6, 7, 8, 9, 10].map((seq) => message(seq)), true);
  store.trim(KEY, 'older', 3);
  assert.deepEqual(ids(store), ['m8', 'm9', 'm10']);
  assert.equal(store.atStart(store.get(KEY)), false);
});

test('replies are counted at the first message of their thread', () => {
  const store = loaded(message(1));
  store.applyChange(KEY, message(2, { thread_id: 'm1' }));
  store.applyChange(KEY, message(3, { thread_id: 'm1' }));
  assert.equal(store.get(KEY).messages.get('m1').thread.replies, 2);
  store.applyChange(KEY, tombstone(2, 4));
  assert.equal(store.get(KEY).messages.get('m1').thread.replies, 1);
});

test('mentions count beside what is unseen', () => {
  const store = loaded(message(1));
  store.applyChange(KEY, message(2, { mentions: [ME] }));
  store.applyChange(KEY, message(3, { mentions_all: true }));
  store.applyChange(KEY, message(4));
  assert.deepEqual([store.get(KEY).unseen, store.get(KEY).unseenMentions], [3, 2]);
  store.readUpTo(KEY, 2);
  assert.deepEqual([store.get(KEY).unseen, store.get(KEY).unseenMentions], [2, 1]);
});

test('the window hides what lies below a gap in what is loaded', () => {
  const store = new Store(ME);
  store.applyList([listed(60)], { first: true, more: false, mark: 0 });
  store.applyNewest(KEY, [message(59), message(60)], false);
  // An edit of a message far up comes by the feed: it is kept, and not shown before what lies between.
  store.applyChange(KEY, message(2, { update: 61 }));
  assert.deepEqual(ids(store), ['m59', 'm60']);
  store.applyOlder(KEY, [message(57), message(58)], false);
  assert.deepEqual(ids(store), ['m57', 'm58', 'm59', 'm60']);
  assert.equal(store.atStart(store.get(KEY)), false);
});

test('a page of a conversation that no list told of says how far it goes', () => {
  const store = new Store(ME);
  store.applyNewest(KEY, [message(8), message(9, { update: 11 })], false);
  assert.equal(store.get(KEY).known, 11);
  assert.equal(store.applyChange(KEY, message(12)), 'applied');
});

test('reading on another device leaves what came after', () => {
  const store = loaded(message(1));
  for (const seq of [2, 3, 4]) store.applyChange(KEY, message(seq));
  assert.equal(store.readUpTo(KEY, 3), true);
  assert.equal(store.get(KEY).unseen, 1);
  assert.equal(store.readUpTo(KEY, 4), true);
  assert.equal(store.get(KEY).unseen, 0);
});

test('what is missing in the first page has left the list, unless it came meanwhile', () => {
  const store = loaded(message(1));
  const mark = store.mark();
  store.applyChange(userKey('eve'), message(1, { id: 'e1', conversation_id: 'c2', sender_id: 'eve' }));
  store.applyList([], { first: true, more: false, mark });
  assert.deepEqual(store.list().map((c) => c.key), [userKey('eve')]);
});

test('ticks only move forward', () => {
  const store = loaded(mine(1), mine(2));
  store.seen(KEY, 2);
  store.seen(KEY, 1);
  assert.equal(store.get(KEY).seenUpTo, 2);
});

test('who writes is forgotten in time, and at once by what they wrote', () => {
  const store = loaded(message(1));
  store.typing(KEY, 'bob', 'bob', 6000);
  store.settle(5999);
  assert.equal(store.get(KEY).typing.size, 1);
  store.settle(6000);
  assert.equal(store.get(KEY).typing.size, 0);
  store.typing(KEY, 'bob', 'bob', 9000);
  store.applyChange(KEY, message(2));
  assert.equal(store.get(KEY).typing.size, 0);
});

test('leaving a group takes it out of the list and keeps what is known of it', () => {
  const store = new Store(ME);
  store.applyList([{ ...listed(1), id: 'g', kind: 'group', user: undefined, group: { id: 'g', name: 'hike', role: 'member' }, unseen_count: 3 }], { first: true, more: false, mark: 0 });
  store.membership('g', null);
  assert.deepEqual([store.list().length, store.unseenTotal, store.get(groupKey('g')).group.name], [0, 0, 'hike']);
  store.groupChanged({ id: 'g', name: 'walk' });
  assert.equal(store.get(groupKey('g')).group.role, null);
});

test('the list keeps the order of the server and of what comes in, whatever the clocks say', () => {
  const store = new Store(ME);
  const with_ = (name, at) => listed(1, { id: `c-${name}`, user: { id: name, username: name }, updated_at: at });
  const order = () => store.list().map((c) => c.key.slice(2));
  // The clock was set back between them: the latest has the earliest time.
  store.applyList([with_('eve', '2020'), with_('bob', '2030')], { first: true, more: true, mark: store.mark() });
  store.applyList([with_('zoe', '2029')], { first: false, more: false, mark: store.mark() });
  assert.deepEqual(order(), ['eve', 'bob', 'zoe']);
  const asked = store.mark();
  assert.equal(store.applyChange(userKey('zoe'), message(2, { sender_id: 'zoe', created_at: '2019', conversation_id: 'c-zoe' })), 'applied');
  assert.deepEqual(order(), ['zoe', 'eve', 'bob']);
  // A list that was asked for before does not know of it.
  store.applyList([with_('eve', '2020'), with_('bob', '2030'), with_('zoe', '2029')], { first: true, more: false, mark: asked });
  assert.deepEqual(order(), ['zoe', 'eve', 'bob']);
});

test('where the server has stopped counting, what is loaded tells how many are left', () => {
  const store = new Store(ME);
  store.applyList([listed(5, { unseen_count: 2, unseen_more: true })], { first: true, more: false, mark: 0 });
  store.applyNewest(KEY, [1, 2, 3, 4, 5].map((n) => message(n)), true);
  assert.equal(store.get(KEY).unseenMore, true);
  assert.equal(store.readUpTo(KEY, 2), true);
  assert.deepEqual([store.get(KEY).unseen, store.get(KEY).unseenMore], [3, false]);
});
