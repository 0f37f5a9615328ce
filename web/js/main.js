// Starts the client: the page to log in, or the app.

import { Api, HOME } from './api.js';
import { startApp } from './app.js';
import { Journal } from './journal.js';
import * as login from './login.js';
import { authView } from './views/auth.js';

const root = document.getElementById('app');
let running = null;
let starting = 0;

function stop() {
  starting += 1;
  running?.stop();
  running = null;
  for (const over of document.querySelectorAll('dialog, .menu, .picker')) over.remove();
}

/** Shows the login page, with the reason. */
function welcome(notice = '') {
  const last = running?.user().id;
  stop();
  document.title = 'Parlance';
  root.replaceChildren(authView({ api: new Api(), notice, onLogin: ({ token, refresh_token, user }) => {
    // Another user does not start where the last one was.
    if (last && last !== user.id) history.replaceState(null, '', location.pathname);
    login.save({ token, refresh_token, user });
    start({ token, refresh_token, user });
  } }));
}

async function start(kept) {
  stop();
  const mark = starting;
  const journal = await Journal.open(`parlance ${new URL(HOME).pathname} ${kept.user.id}`);
  if (mark !== starting) return journal.close();
  running = startApp({ root, kept, journal, onLeave: welcome });
  return undefined;
}

/** The login that this browser last stored, here or in another tab. */
function resume() {
  const kept = login.load();
  if (!kept) welcome();
  else if (running?.user().id === kept.user.id) running.renewed(kept);
  else start(kept);
}

login.watch(resume);
// A file dropped outside of the drop area must not replace the page.
for (const kind of ['dragover', 'drop']) window.addEventListener(kind, (event) => event.preventDefault());
resume();
