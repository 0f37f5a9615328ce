// Completes `@name` and `:emoji:` while one types.

import { find } from '../emoji.js';
import { h } from './dom.js';
import { face } from './people.js';

const MOST = 7;

/**
 * Watches a textarea. `people(q)` gives `{ id, username, display_name }` of those who can be mentioned; `onChange` is called
 * after text was put in. Gives the list as an element, and `pressed(event)`, true where it took the key.
 */
export function completion(area, { people, onChange }) {
  let found = [];
  let at = 0;
  let range = null;
  const list = h('ul', { class: 'completion', id: 'completion', role: 'listbox', 'aria-label': 'Suggestions', hidden: true });

  function close() {
    found = [];
    list.hidden = true;
    area.removeAttribute('aria-activedescendant');
  }

  async function update() {
    const before = area.value.slice(0, area.selectionStart);
    const name = /(?<![\p{L}\p{N}_.@/-])@([A-Za-z0-9_.-]{0,32})$/u.exec(before);
    const emoji = /(?<![\p{L}\p{N}:]):([a-z_+-]{2,24})$/u.exec(before);
    const asked = before;
    if (area.selectionStart !== area.selectionEnd || (!name && !emoji)) return close();
    const items = name
      ? (await people(name[1])).slice(0, MOST).map((user) => ({ text: `@${user.username} `, user }))
      : find(emoji[1], MOST).map((one) => ({ text: `${one.emoji} `, one }));
    // Answers may come when something else is written already.
    if (area.value.slice(0, area.selectionStart) !== asked) return undefined;
    if (!items.length) return close();
    found = items;
    at = 0;
    range = [before.length - (name ?? emoji)[0].length, before.length];
    return draw();
  }

  function draw() {
    list.hidden = false;
    area.setAttribute('aria-activedescendant', `suggestion-${at}`);
    list.replaceChildren(...found.map(({ user, one }, place) => h('li', {
      id: `suggestion-${place}`, role: 'option', 'aria-selected': String(place === at), onpointerdown: (event) => {
        event.preventDefault();
        take(place);
      },
    }, user ? [face(user.display_name, user.id, 'small'), h('b', {}, h('bdi', {}, user.display_name)), h('span', {}, `@${user.username}`)] : [h('span', { class: 'emoji-large' }, one.emoji), h('span', {}, `:${one.name}:`)])));
  }

  function take(place) {
    const { text } = found[place];
    area.setRangeText(text, range[0], range[1], 'end');
    close();
    area.focus();
    onChange();
  }

  function pressed(event) {
    if (list.hidden) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      at = (at + step + found.length) % found.length;
      draw();
    } else if (event.key === 'Enter' || event.key === 'Tab') take(at);
    else if (event.key === 'Escape') close();
    else return false;
    return true;
  }

  area.setAttribute('aria-autocomplete', 'list');
  area.setAttribute('aria-controls', 'completion');
  area.addEventListener('blur', close);
  return { list, update, pressed, close };
}
