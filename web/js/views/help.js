// The keys of this client.

import { h } from './dom.js';
import { open } from './dialogs.js';

const KEYS = [
  ['Everywhere', [['Ctrl K', 'search people, groups, messages'], ['Ctrl Shift F', 'search this conversation'], ['Alt ↑, Alt ↓', 'the conversation before, the next one'], ['Escape', 'close what is on top'], ['?', 'this list']]],
  ['While writing', [['Enter', 'send'], ['Shift Enter', 'a new line'], ['↑', 'edit your last message'], ['Page ↑, Page ↓', 'scroll the messages'], ['Ctrl ↑', 'go to the messages'], ['@name, :emoji:', 'complete a name, an emoji']]],
  ['At a message', [['↑ ↓ Home End', 'walk'], ['Enter', 'what can be done with it'], ['R', 'reply'], ['T', 'thread'], ['+', 'react'], ['E', 'edit'], ['F', 'forward'], ['C, L', 'copy text, link'], ['P', 'pin'], ['Delete', 'delete']]],
  ['Marks in a text', [['**bold**', 'bold'], ['*italic*', 'italic'], ['`code`, ```', 'code in a line, in a block'], ['> ', 'quote'], ['- , 1. ', 'lists'], ['[name](https://…)', 'link']]],
];

export function helpDialog() {
  open('Keyboard and marks', (body) => {
    // It scrolls and has nothing else to focus.
    body.tabIndex = 0;
    body.append(h('div', { class: 'help' }, KEYS.map(([title, keys]) => h('section', {}, h('h3', {}, title), h('dl', {}, keys.map(([key, what]) => h('div', {}, h('dt', {}, h('kbd', {}, key)), h('dd', {}, what))))))));
  }, { className: 'wide' });
}
