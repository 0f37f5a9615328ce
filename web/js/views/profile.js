// One's own account: name, password, logins, its end.

import { moment } from '../format.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { attempt, confirm, field, form, open, toast } from './dialogs.js';
import { face, nameOf } from './people.js';

/** What a user agent is, in a few words. */
function device(agent) {
  if (!agent) return 'Unknown client';
  const browser = ['Edg', 'OPR', 'Firefox', 'Chrome', 'Safari'].find((name) => agent.includes(name));
  const system = ['Android', 'iPhone', 'iPad', 'Windows', 'Mac OS', 'Linux'].find((name) => agent.includes(name));
  if (!browser) return agent.slice(0, 40);
  return [{ Edg: 'Edge', OPR: 'Opera' }[browser] ?? browser, system].filter(Boolean).join(' on ');
}

export function profileDialog(app) {
  const { api } = app;
  const section = (title, ...content) => h('details', { class: 'section' }, h('summary', {}, title), ...content);

  function names() {
    const name = field('display_name', 'Name', { maxLength: 64, value: nameOf(app.user), autocomplete: 'name' }, 'What others see.');
    const email = field('email', 'Email', { type: 'email', maxLength: 254, value: app.user.email ?? '', autocomplete: 'email' }, 'Only you and the server’s admins see it.');
    return form([name, email], { action: 'Save', submit: async (values) => {
      const changes = {};
      if (values.display_name !== nameOf(app.user)) changes.display_name = values.display_name;
      if (values.email && values.email !== app.user.email) changes.email = values.email;
      if (Object.keys(changes).length) app.became(await api.changeMe(changes));
      toast('Saved.');
      head();
    } }).node;
  }

  function password() {
    const current = field('current_password', 'Current password', { type: 'password', autocomplete: 'current-password' });
    const next = field('password', 'New password', { type: 'password', autocomplete: 'new-password' }, 'Eight characters or more. Your other logins end.');
    return form([current, next], { action: 'Change password', submit: async (values) => {
      await api.changeMe(values);
      current.input.value = next.input.value = '';
      toast('Your password was changed.');
      sessions();
    } }).node;
  }

  function end() {
    const current = field('current_password', 'Current password', { type: 'password', autocomplete: 'current-password' },
      'You leave all groups. Your messages stay, without your name; nobody can take the name again.');
    return form([current], { action: 'Delete my account', danger: true, submit: async (values) => {
      if (!(await confirm('Delete your account?', 'This can’t be taken back.', 'Delete my account'))) return;
      await api.deleteMe(values.current_password);
      app.leave('Your account was deleted.');
    } }).node;
  }

  const logins = h('ul', { class: 'people' });
  async function sessions() {
    const found = await attempt(() => api.sessions());
    logins.replaceChildren(...(found ?? []).map((session) => h('li', {},
      h('span', { class: 'person' }, device(session.user_agent), session.current && h('span', { class: 'role' }, 'this one'),
        h('small', {}, `Last seen ${moment(session.last_seen_at)}`)),
      !session.current && h('button', { type: 'button', class: 'quiet danger', onclick: async () => {
        await attempt(() => api.endSession(session.id));
        sessions();
      } }, 'Log out'))));
  }

  const card = h('div', { class: 'card' });
  const head = () => card.replaceChildren(face(nameOf(app.user), app.user.id, 'large'), h('p', { class: 'name', dir: 'auto' }, nameOf(app.user)), h('p', { class: 'hint' }, `@${app.user.username}`));

  open('Your account', (body) => {
    head();
    sessions();
    const first = section('Name and email', names());
    first.open = true;
    body.append(card, first, section('Logins', logins), section('Password', password()), section('Delete the account', end()),
      h('div', { class: 'buttons' }, h('button', { type: 'button', class: 'quiet', onclick: () => app.logOut() }, icon('exit'), 'Log out')));
  });
}
