// What each file of browser tests begins with: a driver and a server, ended with the file.

import { after, before } from 'node:test';
import { Driver } from './driver.mjs';
import { Server } from './server.mjs';

export const COMPOSER = '.chat .composer textarea';

/** `{ driver, server }`, there once the tests run. */
export function scene(environment = {}) {
  const set = {};
  before(async () => {
    [set.driver, set.server] = await Promise.all([Driver.start(), Server.start(environment)]);
  });
  after(() => Promise.all([set.driver?.stop(), set.server?.stop()]));
  return set;
}

/** The texts of the open conversation, oldest first. */
export const texts = (browser, selector = '.chat .message .prose') => browser.value('[...document.querySelectorAll(args[0])].map((one) => one.innerText)', selector);

/** Waits until the server's messages of a direct conversation are these. */
export async function arrives(person, other, wanted) {
  for (const end = Date.now() + 15_000; Date.now() < end;) {
    const found = (await person.call('GET', `/messages?receiver_id=${other.id}&before=latest`)).map((message) => message.content);
    if (JSON.stringify(found) === JSON.stringify(wanted)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${JSON.stringify(wanted)} did not arrive: ${JSON.stringify((await person.call('GET', `/messages?receiver_id=${other.id}&before=latest`)).map((message) => message.content))}`);
}

/** Opens the menu of a message with that text and chooses an entry. */
export async function choose(browser, text, entry) {
  await browser.until('[...document.querySelectorAll(".message .prose")].some((one) => one.innerText === args[0])', text);
  await browser.run('[...document.querySelectorAll(".message .prose")].findLast((one) => one.innerText === args[0]).closest(".message").querySelector(".more").click()', text);
  await browser.press('.menu button', entry);
}
