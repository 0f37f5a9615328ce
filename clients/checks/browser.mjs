// Two windows of a real browser share one outbox in IndexedDB: each message is stored once, in order, also when the window
// that sends goes away in the middle. Argument: the server's URL. Needs chromedriver.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { Rest } from '../typescript/dist/index.js';

const [server] = process.argv.slice(2);
const DIST = new URL('../typescript/dist/', import.meta.url);
const PATIENCE = 60_000;

/** Serves the built client and an empty page; everything else is the server's, so that all is one origin. */
const site = http
  .createServer(async (request, response) => {
    if (request.url === '/page')
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
    const file = /^\/dist\/(\w+\.js)$/.exec(request.url)?.[1];
    if (file) {
      const text = await readFile(new URL(file, DIST));
      return void response.writeHead(200, { 'content-type': 'text/javascript' }).end(text);
    }
    const { method, headers } = request;
    const passed = http.request(server + request.url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    request.pipe(passed);
  })
  .listen(0, '127.0.0.1');
await once(site, 'listening');
const origin = `http://127.0.0.1:${site.address().port}`;

const driver = spawn('chromedriver', ['--port=0'], { stdio: ['ignore', 'pipe', 'inherit'] });
let session = null;
let failed = null;
try {
  const address = await new Promise((resolve, reject) => {
    createInterface({ input: driver.stdout }).on('line', (line) => {
      const port = /started successfully on port (\d+)/.exec(line)?.[1];
      if (port) resolve(`http://127.0.0.1:${port}`);
    });
    driver.on('error', reject).on('exit', () => reject(new Error('chromedriver ended')));
  });
  const command = async (method, path, body) => {
    const answer = await fetch(address + path, { method, ...(body && { body: JSON.stringify(body) }) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${path}: ${value.message}`);
    return value;
  };
  const args = ['--headless=new', '--no-sandbox', '--disable-dev-shm-usage'];
  const capabilities = { alwaysMatch: { browserName: 'chrome', 'goog:chromeOptions': { args } } };
  const { sessionId } = await command('POST', '/session', { capabilities });
  session = { end: () => command('DELETE', `/session/${sessionId}`) };
  const at = (method, path, body) => command(method, `/session/${sessionId}${path}`, body);
  await at('POST', '/timeouts', { script: PATIENCE });
  const run = (script, ...args) =>
    at('POST', '/execute/async', {
      script: `
    const [args, done] = [[...arguments].slice(0, -1), arguments[arguments.length - 1]];
    (async () => { ${script} })().then((value) => done({ value }), (error) => done({ error: String(error.stack ?? error) }));
  `,
      args,
    }).then(({ value, error }) => {
      if (error) throw new Error(error);
      return value;
    });
  await scenario(at, run);
} catch (error) {
  failed = error;
}
await session?.end().catch(() => {});
driver.kill();
site.close();
site.closeAllConnections();
if (failed) {
  console.error(failed);
  process.exitCode = 1;
} else console.log('checks: windows of a browser share one outbox');

async function scenario(at, run) {
  const [ada, bob] = ['ada', 'bob'].map((name) => `${name}_${Math.random().toString(36).slice(2, 10)}`);
  const nobody = new Rest({ url: server });
  const password = 'correct horse battery';
  const [, other] = await Promise.all(
    [ada, bob].map((username) => nobody.call('post', '/signup', { body: { username, password } })),
  );
  const rest = await Rest.logIn({ url: server }, ada, password);
  const receiver_id = other.user.id;

  // `held` keeps the window that sends from finishing: it has begun to send, and never says so.
  const open = (held) =>
    run(
      `
    const { IndexedDbStorage, Outbox, Rest } = await import('/dist/index.js');
    const rest = new Rest({ url: location.origin, tokens: args[0] });
    window.sent = [];
    window.begun = new Promise((resolve) => { window.begin = resolve; });
    window.outbox = new Outbox({
      storage: new IndexedDbStorage('checks'),
      async deliver(entry) {
        const message = await rest.call('post', '/messages', { body: entry.body });
        window.sent.push(entry.body.content);
        window.begin();
        if (args[1]) await new Promise(() => {});
        return message;
      },
    });
    window.outbox.start();
  `,
      rest.session.tokens.token,
      held,
    );
  const add = (...texts) =>
    run(
      `
    window.waiting = args[1].map((content) => window.outbox.add({ receiver_id: args[0], content }));
    await Promise.all(window.waiting.map(({ kept }) => kept));
  `,
      receiver_id,
      texts,
    );

  await at('POST', '/url', { url: `${origin}/page` });
  const first = await at('GET', '/window');
  await open(true);
  await add('one');
  await run('await window.begun;');
  const { handle: second } = await at('POST', '/window/new', { type: 'tab' });
  await at('POST', '/window', { handle: second });
  await at('POST', '/url', { url: `${origin}/page` });
  await open(false);
  await add('two', 'three');
  assert.deepEqual(await run('return window.sent;'), [], 'only one window sends');
  // The window that sends goes away: the other one takes over, and sends again what had no answer.
  await at('POST', '/window', { handle: first });
  await at('DELETE', '/window');
  await at('POST', '/window', { handle: second });
  const seqs = await run('return (await Promise.all(window.waiting.map(({ sent }) => sent))).map(({ seq }) => seq);');
  assert.deepEqual(seqs, [2, 3]);
  assert.deepEqual(await run('return window.sent;'), ['one', 'two', 'three']);
  assert.deepEqual(await run('return window.outbox.list();'), []);
  const stored = await rest.call('get', '/messages', { query: { receiver_id } });
  assert.deepEqual(
    stored.map(({ content }) => content),
    ['one', 'two', 'three'],
  );
}
