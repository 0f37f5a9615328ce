// About a conversation, in the panel: a group with its members and what may be done about it, or a person.

import { EVERYONE, userKey } from '../conversation.js';
import { plural } from '../format.js';
import { h } from './dom.js';
import { confirm, open } from './dialogs.js';
import { form } from './forms.js';
import { groupFields, groupOf, memberChooser } from './group.js';
import { icon } from './icons.js';
import { menuBelow } from './menu.js';
import { attempt, toast } from './notices.js';
import { face, nameOf, portrait, titleOf } from './people.js';
import { linked } from './prose.js';
import { settingsList } from './settings.js';

const RANK = { owner: 0, admin: 1, member: 2 };
const MEMBERS_PAGE = 200;

const action = (drawn, label, onclick, kind = '') => h('button', { type: 'button', class: `action ${kind}`, onclick }, icon(drawn), label);

/** Says that what is shown is what the server has. */
function proven(tally) {
  const words = !tally ? 'Every change is compared with the server’s digest.' : tally.repaired
    ? `${plural(tally.repaired, 'difference')} from the server found and repaired.` : `The same as the server has: ${plural(tally.verified, 'change')} verified.`;
  return h('p', { class: 'hint start proven' }, icon('shield'), words);
}

export function detailsPage(services) {
  const { key, store } = services;
  const c = store.ensure(key);
  if (c.kind === 'group') return groupPage(services);
  return personPage(services);
}

function personPage({ key, api, store, tally }) {
  const body = h('div', { class: 'details' });
  const draw = () => {
    const c = store.ensure(key);
    const isOnline = c.kind === 'direct' && store.online.get(key.slice(2));
    body.replaceChildren(h('div', { class: 'card' }, portrait(c, store.me, 'large'), h('p', { class: 'name', dir: 'auto' }, titleOf(c, store.me)),
      h('p', { class: 'hint' }, key === EVERYONE ? 'Everybody on this server reads this.' : key === userKey(store.me) ? 'Only you see this.' : c.user ? `@${c.user.username}${isOnline ? ' · online' : ''}` : '')),
    settingsList({ c, api, store }) ?? '', proven(tally()));
  };
  draw();
  return { name: 'details', title: key === EVERYONE ? 'Broadcast' : 'About', body, render: (changed) => changed === key && draw() };
}

