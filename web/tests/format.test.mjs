import assert from 'node:assert/strict';
import test from 'node:test';
import { initials, links, size, summary } from '../js/format.js';

test('web addresses become links, and only those', () => {
  assert.deepEqual(links('see https://a.example/x?y=1. Or (http://b.example/)!'), [
    { text: 'see ' }, { text: 'https://a.example/x?y=1', href: 'https://a.example/x?y=1' }, { text: '. Or (' },
    { text: 'http://b.example/', href: 'http://b.example/' }, { text: ')!' },
  ]);
  for (const text of ['javascript:alert(1)', 'data:text/html,x', 'https://', '<b>x</b>', 'ftp://a']) assert.deepEqual(links(text), [{ text }]);
});

test('initials are whole characters', () => {
  assert.deepEqual(['ada', 'Bob Marlow', 'carol.jones', '🏔 hike', ''].map(initials), ['A', 'BM', 'CJ', '🏔H', '?']);
});

test('sizes are short', () => {
  assert.deepEqual([0, 999, 1500, 52_428_800].map(size), ['0 B', '999 B', '1.5 kB', '52 MB']);
});

test('a message is summed up in one line', () => {
  assert.equal(summary({ type: 'text', content: ' a\n\nb ' }), 'a b');
  assert.equal(summary({ type: 'file', content: '', file: { name: 'x.pdf' } }), '📎 x.pdf');
});
