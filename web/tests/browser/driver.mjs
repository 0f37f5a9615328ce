// A real browser: headless Chromium, driven through chromedriver (W3C WebDriver, and Chromium's own commands for the network).

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** How long something may take to show on a page (milliseconds). */
const TIMEOUT = 25_000;
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

/** The keys of WebDriver that tests press. */
export const KEY = { Enter: '\uE007', Escape: '\uE00C', Tab: '\uE004', Up: '\uE013', Down: '\uE015', Home: '\uE011', End: '\uE010', PageUp: '\uE00E', PageDown: '\uE00F', Shift: '\uE008', Control: '\uE009', Alt: '\uE00A', Delete: '\uE017' };

async function command(base, method, route, body) {
  const response = await fetch(`${base}${route}`, { method, body: method === 'POST' ? JSON.stringify(body ?? {}) : undefined });
  const { value } = await response.json();
  if (value?.error) throw new Error(`${value.error}: ${value.message.split('\n')[0]}`);
  return value;
}

export class Driver {
  static async start() {
    const child = spawn('chromedriver', ['--port=0'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const driver = new Driver();
    driver.child = child;
    driver.browsers = [];
    driver.base = await new Promise((resolve, reject) => {
      child.on('error', reject);
      createInterface(child.stdout).on('line', (line) => {
        const port = /successfully on port (\d+)/.exec(line)?.[1];
        if (port) resolve(`http://127.0.0.1:${port}`);
      });
    });
    return driver;
  }

  /** A browser of its own, with nothing remembered. */
  async browser({ width = 1200, height = 800, touch = false, dark = false, args = [] } = {}) {
    const profile = await mkdtemp(path.join(tmpdir(), 'parlance-browser-'));
    const options = { args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update', '--disable-sync', `--window-size=${width},${height}`, `--user-data-dir=${profile}`, ...args] };
    const wanted = { browserName: 'chrome', 'goog:chromeOptions': options, timeouts: { script: TIMEOUT * 2 }, 'goog:loggingPrefs': { browser: 'ALL' } };
    const { sessionId } = await command(this.base, 'POST', '/session', { capabilities: { alwaysMatch: wanted } });
    const browser = new Browser(`${this.base}/session/${sessionId}`, profile);
    this.browsers.push(browser);
    await browser.cdp('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: touch });
    if (touch) await browser.cdp('Emulation.setTouchEmulationEnabled', { enabled: true, maxTouchPoints: 2 });
    await browser.cdp('Emulation.setFocusEmulationEnabled', { enabled: true });
    await browser.cdp('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] });
    return browser;
  }

  async stop() {
    for (const browser of this.browsers) await browser.close();
    this.child.kill();
  }
}

class Browser {
  constructor(base, profile) {
    Object.assign(this, { base, profile, closed: false });
  }

  post(route, body) { return command(this.base, 'POST', route, body); }

  cdp(cmd, params = {}) { return this.post('/goog/cdp/execute', { cmd, params }); }

  async open(url) { await this.post('/url', { url }); }

  /** The value of an expression on the page, with `args` as `args`. */
  value(expression, ...args) { return this.post('/execute/sync', { script: `const args = [...arguments]; return (${expression});`, args }); }

  /** Runs statements on the page. */
  run(script, ...args) { return this.post('/execute/sync', { script: `const args = [...arguments]; ${script}`, args }); }

  /** Runs statements that await; what they return comes back. */
  async wait(script, ...args) {
    const answer = await this.post('/execute/async', { script: `const args = [...arguments]; const done = args.pop(); (async () => { ${script} })().then((value) => done({ value }), (error) => done({ error: String(error) }));`, args });
    if (answer.error) throw new Error(answer.error);
    return answer.value;
  }

  /** Waits until an expression holds on the page. */
  async until(expression, ...args) {
    const holds = await this.post('/execute/async', { script: `const args = [...arguments]; const done = args.pop(); const end = performance.now() + ${TIMEOUT};
      const look = () => { let holds = false; try { holds = Boolean(${expression}); } catch {} if (holds) done(true); else if (performance.now() > end) done(false); else setTimeout(look, 25); }; look();`, args });
    if (!holds) throw new Error(`${expression} ${JSON.stringify(args)} does not come true on the page:\n${await this.value('location.href + "\\n" + document.body.innerText')}`);
  }

  /** Waits until an element with this text is there. */
  shows(selector, text) { return this.until('[...document.querySelectorAll(args[0])].some((one) => one.innerText.trim() === args[1])', selector, text); }

  async element(selector) {
    await this.until('document.querySelector(args[0])', selector);
    return (await this.post('/element', { using: 'css selector', value: selector }))[ELEMENT];
  }

  async click(selector) { await this.post(`/element/${await this.element(selector)}/click`, {}); }

  /** Clicks the first element with that text. */
  async press(selector, text) {
    await this.until('[...document.querySelectorAll(args[0])].some((one) => one.innerText.trim().startsWith(args[1]))', selector, text);
    await this.run('[...document.querySelectorAll(args[0])].find((one) => one.innerText.trim().startsWith(args[1])).click()', selector, text);
  }

  async write(selector, text) { await this.post(`/element/${await this.element(selector)}/value`, { text }); }

  /** Presses keys, wherever the focus is; those of an array together. */
  async keys(...list) {
    const actions = list.flatMap((key) => (Array.isArray(key) ? [...key.map((value) => ({ type: 'keyDown', value })), ...key.map((value) => ({ type: 'keyUp', value })).reverse()] : [...key].flatMap((value) => [{ type: 'keyDown', value }, { type: 'keyUp', value }])));
    await this.post('/actions', { actions: [{ type: 'key', id: 'keyboard', actions }] });
  }

  /** Another tab, which is then the one that is driven. */
  async tab() {
    const { handle } = await this.post('/window/new', { type: 'tab' });
    await this.to(handle);
    await this.cdp('Emulation.setFocusEmulationEnabled', { enabled: true });
    return handle;
  }

  /** Goes to a tab, and shows it: what is not shown is not drawn. */
  async to(handle) {
    await this.post('/window', { handle });
    await this.cdp('Page.bringToFront');
  }

  handle() { return command(this.base, 'GET', '/window'); }

  closeTab() { return command(this.base, 'DELETE', '/window'); }

  back() { return this.post('/back'); }

  reload() { return this.post('/refresh'); }

  offline(offline) { return this.cdp('Network.emulateNetworkConditions', { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 }); }

  async screenshot(file) { await writeFile(file, Buffer.from(await command(this.base, 'GET', '/screenshot'), 'base64')); }

  /** What the browser complained of since this was last asked. */
  async complaints() {
    const log = await this.post('/se/log', { type: 'browser' });
    return log.map((entry) => entry.message);
  }

  async close() {
    if (this.closed) return;
    this.closed = true;
    await command(this.base, 'DELETE', '').catch(() => {});
    await rm(this.profile, { recursive: true, force: true }).catch(() => {});
  }
}
