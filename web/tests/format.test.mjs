import assert from 'node:assert/strict';
import test from 'node:test';
import { hue, initials, isRightToLeft, size, summary, summaryIcon } from '../js/format.js';

test('everybody has a colour of many, and always the same', () => {
  const hues = new Set(Array.from({ length: 200 }, (_, at) => hue(`0190-${at}`)));
  assert.ok(hues.size > 20, `${hues.size} hues`);
  assert.equal(hue('x'), hue('x'));
});

test('the direction of a text is that of its first letter', () => {
  assert.deepEqual(['hello', '12 שלום', '(مرحبا', '…', 'a ب'].map(isRightToLeft), [false, true, true, false, false]);
});

test('initials are whole characters', () => {
  assert.deepEqual(['ada', 'Bob Marlow', 'carol.jones', '🏔 hike', ''].map(initials), ['A', 'BM', 'CJ', '🏔H', '?']);
});

test('sizes are short', () => {
  assert.deepEqual([0, 999, 1500, 52_428_800].map(size), ['0 B', '999 B', '1.5 kB', '52 MB']);
});

test('a message is summed up in one line', () => {
  assert.equal(summary({ type: 'text', content: ' a\n\nb ' }), 'a b');
  assert.equal(summary({ type: 'file', content: '', file: { name: 'x.pdf' } }), 'x.pdf');
  assert.deepEqual(['text', 'image', 'file', 'of the future'].map((type) => summaryIcon({ type })), [null, 'image', 'file', null]);
  assert.equal(summary({ type: 'text', content: '**so** `x`' }), 'so x');
});
