// One's own account: name, password, logins, its end.

import { moment } from '../format.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { confirm, open } from './dialogs.js';
import { field, form } from './forms.js';
import { attempt, toast } from './notices.js';
import { face, nameOf } from './people.js';

/** What a user agent is, in a few words. */
function device(agent) {
  if (!agent) return 'Unknown client';
  const browser = ['Edg', 'OPR', 'Firefox', 'Chrome', 'Safari'].find((name) => agent.includes(name));
  const system = ['Android', 'iPhone', 'iPad', 'Windows', 'Mac OS', 'Linux'].find((name) => agent.includes(name));
  if (!browser) return agent.slice(0, 40);
  return [{ Edg: 'Edge', OPR: 'Opera' }[browser] ?? browser, system].filter(Boolean).join(' on ');
}

/** `user()` is oneself; `became(user)` takes in a change; `leave(notice)` goes back to the login. */
export function profileDialog({ api, user, became, leave, leaving, logOut, notifications }) {
  const section = (title, ...content) => h('details', { class: 'section' }, h('summary', {}, title), ...content);

  /** Password managers look for the name beside the password. */
  const withName = (node) => {
    node.prepend(h('input', { type: 'text', autocomplete: 'username', value: user().username, hidden: true, tabIndex: -1 }));
    return node;
  };

  function names() {
    const name = field('display_name', 'Name', { maxLength: 64, value: nameOf(user()), autocomplete: 'name' }, 'What others see.');
    const email = field('email', 'Email', { type: 'email', maxLength: 254, value: user().email ?? '', autocomplete: 'email' }, 'Only you and the server’s admins see it.');
    return form([name, email], { action: 'Save', submit: async (values) => {
      const changes = {};
      if (values.display_name !== nameOf(user())) changes.display_name = values.display_name.trim() || null;
      if (values.email !== (user().email ?? '')) changes.email = values.email.trim() || null;
      if (Object.keys(changes).length) became(await api.changeMe(changes));
      toast('Saved.');
      head();
    } }).node;
  }

  function password() {
    const current = field('current_password', 'Current password', { type: 'password', autocomplete: 'current-password' });
    const next = field('password', 'New password', { type: 'password', autocomplete: 'new-password' }, 'Eight characters or more. Your other logins end.');
    return withName(form([current, next], { action: 'Change password', submit: async (values) => {
      await api.changeMe(values);
      current.input.value = next.input.value = '';
      toast('Your password was changed.');
      sessions();
    } }).node);
  }

  function end() {
    const current = field('current_password', 'Current password', { type: 'password', autocomplete: 'current-password' },
      'You leave all groups. Your messages stay, without your name; nobody can take the name again.');
    return withName(form([current], { action: 'Delete my account', danger: true, submit: async (values) => {
      if (!(await confirm('Delete your account?', 'This can’t be taken back.', 'Delete my account'))) return;
      // The end of the session may be told before the answer comes.
      leaving('Your account was deleted.');
      try {
        await api.deleteMe(values.current_password);
      } catch (error) {
        leaving('');
        throw error;
      }
      leave('Your account was deleted.');
    } }).node);
  }

  function exporter() {
    const button = h('button', { type: 'button', class: 'quiet', onclick: () => attempt(async () => {
      button.disabled = true;
      const link = h('a', { href: URL.createObjectURL(await (await api.fetch('GET', '/me/export')).blob()), download: 'parlance-export.json' });
      link.click();
      button.disabled = false;
    }) }, icon('download'), 'Save all of it as one file');
    return button;
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
  const head = () => card.replaceChildren(face(nameOf(user()), user().id, 'large'), h('p', { class: 'name', dir: 'auto' }, nameOf(user())), h('p', { class: 'hint' }, `@${user().username}`));

  open('Your account', (body) => {
    head();
    sessions();
    const first = section('Name and email', names());
    first.open = true;
    body.append(card, first, notifications && section('Notifications', notifications()), section('Logins', logins), section('Your data', exporter()), section('Password', password()), section('Delete the account', end()),
      h('div', { class: 'buttons' }, h('button', { type: 'button', class: 'quiet', onclick: () => logOut() }, icon('exit'), 'Log out')));
  });
}
