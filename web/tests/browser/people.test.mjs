// People and groups; phones.

import assert from 'node:assert/strict';
import test from 'node:test';
import { KEY } from './driver.mjs';
import { COMPOSER, scene } from './scene.mjs';

const set = scene({ PARLANCE_BROADCAST: 'admins' });
const PHONE = { width: 360, height: 740, touch: true };

test('people are found by any part of their name, and called by it everywhere', async () => {
  const gil = await set.server.user('gil', 'Gil Stone');
  const tom = await set.server.user('tom', 'Tom Okafor');
  const group = await tom.group('Walkers');
  await tom.add(group, gil);
  const browser = await set.driver.browser();
  await gil.enter(browser, `g:${group.id}`);
  await browser.write('.search input', 'okaf');
  await browser.shows('.row-title', 'Tom Okafor');
  await browser.keys(KEY.Escape);
  await browser.click('.who');
  await browser.until('document.querySelectorAll(".panel .people li").length === 2');
  assert.deepEqual(await browser.value('[...document.querySelectorAll(".panel .person bdi")].map((one) => one.innerText)'), ['Tom Okafor', 'Gil Stone']);
  assert.deepEqual(await browser.value('[...document.querySelectorAll(".panel .face.small")].map((one) => one.dataset.initials)'), ['TO', 'GS']);
  await browser.until('document.querySelector(".panel .role").innerText === "owner"');
});

test('members are chosen while a group is made, and those who are in it are not offered', async () => {
  const hal = await set.server.user('hal', 'Hal Moon');
  await set.server.user('ivy', 'Ivy Fern');
  const browser = await set.driver.browser();
  await hal.enter(browser);
  await browser.click('[aria-label=New]');
  await browser.press('.menu button', 'New group');
  await browser.write('dialog [name=name]', 'Gardeners');
  await browser.click('dialog summary');
  await browser.write('dialog .search input', 'ivy');
  await browser.until('document.querySelectorAll("dialog .people li").length === 1');
  await browser.click('dialog .people button');
  await browser.press('dialog .primary', 'Create group');
  await browser.shows('.who h2', 'Gardeners');
  await browser.click('.who');
  await browser.until('document.querySelectorAll(".panel .people li").length === 2');
  await browser.click('.panel h3 button');
  await browser.write('dialog .search input', 'ivy');
  await browser.until('document.querySelectorAll("dialog .people button:disabled").length === 1');
});

test('public groups can be browsed', async () => {
  const jan = await set.server.user('jan');
  const kim = await set.server.user('kim');
  await jan.group('Open house', { visibility: 'public', description: 'Come in' });
  const browser = await set.driver.browser();
  await kim.enter(browser);
  await browser.click('[aria-label=New]');
  await browser.press('.menu button', 'Browse public groups');
  await browser.press('dialog .people button', 'Look');
  await browser.shows('.who h2', 'Open house');
  await browser.press('.foot button', 'Join this group');
  await browser.until('document.querySelector(".foot .composer")');
});

test('who is removed is told, and keeps what they were writing', async () => {
  const [lea, max] = [await set.server.user('lea'), await set.server.user('max')];
  const group = await lea.group('Secrets');
  await lea.add(group, max);
  const browser = await set.driver.browser();
  await max.enter(browser, `g:${group.id}`);
  await browser.write(COMPOSER, 'but I');
  await lea.call('DELETE', `/groups/${group.id}/members/${max.id}`);
  await browser.until('[...document.querySelectorAll(".toast")].some((one) => one.innerText.includes("You were removed from “Secrets”"))');
  await lea.add(group, max);
  await browser.until('document.querySelector(".row[href^=\\"#g:\\"]")');
  await browser.run('location.hash = args[0]', `g:${group.id}`);
  await browser.until('document.querySelector(".composer textarea")?.value === "but I"');
});

