// The page before one is logged in.

import { HOME } from '../api.js';
import { h } from './dom.js';
import { field, form } from './forms.js';

const WORDS = { 'invalid credentials': 'The username or the password is wrong.' };

/** `onLogin({ token, refresh_token, user })` is called once the server knows who it is. */
export function authView({ api, onLogin, notice = '' }) {
  let joining = false;
  const username = field('username', 'Username', { autocomplete: 'username', autocapitalize: 'none', spellcheck: false, maxLength: 32, required: true });
  const name = field('display_name', 'Your name (optional)', { autocomplete: 'name', maxLength: 64 }, 'What others see.');
  const email = field('email', 'Email (optional)', { type: 'email', autocomplete: 'email', maxLength: 254 });
  const password = field('password', 'Password', { type: 'password', required: true });
  const { node, button } = form([username, name, email, password], {
    action: 'Log in',
    submit: async (values) => {
      const chosen = values.username.trim();
      if (!chosen) throw Object.assign(new Error('Please give a username'), { field: 'username' });
      if (!values.password) throw Object.assign(new Error('Please give a password'), { field: 'password' });
      if (joining) await api.signUp({ username: chosen, password: values.password, ...(values.email ? { email: values.email } : {}) });
      try {
        const login = await api.logIn(chosen, values.password);
        if (joining && values.display_name.trim()) {
          api.token = login.token;
          login.user = await api.changeMe({ display_name: values.display_name.trim() }).catch(() => login.user);
        }
        onLogin(login);
      } catch (error) {
        throw WORDS[error.message] ? new Error(WORDS[error.message]) : error;
      }
    },
  });
  const tabs = [['Log in', false], ['Sign up', true]].map(([label, value]) =>
    h('button', { type: 'button', onclick: () => choose(value) }, label));
  const heading = h('h1', {}, 'Parlance');
  const tagline = h('p', { class: 'tagline' }, 'Messages, groups and files, on a server of your own.');

  function choose(value) {
    joining = value;
    email.node.hidden = name.node.hidden = !joining;
    password.input.autocomplete = joining ? 'new-password' : 'current-password';
    button.textContent = joining ? 'Create account' : 'Log in';
    for (const one of [username, email, password]) one.say('');
    if (joining) password.node.querySelector('.note').textContent = 'Eight characters or more.';
    tabs.forEach((tab, at) => tab.setAttribute('aria-pressed', String((at === 1) === joining)));
    username.input.focus();
  }

  const page = h('main', { class: 'auth' },
    h('section', { class: 'auth-card', 'aria-label': 'Log in or sign up' },
      h('img', { class: 'logo', src: `${HOME}/assets/favicon.svg`, alt: '', width: 72, height: 72 }),
      heading,
      tagline,
      notice && h('p', { class: 'notice', role: 'status' }, notice),
      h('div', { class: 'tabs', role: 'group', 'aria-label': 'Log in or sign up' }, tabs),
      node));
  choose(false);
  queueMicrotask(() => username.input.focus());
  api.server().then((server) => {
    if (server.name && server.name.toLowerCase() !== 'parlance') heading.textContent = server.name;
    if (server.login?.sign_up === false) tabs[1].hidden = true;
  }, () => {});
  return page;
}
