// Logins, addresses, connections, accounts.

import assert from 'node:assert/strict';
import test from 'node:test';
import { KEY } from './driver.mjs';
import { COMPOSER, scene } from './scene.mjs';

const set = scene();
const person = (name, shown) => set.server.user(name, shown);

test('a login lasts beyond its token, in all tabs', async () => {
  const [eve, fay] = [await person('eve1', 'Eve Ray'), await person('fay1', 'Fay Lo')];
  const browser = await set.driver.browser();
  await eve.enter(browser, `u:${fay.id}`);
  // A token as it is after its end: refused. The session still lives.
  await browser.run('const login = JSON.parse(localStorage["parlance.login"]); login.token = login.token.slice(0, -6) + "AAAAAA"; localStorage["parlance.login"] = JSON.stringify(login);');
  await browser.reload();
  await browser.until('document.querySelector(".sidebar:not(.offline)")');
  await browser.write(COMPOSER, `still here${KEY.Enter}`);
  await browser.shows('.message.own:not(.pending) .prose', 'still here');
  assert.notEqual(await browser.value('JSON.parse(localStorage["parlance.login"]).refresh_token'), eve.login.refresh_token);
});

test('a session that ends keeps the address, and what was written', async () => {
  const [eve, fay] = [await person('eve2', 'Eve Ray'), await person('fay2', 'Fay Lo')];
  const browser = await set.driver.browser();
  await eve.enter(browser, `u:${fay.id}`);
  await browser.write(COMPOSER, 'unfinished');
  for (const session of await eve.call('GET', '/sessions')) await eve.call('DELETE', `/sessions/${session.id}`);
  await browser.shows('.auth .notice', 'Your session has ended. Please log in again.');
  await browser.write('[name=username]', 'eve2');
  await browser.write('[name=password]', `password of eve2${KEY.Enter}`);
  await browser.until('document.querySelector(".composer textarea")?.value === "unfinished"');
  assert.equal(await browser.value('document.querySelector(".who h2").innerText'), 'Fay Lo');
});

test('an address that says nothing leads to the beginning', async () => {
  const eve = await person('eve3');
  const browser = await set.driver.browser();
  for (const hash of ['%E0%A4%A', '<b>', 'u:nobody', 'x'.repeat(3000)]) {
    await eve.enter(browser);
    await browser.run('location.hash = args[0]', hash);
    await browser.reload();
    await browser.until('document.querySelector(".sidebar:not(.offline)") && document.querySelector(".home")');
  }
});

test('a network that is gone is noticed at once, and nobody is shown as there', async () => {
  const [eve, fay] = [await person('eve4', 'Eve Ray'), await person('fay4', 'Fay Lo')];
  await eve.say(fay, 'a');
  await fay.say(eve, 'b');
  const [one, two] = [await set.driver.browser(), await set.driver.browser()];
  await fay.enter(two);
  await eve.enter(one, `u:${fay.id}`);
  await one.until('document.querySelector(".row .dot") && document.querySelector(".subtitle").innerText === "online"');
  const begun = Date.now();
  await one.cdp('Network.enable');
  await one.offline(true);
  await one.until('document.querySelector(".sidebar.offline") && !document.querySelector(".dot") && document.querySelector(".subtitle").innerText !== "online"');
  assert.ok(Date.now() - begun < 5000);
  await one.write(COMPOSER, `later${KEY.Enter}`);
  await one.until('document.querySelector(".message.pending")');
  await one.offline(false);
  await one.shows('.message.own:not(.pending) .prose', 'later');
  await one.until('!document.querySelector(".sidebar.offline")');
});