test('who may not write to everybody is told so beforehand', async () => {
  const ned = await set.server.user('ned');
  const browser = await set.driver.browser();
  await ned.enter(browser, 'all');
  await browser.shows('.foot .hint', 'Only admins write here.');
});

test('a phone: Enter is a new line, Back goes back, nothing is wider than the screen', async () => {
  const [oda, pia] = [await set.server.user('oda', 'Oda'), await set.server.user('pia', 'Pia')];
  await pia.say(oda, 'a'.repeat(300));
  const browser = await set.driver.browser(PHONE);
  await oda.enter(browser);
  await browser.click('.row[href^="#u:"]');
  await browser.shows('.who h2', 'Pia');
  await browser.write(COMPOSER, `one${KEY.Enter}two`);
  assert.equal(await browser.value('document.querySelector(".composer textarea").value'), 'one\ntwo');
  assert.equal(await browser.value('document.documentElement.scrollWidth'), 360);
  const length = await browser.value('history.length');
  await browser.click('.back');
  await browser.until('!document.querySelector(".frame.reading")');
  assert.equal(await browser.value('history.length'), length);
  await browser.click('.row[href^="#u:"]');
  await browser.shows('.who h2', 'Pia');
  // The system's Back with a dialog open closes the dialog alone.
  await browser.run('document.dispatchEvent(new KeyboardEvent("keydown", { key: "?", bubbles: true }))');
  await browser.until('document.querySelector("dialog[open]")');
  await browser.back();
  await browser.until('!document.querySelector("dialog[open]") && document.querySelector(".frame.reading")');
  await browser.back();
  await browser.until('!document.querySelector(".frame.reading")');
});

test('a phone: holding a message opens its menu, drawing it aside answers it', async () => {
  const [quy, ria] = [await set.server.user('quy', 'Quy'), await set.server.user('ria', 'Ria')];
  await ria.say(quy, 'touch me');
  const browser = await set.driver.browser(PHONE);
  await quy.enter(browser, `u:${ria.id}`);
  await browser.shows('.message .prose', 'touch me');
  const { x, y } = await browser.value('(({ left, top }) => ({ x: left + 30, y: top + 15 }))(document.querySelector(".message .bubble").getBoundingClientRect())');
  const touch = (type, to) => browser.cdp('Input.dispatchTouchEvent', { type, touchPoints: to === null ? [] : [{ x: x + to, y }] });
  await touch('touchStart', 0);
  await browser.until('document.querySelector(".menu")');
  await touch('touchEnd', null);
  await browser.keys(KEY.Escape);
  await browser.until('!document.querySelector(".menu")');
  // At once, or it would be holding.
  await browser.run(`
    const target = document.querySelector(".message .bubble");
    const say = (type, by) => target.dispatchEvent(new TouchEvent(type, { bubbles: true, cancelable: true, touches: by === null ? [] : [new Touch({ identifier: 1, target, clientX: args[0] + by, clientY: args[1] })] }));
    say("touchstart", 0);
    for (const by of [-20, -40, -60, -70]) say("touchmove", by);
    say("touchend", null);`, x, y);
  await browser.until('document.querySelector(".context b")?.innerText === "Reply to Ria"');
});

test('the list is never wider than it needs, and forced colours keep their borders', async () => {
  const [sol, uma] = [await set.server.user('sol'), await set.server.user('uma')];
  await sol.say(uma, 'x');
  const browser = await set.driver.browser({ width: 1920, height: 1000 });
  await sol.enter(browser, `u:${uma.id}`);
  await browser.shows('.message .prose', 'x');
  assert.ok(await browser.value('document.querySelector(".sidebar").offsetWidth') <= 380);
  await browser.cdp('Emulation.setEmulatedMedia', { features: [{ name: 'forced-colors', value: 'active' }] });
  assert.notEqual(await browser.value('getComputedStyle(document.querySelector(".bubble")).borderTopWidth'), '0px');
});
