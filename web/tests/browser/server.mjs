// A server of its own for a test, and people who use it through its API.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** The binary to test: `run` names it. */
const BINARY = process.env.PARLANCE_BINARY;

export class Server {
  /** `environment`: more keys of the configuration. */
  static async start(environment = {}) {
    const server = new Server();
    server.data = await mkdtemp(path.join(tmpdir(), 'parlance-web-'));
    server.environment = environment;
    await server.run('127.0.0.1:0');
    return server;
  }

  async run(listen) {
    this.child = spawn(BINARY, ['serve', '--listen', listen, '--data-dir', this.data], { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, PARLANCE_BCRYPT_COST: '4', PARLANCE_RATE_LIMITS: 'off', PARLANCE_LOG: 'warn', ...this.environment } });
    this.url = await new Promise((resolve, reject) => {
      this.child.on('exit', () => reject(new Error('the server ended')));
      createInterface(this.child.stdout).on('line', (line) => {
        const url = /listening on (http:\/\/\S+)/.exec(line)?.[1];
        if (url) resolve(url);
      });
    });
    this.port = new URL(this.url).port;
  }

  async end() {
    const ended = new Promise((resolve) => this.child.on('exit', resolve));
    this.child.kill();
    await ended;
  }

  async stop() {
    await this.end();
    await rm(this.data, { recursive: true, force: true });
  }

  /** Somebody who is signed up and logged in. */
  async user(username, display_name) {
    const password = `password of ${username}`;
    await call(this, null, 'POST', '/signup', { username, password });
    return this.login(username, display_name);
  }

  async login(username, display_name) {
    const login = await call(this, null, 'POST', '/login', { username, password: `password of ${username}` });
    const person = new Person(this, login);
    if (display_name) await person.call('PATCH', '/me', { display_name });
    return person;
  }
}

async function call(server, token, method, route, body) {
  const isForm = body instanceof FormData;
  const response = await fetch(server.url + route, { method, headers: token ? { Authorization: `Bearer ${token}` } : {}, body: isForm ? body : body && JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

export class Person {
  constructor(server, login) {
    Object.assign(this, { server, login, id: login.user.id, token: login.token });
  }

  call(method, route, body) { return call(this.server, this.token, method, route, body); }

  say(to, content, more = {}) { return this.call('POST', '/messages', { receiver_id: to.id, content, ...more }); }

  tell(group, content, more = {}) { return this.call('POST', '/messages', { group_id: group.id, content, ...more }); }

  group(name, more = {}) { return this.call('POST', '/groups', { name, ...more }); }

  add(group, ...people) { return Promise.all(people.map((one) => this.call('POST', `/groups/${group.id}/members`, { user_id: one.id }))); }

  upload(to, bytes, name, content = '') {
    const form = new FormData();
    form.append('receiver_id', to.id);
    form.append('file', new Blob([bytes]), name);
    form.append('content', content);
    return this.call('POST', '/messages/upload', form);
  }

  /** Opens the client in a browser as this person, at a conversation if one is named. */
  async enter(browser, hash = '', base = this.server.url) {
    await browser.open(`${base}/health`);
    await browser.run('localStorage.setItem("parlance.login", args[0])', JSON.stringify({ token: this.login.token, refresh_token: this.login.refresh_token, user: this.login.user }));
    await browser.open(`${base}/${hash && `#${hash}`}`);
    await browser.until('document.querySelector(".sidebar:not(.offline)")');
    if (hash) await browser.until('document.querySelector(".chat .top:not([data-says=loading]), .chat .message")');
  }
}
