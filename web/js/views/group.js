// Making groups, and choosing who is in them.

import { groupKey } from '../conversation.js';
import { plural } from '../format.js';
import { h } from './dom.js';
import { open } from './dialogs.js';
import { field, form, sentence } from './forms.js';
import { icon } from './icons.js';
import { attempt } from './notices.js';
import { face, nameOf } from './people.js';

/** The fields that a group is made and changed with. */
export function groupFields(group = {}) {
  const name = field('name', 'Name', { maxLength: 64, value: group.name ?? '', autocomplete: 'off' });
  const description = field('description', 'Description', { multiline: true, rows: 2, maxLength: 1024, value: group.description ?? '' });
  const isPublic = field('public', 'Public', { type: 'checkbox', checked: group.visibility === 'public' }, 'Anyone on this server may find, read and join it.');
  return [name, description, isPublic];
}

export const groupOf = (values) => ({ name: values.name, description: values.description, visibility: values.public ? 'public' : 'private' });

/** A list of people to choose from; `onChoose(user)` does it. `label`: the words of the button before and after. */
export function memberChooser({ store, directory, isTaken, label, onChoose }) {
  const results = h('ul', { class: 'people' });
  let asked = 0;
  const input = h('input', { type: 'search', placeholder: 'Find people by name', 'aria-label': 'Find people by name', dir: 'auto', oninput: find });

  async function find() {
    asked += 1;
    const mark = asked;
    const users = await attempt(() => directory.match(input.value));
    if (mark !== asked || !users) return;
    const others = users.filter((user) => user.id !== store.me);
    results.replaceChildren(...others.slice(0, 50).map(line));
    if (!others.length) results.replaceChildren(h('li', { class: 'hint' }, 'Nobody has this in their name.'));
  }

  function line(user) {
    const said = h('small', { class: 'fault-line', role: 'alert' });
    const button = h('button', { type: 'button', class: 'quiet', disabled: isTaken(user), 'aria-label': `${label[0]} ${nameOf(user)}`, onclick: async () => {
      button.disabled = true;
      try {
        await onChoose(user);
        button.textContent = label[1];
      } catch (error) {
        button.disabled = false;
        said.textContent = sentence(error.message);
      }
    } }, isTaken(user) ? label[1] : label[0]);
    return h('li', {}, face(nameOf(user), user.id, 'small'), h('span', { class: 'person' }, h('bdi', {}, nameOf(user)), h('small', {}, `@${user.username}`), said), button);
  }
  find();
  return h('div', { class: 'chooser' }, h('div', { class: 'search' }, icon('search'), input), results);
}

/** Asks for a new group with its members and opens it. */
export function newGroupDialog({ api, store, sync, directory, go }) {
  const chosen = new Map();
  let isDone = false;
  const parts = groupFields();
  open('New group', (body, close) => {
    const tally = h('p', { class: 'hint start', role: 'status' });
    const chooser = h('details', { class: 'section' }, h('summary', {}, 'Members'), tally, memberChooser({ store, directory, isTaken: (user) => chosen.has(user.id), label: ['Add', 'Added'], onChoose: (user) => {
      chosen.set(user.id, user);
      tally.textContent = `${plural(chosen.size + 1, 'member')}: you, ${[...chosen.values()].map(nameOf).join(', ')}`;
    } }));
    const { node } = form([...parts, { node: chooser, input: {}, say: () => {} }], { action: 'Create group', submit: async (values) => {
      const group = await api.createGroup(groupOf(values));
      isDone = true;
      for (const id of chosen.keys()) await attempt(() => api.addMember(group.id, id, 'member'));
      store.groupChanged({ ...group, member_count: chosen.size + 1 });
      sync.refreshSoon();
      close();
      go(groupKey(group.id));
    } });
    body.append(node);
    node.querySelector('input').focus();
  }, { isDirty: () => !isDone && (parts.slice(0, 2).some(({ input }) => input.value.trim()) || chosen.size > 0) });
}

/** Lists the public groups of this server. */
export function browseDialog({ api, go }) {
  open('Public groups', async (body, close) => {
    const list = h('ul', { class: 'people' }, h('li', { class: 'hint' }, 'Loading…'));
    body.append(list);
    const all = [];
    for (let path = '/groups?limit=200'; path && all.length < 1000;) {
      const page = await attempt(() => api.page(path));
      if (!page) break;
      all.push(...page.items);
      path = page.next;
    }
    const found = all.filter((group) => group.visibility === 'public');
    list.replaceChildren(...found.map((group) => h('li', {}, face(group.name, group.id, 'small squared'), h('span', { class: 'person' }, h('bdi', {}, group.name), h('small', {}, `${plural(group.member_count, 'member')}${group.description ? ` · ${group.description}` : ''}`)),
      h('button', { type: 'button', class: 'quiet', 'aria-label': `Open ${group.name}`, onclick: () => {
        close();
        go(groupKey(group.id));
      } }, group.role ? 'Open' : 'Look'))));
    if (!found.length) list.replaceChildren(h('li', { class: 'hint' }, 'There is no public group yet. Make one, and tick “Public”.'));
  });
}
