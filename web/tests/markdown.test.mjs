import assert from 'node:assert/strict';
import test from 'node:test';
import { inline, isEmojiOnly, parse, plain } from '../js/markdown.js';

/** A short form: `strong(...)`, `link[href](...)`. */
const form = (pieces) => pieces.map((piece) => {
  if (piece.type === 'text') return piece.text;
  if (piece.type === 'link') return `link[${piece.href}](${form(piece.children)})`;
  return `${piece.type}(${piece.children ? form(piece.children) : piece.text})`;
}).join('');
const read = (text) => form(inline(text));

test('bold, italic, struck and code', () => {
  assert.equal(read('**bold** *it* _it_ ~~no~~ `co*d*e` ``a`b``'), 'strong(bold) em(it) em(it) del(no) code(co*d*e) code(a`b)');
  assert.equal(read('**a *b* c**'), 'strong(a em(b) c)');
});

test('what is no mark stays as it was typed', () => {
  for (const text of ['2 * 3 * 4', 'snake_case_name', '** no **', '*', '`', '__init__', 'a*b*c', '[x](javascript:alert(1))', '<b>x</b>', 'javascript:alert(1)', 'https://', 'ftp://a']) assert.equal(read(text), text, text);
});

test('addresses end where the sentence does, and keep the brackets that they open', () => {
  assert.equal(read('see https://a.example/x?y=1. Or (http://b.example/)!'), 'see link[https://a.example/x?y=1](https://a.example/x?y=1). Or (link[http://b.example/](http://b.example/))!');
  assert.equal(read('https://en.example/wiki/A_(b)'), 'link[https://en.example/wiki/A_(b)](https://en.example/wiki/A_(b))');
  assert.equal(read('www.example.org, me@example.org.'), 'link[https://www.example.org](www.example.org), link[mailto:me@example.org](me@example.org).');
  assert.equal(read('[the *site*](https://e.org/x)'), 'link[https://e.org/x](the *site*)');
});

test('mentions stand by themselves', () => {
  assert.equal(read('@bob and a@b @all.'), 'mention(@bob) and a@b mention(@all.)');
});

test('blocks: code, quotes, lists, paragraphs', () => {
  const blocks = parse('one\ntwo\n\n> q\n> r\n- a\n- b\n3. c\n4. d\n```rust\nlet x = "*a*";\n```\nend');
  assert.deepEqual(blocks.map((block) => block.type), ['paragraph', 'quote', 'list', 'list', 'pre', 'paragraph']);
  assert.deepEqual([blocks[3].start, blocks[4].language, blocks[4].text], [3, 'rust', 'let x = "*a*";']);
  assert.deepEqual(parse('```\nnever closed').map((block) => block.type), ['paragraph']);
});

test('nothing that is typed gets lost in a preview', () => {
  assert.equal(plain('**a** `b` [c](https://d.e)\n> f'), 'a b c\nf');
});

test('a few emoji alone are shown large', () => {
  assert.deepEqual(['🎉', '👍🏽 ❤️', '👨‍👩‍👧', '12', '#', 'a🎉', '', '🎉🎉🎉🎉'].map(isEmojiOnly), [true, true, true, false, false, false, false, false]);
});

test('hostile texts take no time', () => {
  const begun = performance.now();
  for (const text of ['*'.repeat(4096), '`'.repeat(4096), '**a'.repeat(1300), '> '.repeat(2000), '_a_'.repeat(1300), 'a@'.repeat(2000), '['.repeat(4096), `${'https://a.b/('.repeat(300)}`, '~~a '.repeat(1000)]) parse(text);
  assert.ok(performance.now() - begun < 1500, `${performance.now() - begun} ms`);
});
