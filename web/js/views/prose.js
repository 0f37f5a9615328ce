// The text of a message, with its marks, as elements: every text is a text node.

import { inline, isEmojiOnly, parse } from '../markdown.js';
import { h } from './dom.js';

/** `isMentioned(name)` says how to show a mention: `me`, `other`, or nothing for what only looks like one. */
function pieces(list, isMentioned) {
  return list.map((piece) => {
    switch (piece.type) {
      case 'text': return piece.text;
      case 'code': return h('code', {}, piece.text);
      case 'link': return h('a', { href: piece.href, target: '_blank', rel: 'noopener noreferrer nofollow' }, pieces(piece.children, isMentioned));
      case 'mention': return mention(piece, isMentioned);
      default: return h(piece.type, {}, pieces(piece.children, isMentioned));
    }
  });
}

function mention({ text }, isMentioned) {
  // What closes a sentence is no part of a name, unless somebody is called so.
  for (let name = text.slice(1); name; name = name.slice(0, -1)) {
    const who = isMentioned(name);
    if (who) return h('span', {}, h('span', { class: `mention ${who}` }, `@${name}`), text.slice(name.length + 1));
    if (!/[._-]$/.test(name)) break;
  }
  return text;
}

function blocks(list, isMentioned) {
  return list.map((block) => {
    switch (block.type) {
      case 'pre': return h('pre', { dir: 'ltr', tabIndex: 0, 'aria-label': block.language ? `Code, ${block.language}` : 'Code' }, h('code', {}, block.text));
      case 'quote': return h('blockquote', {}, blocks(block.children, isMentioned));
      case 'list': return h(block.start === null ? 'ul' : 'ol', block.start === null ? {} : { start: block.start }, block.items.map((item) => h('li', { dir: 'auto' }, pieces(item, isMentioned))));
      default: return h('p', { dir: 'auto' }, pieces(block.children, isMentioned));
    }
  });
}

/** The whole text of a message. */
export function prose(content, isMentioned = () => null) {
  return h('div', { class: `prose${isEmojiOnly(content) ? ' emoji' : ''}` }, blocks(parse(content), isMentioned));
}

/** A short text with its links: a description, say. */
export const linked = (text) => pieces(inline(text), () => null);

/** A text with parts of it marked: `[[start, length], ...]` in code points. */
export function highlighted(text, ranges) {
  const letters = [...text];
  const made = [];
  let end = 0;
  for (const [start, length] of ranges) {
    made.push(letters.slice(end, start).join(''), h('mark', {}, letters.slice(start, start + length).join('')));
    end = start + length;
  }
  made.push(letters.slice(end).join(''));
  return made;
}
