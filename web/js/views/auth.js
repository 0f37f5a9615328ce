// The page before one is logged in.

import { HOME } from '../api.js';
import { h } from './dom.js';
import { field, form } from './dialogs.js';

/** `onLogin({ token, user })` is called once the server knows who it is. */
export function authView({ api, onLogin, notice = '' }) {
  let joining = false;
  const username = field('username', 'Username', { autocomplete: 'username', autocapitalize: 'none', spellcheck: false, maxLength: 32, required: true });
  const email = field('email', 'Email (optional)', { type: 'email', autocomplete: 'email', maxLength: 254 });
  const password = field('password', 'Password', { type: 'password', required: true });
  const { node, button } = form([username, email, password], {
    action: 'Log in',
    submit: async (values) => {
      const name = values.username.trim();
      if (!name) throw Object.assign(new Error('Please give a username'), { field: 'username' });
      if (!values.password) throw Object.assign(new Error('Please give a password'), { field: 'password' });
      if (joining) await api.signUp({ username: name, password: values.password, ...(values.email ? { email: values.email } : {}) });
      onLogin(await api.logIn(name, values.password));
    },
  });
  const tabs = [['Log in', false], ['Sign up', true]].map(([label, value]) =>
    h('button', { type: 'button', onclick: () => choose(value) }, label));
  const tagline = h('p', { class: 'tagline' });

  function choose(value) {
    joining = value;
    email.node.hidden = !joining;
    password.input.autocomplete = joining ? 'new-password' : 'current-password';
    button.textContent = joining ? 'Create account' : 'Log in';
    tagline.textContent = joining ? 'Pick a name; that is all it takes.' : 'Good to see you.';
    for (const one of [username, email, password]) one.say('');
    password.say('');
    tabs.forEach((tab, at) => tab.setAttribute('aria-pressed', String((at === 1) === joining)));
    username.input.focus();
  }

  const page = h('main', { class: 'auth' },
    h('section', { class: 'auth-card', 'aria-label': 'Log in or sign up' },
      h('img', { class: 'logo', src: `${HOME}/assets/favicon.svg`, alt: '', width: 72, height: 72 }),
      h('h1', {}, 'Parlance'),
      tagline,
      notice && h('p', { class: 'notice', role: 'status' }, notice),
      h('div', { class: 'tabs', role: 'group', 'aria-label': 'Log in or sign up' }, tabs),
      node));
  choose(false);
  queueMicrotask(() => username.input.focus());
  return page;
}
