// Where the login is kept.
//
// In localStorage, not sessionStorage: a chat is opened in several tabs and survives a restart of the browser. What could
// read it there, a script of somebody else on this page, could as well use the page itself; the policy of this page lets
// none in. The token ends after 24 hours and with its session.

import { HOME } from './api.js';

// Servers at several paths of one host share its storage.
const KEY = `parlance.login${new URL(HOME).pathname.replace(/\/$/, '')}`;

export function load() {
  try {
    const login = JSON.parse(localStorage.getItem(KEY));
    return login?.token && login?.user?.id ? login : null;
  } catch {
    return null;
  }
}

export function save(login) {
  localStorage.setItem(KEY, JSON.stringify(login));
}

export function clear() {
  localStorage.removeItem(KEY);
}

/** Calls `changed` when another tab logs in or out. */
export function watch(changed) {
  window.addEventListener('storage', (event) => {
    if (event.key === KEY || event.key === null) changed();
  });
}