function groupPage({ key, api, store, sync, go, directory, watch, tally }) {
  const id = key.slice(2);
  const role = () => store.get(key)?.group?.role ?? null;
  const leads = () => ['owner', 'admin'].includes(role());
  const card = h('div', { class: 'card' });
  const members = h('ul', { class: 'people', 'aria-label': 'Members' });
  const heading = h('h3', {});
  const options = h('div', {});
  const shown = h('div', {});
  const danger = h('section', { class: 'danger-zone' });
  const body = h('div', { class: 'details' }, card, h('section', {}, heading, members), options, danger, shown);
  let found = [];

  async function load() {
    const all = [];
    for (let path = `/groups/${id}/members?limit=${MEMBERS_PAGE}`; path;) {
      const page = await attempt(() => api.members(path));
      if (!page) return;
      all.push(...page.items);
      path = page.next;
    }
    await directory.load().catch(() => {});
    found = all;
    draw();
  }

  async function act(work) {
    await attempt(work);
    await sync.regroup(key);
    await load();
  }

  function line(member) {
    const self = member.user_id === store.me;
    const name = store.nameOf(member.user_id, member.username);
    const choices = [];
    if (!self) choices.push(['chat', 'Write a message', () => go(userKey(member.user_id))]);
    if (!self && role() === 'owner') {
      if (member.role === 'member') choices.push(['person', 'Make an admin', () => act(() => api.changeRole(id, member.user_id, 'admin'))]);
      else choices.push(['person', 'Make a plain member', () => act(() => api.changeRole(id, member.user_id, 'member'))]);
      choices.push(['lock', 'Hand the group over', async () => {
        if (await confirm('Hand the group over?', `${name} becomes its owner, and you one of its admins.`, 'Hand over')) act(() => api.changeRole(id, member.user_id, 'owner'));
      }]);
    }
    if (!self && (role() === 'owner' || (role() === 'admin' && member.role === 'member'))) choices.push(['trash', 'Remove from the group', () => act(() => api.removeMember(id, member.user_id)), { kind: 'danger' }]);
    const more = h('button', { class: 'round', type: 'button', 'aria-label': `What to do with ${name}`, 'aria-haspopup': 'menu', onclick: () => menuBelow(more, choices) }, icon('more'));
    return h('li', {}, h('span', { class: 'portrait' }, face(name, member.user_id, 'small'), (self || store.online.get(member.user_id)) && h('span', { class: 'dot', role: 'img', 'aria-label': 'online' })),
      h('span', { class: 'person' }, h('bdi', {}, name), self && ' (you)', h('small', {}, `@${member.username}`)),
      member.role !== 'member' && h('span', { class: 'role' }, member.role), choices.length > 0 && more);
  }

  function draw() {
    const c = store.get(key);
    if (!c?.group) return;
    const { group } = c;
    card.replaceChildren(portrait(c, store.me, 'large'), h('p', { class: 'name', dir: 'auto' }, group.name),
      h('p', { class: 'hint' }, icon(group.visibility === 'public' ? 'globe' : 'lock'), `${group.visibility === 'public' ? 'Public' : 'Private'} group`),
      group.description && h('p', { class: 'description', dir: 'auto' }, linked(group.description)));
    heading.replaceChildren(plural(group.member_count, 'member'), leads() && h('button', { type: 'button', class: 'quiet', onclick: add }, icon('plus'), 'Add'));
    const sorted = [...found].sort((a, b) => RANK[a.role] - RANK[b.role] || store.nameOf(a.user_id, a.username).localeCompare(store.nameOf(b.user_id, b.username)));
    members.replaceChildren(...sorted.map(line));
    shown.replaceChildren(proven(tally()));
    options.replaceChildren(...[group.role && settingsList({ c, api, store }), leads() && h('section', {}, h('h3', {}, 'Group'), action('edit', 'Name, description, visibility', change))].filter(Boolean));
    danger.replaceChildren(...[
      group.role && (group.role !== 'owner' || group.member_count === 1) && action('exit', 'Leave the group', leave, 'danger'),
      group.role === 'owner' && action('trash', 'Delete the group', remove, 'danger'),
    ].filter(Boolean));
  }

  function change() {
    open('Change the group', (content, done) => {
      const { node } = form(groupFields(store.get(key).group), { action: 'Save', submit: async (values) => {
        store.groupChanged(await api.changeGroup(id, groupOf(values)));
        done();
      } });
      content.append(node);
      node.querySelector('input').focus();
    });
  }

  function add() {
    open('Add members', (content) => {
      const taken = new Set(found.map((member) => member.user_id));
      content.append(memberChooser({ store, directory, isTaken: (user) => taken.has(user.id), label: ['Add', 'Added'], onChoose: async (user) => {
        await api.addMember(id, user.id, 'member');
        taken.add(user.id);
        toast(`${nameOf(user)} was added.`);
        act(async () => {});
      } }));
      content.querySelector('input').focus();
    });
  }

  async function leave() {
    if (!(await confirm('Leave the group?', 'You will get no more messages of it.', 'Leave'))) return;
    await attempt(async () => {
      await api.leaveGroup(id);
      store.membership(id, null);
      go(null);
    });
  }

  async function remove() {
    if (!(await confirm('Delete the group?', 'All its messages go with it, for everybody.', 'Delete'))) return;
    await attempt(async () => {
      await api.deleteGroup(id);
      store.drop(key);
      go(null);
    });
  }

  draw();
  load();
  const unwatch = watch(key, load);
  return { name: 'details', title: 'Group', body, render: (changed) => changed === key && draw(), close: unwatch };
}