test('the account: an email taken back, the logins, its end', async () => {
  const eve = await person('eve5', 'Eve Ray');
  await eve.call('PATCH', '/me', { email: 'eve5@example.org' });
  await set.server.login('eve5');
  const browser = await set.driver.browser();
  await eve.enter(browser);
  await browser.click('[aria-label=Menu]');
  await browser.press('.menu button', 'Eve Ray');
  await browser.until('document.querySelector("dialog [name=email]").value === "" || true');
  await browser.run('document.querySelector("dialog [name=email]").value = ""');
  await browser.press('dialog .primary', 'Save');
  await browser.until('[...document.querySelectorAll(".toast")].some((one) => one.innerText.includes("Saved"))');
  assert.equal((await eve.call('GET', '/me')).email, undefined);
  await browser.run('for (const one of document.querySelectorAll("dialog details")) one.open = true');
  await browser.until('document.querySelectorAll("dialog .people small").length >= 2');
  assert.ok(await browser.value('[...document.querySelectorAll("dialog .people small")].every((one) => getComputedStyle(one).display === "block")'));
  // Closing it leads back to what opened it.
  await browser.keys(KEY.Escape);
  await browser.until('document.activeElement.getAttribute("aria-label") === "Menu"');
  await browser.click('[aria-label=Menu]');
  await browser.press('.menu button', 'Eve Ray');
  await browser.run('for (const one of document.querySelectorAll("dialog details")) one.open = true');
  await browser.run('[...document.querySelectorAll("dialog [name=current_password]")].at(-1).value = "password of eve5"');
  await browser.press('dialog button.danger', 'Delete my account');
  await browser.press('dialog.small button.danger', 'Delete my account');
  await browser.shows('.auth .notice', 'Your account was deleted.');
});

test('what is half filled in is not thrown away by a key', async () => {
  const eve = await person('eve6');
  const browser = await set.driver.browser();
  await eve.enter(browser);
  await browser.click('[aria-label=New]');
  await browser.press('.menu button', 'New group');
  await browser.write('dialog [name=name]', 'half a name');
  await browser.keys(KEY.Escape);
  await browser.shows('dialog.small h2', 'Discard what you have typed?');
  await browser.press('dialog.small button', 'Cancel');
  assert.equal(await browser.value('document.querySelector("dialog [name=name]").value'), 'half a name');
  await browser.write('dialog [name=name]', KEY.Enter);
  await browser.shows('.who h2', 'half a name');
  // In an empty composer Escape leaves the conversation open.
  await browser.click(COMPOSER);
  await browser.keys(KEY.Escape);
  assert.equal(await browser.value('document.querySelector(".who h2").innerText'), 'half a name');
});

test('notices can be dismissed, and what went wrong stays longer', async () => {
  const [eve, fay] = [await person('eve7'), await person('fay7')];
  const browser = await set.driver.browser();
  await eve.enter(browser, `u:${fay.id}`);
  await browser.run('const carried = new DataTransfer(); carried.items.add(new File(["x"], "x")); location.hash = "all";');
  await browser.shows('.who h2', 'Everyone');
  await browser.run('const carried = new DataTransfer(); carried.items.add(new File(["x"], "x")); document.querySelector(".chat").dispatchEvent(new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }));');
  await browser.until('document.querySelector(".toast.error")');
  await browser.click('.toast [aria-label=Dismiss]');
  await browser.until('!document.querySelector(".toast")');
});

test('what is unseen shows in the title and on the icon, the broadcast too, and a hidden page notifies', async () => {
  const [eve, fay] = [await person('eve8', 'Eve Ray'), await person('fay8', 'Fay Lo')];
  await fay.call('POST', '/broadcast/send', { content: 'before' });
  const browser = await set.driver.browser();
  await browser.cdp('Browser.grantPermissions', { permissions: ['notifications'] });
  await eve.enter(browser);
  await browser.run('window.notices = []; window.Notification = class { constructor(title, how) { window.notices.push([title, how.body, how.tag]); } static permission = "granted"; }; document.hasFocus = () => false;');
  await fay.say(eve, 'are you **there**?');
  await browser.until('document.title.startsWith("(1)") && document.querySelector("link[rel=icon]").href.startsWith("blob:")');
  assert.deepEqual(await browser.value('window.notices'), [['Fay Lo', 'are you there?', `u:${fay.id}`]]);
  await fay.call('POST', '/broadcast/send', { content: 'Tea for all' });
  await browser.until('document.title.startsWith("(2)") && document.querySelector(".row[href=\\"#all\\"] .badge")');
  await browser.run('document.hasFocus = () => true; location.hash = "all"');
  await browser.until('!document.querySelector(".row[href=\\"#all\\"] .badge")');
});
