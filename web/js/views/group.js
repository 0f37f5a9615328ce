// A group: what it is, who is in it, and what may be done about that.

import { groupKey } from '../store.js';
import { plural } from '../format.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { attempt, confirm, field, form, menu, open } from './dialogs.js';
import { face, nameOf, portrait } from './people.js';

/** The fields that a group is made and changed with. */
function fields(group = {}) {
  const name = field('name', 'Name', { maxLength: 64, value: group.name ?? '', autocomplete: 'off' });
  const description = field('description', 'Description', { multiline: true, rows: 2, maxLength: 1024, value: group.description ?? '' });
  const open = field('public', 'Public', { type: 'checkbox', checked: group.visibility === 'public' }, 'Anyone on this server may find, read and join it.');
  open.node.classList.add('switch');
  return [name, description, open];
}

const groupOf = (values) => ({ name: values.name, description: values.description, visibility: values.public ? 'public' : 'private' });

/** Asks for a new group and opens it. */
export function newGroupDialog(app) {
  open('New group', (body, close) => {
    const { node } = form(fields(), { action: 'Create group', submit: async (values) => {
      const group = await app.api.createGroup(groupOf(values));
      app.store.groupChanged(group);
      app.sync.refreshSoon();
      close();
      app.go(groupKey(group.id));
    } });
    body.append(node);
    node.querySelector('input').focus();
  });
}

/** Shows a group and its members. */
export function groupDialog(app, key) {
  const { api, store, sync } = app;
  const id = key.slice(2);
  const mine = () => store.get(key)?.group?.role ?? null;
  const inCharge = () => ['owner', 'admin'].includes(mine());
  const members = h('ul', { class: 'people', 'aria-label': 'Members' });
  const card = h('div', { class: 'card' });
  const buttons = h('div', { class: 'buttons stacked' });
  const adding = h('div', { class: 'adding' });
  let close = () => {};

  async function load() {
    const found = [];
    for (let path = `/groups/${id}/members?limit=200`; path;) {
      const page = await attempt(() => api.members(path));
      if (!page) return;
      found.push(...page.items);
      path = page.next;
    }
    found.sort((a, b) => a.username.localeCompare(b.username));
    members.replaceChildren(...found.map(line));
  }

  async function act(work) {
    await attempt(work);
    await sync.regroup(key);
    if (!store.get(key)?.group) return close();
    head();
    return load();
  }

  function line(member) {
    const self = member.user_id === store.me;
    const choices = [];
    if (!self) choices.push(['chat', 'Write a message', () => { close(); app.go(`u:${member.user_id}`); }]);
    if (!self && mine() === 'owner') {
      if (member.role === 'member') choices.push(['person', 'Make an admin', () => act(() => api.changeRole(id, member.user_id, 'admin'))]);
      else choices.push(['person', 'Make a plain member', () => act(() => api.changeRole(id, member.user_id, 'member'))]);
      choices.push(['lock', 'Hand the group over', async () => {
        if (await confirm('Hand the group over?', `${member.username} becomes its owner, and you one of its admins.`, 'Hand over')) act(() => api.changeRole(id, member.user_id, 'owner'));
      }]);
    }
    if (!self && (mine() === 'owner' || (mine() === 'admin' && member.role === 'member'))) choices.push(['trash', 'Remove from the group', () => act(() => api.removeMember(id, member.user_id)), 'danger']);
    const more = h('button', { class: 'round', type: 'button', 'aria-label': `What to do with ${member.username}`, 'aria-haspopup': 'menu', onclick: () => {
      const box = more.getBoundingClientRect();
      menu(box.left, box.bottom + 4, choices, more.closest('dialog'));
    } }, icon('more'));
    return h('li', {}, face(member.username, member.user_id, 'small'), h('span', { class: 'person', dir: 'auto' }, member.username, self && ' (you)'),
      member.role !== 'member' && h('span', { class: 'role' }, member.role), choices.length > 0 && more);
  }

  function head() {
    const { group } = store.get(key);
    card.replaceChildren(portrait(store.get(key), store.me, 'large'), h('p', { class: 'name', dir: 'auto' }, group.name),
      h('p', { class: 'hint' }, icon(group.visibility === 'public' ? 'globe' : 'lock'), `${group.visibility} group, ${plural(group.member_count, 'member')}`),
      group.description && h('p', { class: 'description', dir: 'auto' }, group.description));
    adding.replaceChildren(...(inCharge() ? [h('button', { type: 'button', class: 'quiet', onclick: add }, icon('plus'), 'Add members')] : []));
    buttons.replaceChildren(...[
      inCharge() && h('button', { type: 'button', class: 'quiet', onclick: change }, icon('edit'), 'Change the group'),
      group.role && (group.role !== 'owner' || group.member_count === 1) && h('button', { type: 'button', class: 'quiet danger', onclick: leave }, icon('exit'), 'Leave the group'),
      group.role === 'owner' && h('button', { type: 'button', class: 'quiet danger', onclick: remove }, icon('trash'), 'Delete the group'),
    ].filter(Boolean));
  }

  function change() {
    open('Change the group', (body, done) => {
      const { node } = form(fields(store.get(key).group), { action: 'Save', submit: async (values) => {
        store.groupChanged(await api.changeGroup(id, groupOf(values)));
        head();
        done();
      } });
      body.append(node);
      node.querySelector('input').focus();
    });
  }

  function add() {
    open('Add members', (body) => {
      const results = h('ul', { class: 'people' });
      const input = h('input', { type: 'search', placeholder: 'Find people by name', 'aria-label': 'Find people by name', dir: 'auto', oninput: find });
      let asked = 0;
      async function find() {
        const mark = (asked += 1);
        const users = await attempt(() => api.users(input.value.trim()));
        if (mark !== asked || !users) return;
        results.replaceChildren(...users.filter((user) => user.id !== store.me).map((user) => {
          const button = h('button', { type: 'button', class: 'quiet', onclick: async () => {
            button.disabled = true;
            await act(async () => {
              await api.addMember(id, user.id, 'member');
              button.textContent = 'Added';
            });
          } }, 'Add');
          return h('li', {}, face(nameOf(user), user.id, 'small'), h('span', { class: 'person', dir: 'auto' }, nameOf(user), h('small', {}, ` @${user.username}`)), button);
        }));
      }
      body.append(h('div', { class: 'search' }, icon('search'), input), results);
      input.focus();
      find();
    });
  }

  async function leave() {
    if (!(await confirm('Leave the group?', 'You will get no more messages of it.', 'Leave'))) return;
    await attempt(async () => {
      await api.leaveGroup(id);
      store.membership(id, null);
      close();
      app.go(null);
    });
  }

  async function remove() {
    if (!(await confirm('Delete the group?', 'All its messages go with it, for everybody.', 'Delete'))) return;
    await attempt(async () => {
      await api.deleteGroup(id);
      close();
      store.drop(key);
    });
  }

  const dialog = open('Group', (body, done) => {
    close = done;
    body.append(card, buttons, adding, members);
    head();
    load();
  }, { onClose: () => app.watching.delete(key) });
  app.watching.set(key, () => store.get(key)?.group && (head(), load()));
  return dialog;
}
