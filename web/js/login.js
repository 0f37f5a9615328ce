// Where the login is kept.
//
// In localStorage, not sessionStorage: a chat is opened in several tabs and survives a restart of the browser. What could
// read it there, a script of somebody else on this page, could as well use the page itself; the policy of this page lets
// none in. Both tokens end with their session.

import { HOME } from './api.js';

// Servers at several paths of one host share its storage.
const KEY = `parlance.login${new URL(HOME).pathname.replace(/\/$/, '')}`;

/** @returns {{ token: string, refresh_token?: string, user: { id: string } } | null} */
export function load() {
  try {
    const login = JSON.parse(localStorage.getItem(KEY));
    return login?.token && login?.user?.id ? login : null;
  } catch {
    return null;
  }
}

/** Replaces parts of what is kept. */
export function save(parts) {
  localStorage.setItem(KEY, JSON.stringify({ ...load(), ...parts }));
}

export function clear() {
  localStorage.removeItem(KEY);
}

/** Calls `changed` when another tab logs in or out, or renews the token. */
export function watch(changed) {
  window.addEventListener('storage', (event) => {
    if (event.key === KEY || event.key === null) changed();
  });
}

/** Runs `work` while no other tab has the lock of that name; at once where the browser has no locks (over plain http). */
export function locked(name, work) {
  return navigator.locks ? navigator.locks.request(`${KEY} ${name}`, work) : work();
}
