// What is shown while no conversation is open: where to begin.

import { EVERYONE, userKey } from '../conversation.js';
import { plural } from '../format.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { face, nameOf } from './people.js';

const MOST = 6;

export function homeView({ api, store, directory, go, user, commands }) {
  const people = h('ul', { class: 'people' });
  const groups = h('ul', { class: 'people' });
  const card = (title, drawn, ...content) => h('section', { class: 'home-card' }, h('h3', {}, icon(drawn), title), ...content);
  const key = (name) => h('kbd', {}, name);
  const node = h('main', { class: 'home' }, h('div', { class: 'home-inner' },
    h('h2', {}, `Hello, ${nameOf(user())}`),
    h('p', { class: 'lead' }, 'Choose a conversation, or begin one.'),
    h('div', { class: 'home-grid' },
      card('People here', 'people', people),
      card('Public groups', 'globe', groups, h('button', { type: 'button', class: 'quiet', onclick: commands.newGroup }, icon('plus'), 'New group')),
      card('For everybody', 'megaphone', h('p', {}, 'One conversation that everybody on this server reads.'), h('button', { type: 'button', class: 'quiet', onclick: () => go(EVERYONE) }, 'Say hello')),
      card('Keys', 'help', h('ul', { class: 'keys' }, h('li', {}, key('Ctrl K'), 'search'), h('li', {}, key('Alt ↑ ↓'), 'next conversation'), h('li', {}, key('?'), 'all keys'))))));

  async function fill() {
    await directory.load().catch(() => {});
    const others = directory.users.filter((one) => one.id !== store.me).slice(0, MOST);
    people.replaceChildren(...(others.length ? others.map((one) => h('li', {}, h('a', { class: 'person-link', href: `#${userKey(one.id)}` }, face(nameOf(one), one.id, 'small'), h('span', { class: 'person' }, h('bdi', {}, nameOf(one)), h('small', {}, `@${one.username}`)))))
      : [h('li', { class: 'hint start' }, 'You are the first one here. Send the address of this page to somebody.')]));
    const found = (await api.groups('').catch(() => [])).filter((group) => group.visibility === 'public').slice(0, 4);
    groups.replaceChildren(...(found.length ? found.map((group) => h('li', {}, h('a', { class: 'person-link', href: `#g:${group.id}` }, face(group.name, group.id, 'small squared'), h('span', { class: 'person' }, h('bdi', {}, group.name), h('small', {}, plural(group.member_count, 'member'))))))
      : [h('li', { class: 'hint start' }, 'There is none yet.')]));
  }
  fill();
  return node;
}
