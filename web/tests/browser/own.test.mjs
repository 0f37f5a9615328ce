// One's own view of a conversation, the same on all of one's devices.

import assert from 'node:assert/strict';
import test from 'node:test';
import { KEY } from './driver.mjs';
import { COMPOSER, choose, scene } from './scene.mjs';

const set = scene();
const person = (name, shown) => set.server.user(name, shown);
const row = (other) => `.row[href="#u:${other.id}"]`;

test('the list says that a message was seen before its conversation is opened', async () => {
  const [abe, bea] = [await person('abe1', 'Abe'), await person('bea1', 'Bea')];
  const message = await abe.say(bea, 'look');
  await bea.call('POST', `/messages/${message.id}/seen`);
  const browser = await set.driver.browser();
  await abe.enter(browser);
  await browser.until('document.querySelector(".row .icon-checks")');
});

test('muting, favourites and the archive show on every device', async () => {
  const [abe, bea] = [await person('abe2', 'Abe'), await person('bea2', 'Bea')];
  await bea.say(abe, 'hello');
  const [one, two] = [await set.driver.browser(), await set.driver.browser()];
  await abe.enter(one, `u:${bea.id}`);
  await abe.enter(two);
  await one.click('.who');
  const toggle = (label) => one.run('[...document.querySelectorAll(".panel label")].find((one) => one.innerText.trim() === args[0]).querySelector("input").click()', label);
  await one.until('document.querySelectorAll(".panel label").length === 4');
  await toggle('Mute');
  await two.until('document.querySelector(args[0] + " .icon-silent")', row(bea));
  await toggle('Favourite');
  await two.until('document.querySelector(args[0] + " .icon-star")', row(bea));
  await bea.say(abe, 'quietly');
  await two.until('document.querySelector(args[0] + " .quiet-badge, " + args[0])', row(bea));
  assert.equal(await two.value('document.title'), 'Parlance');
  await toggle('Archive');
  await two.until('!document.querySelector(args[0])', row(bea));
  await two.click('[aria-label=Menu]');
  await two.press('.menu button', 'Archived');
  await two.until('document.querySelector(args[0])', row(bea));
});

test('a message is marked as unread, and is where one goes on', async () => {
  const [abe, bea] = [await person('abe3', 'Abe'), await person('bea3', 'Bea')];
  for (const text of ['one', 'two', 'three']) await bea.say(abe, text);
  const browser = await set.driver.browser();
  await abe.enter(browser, `u:${bea.id}`);
  await browser.until('!document.querySelector(".row .badge")');
  await choose(browser, 'two', 'Mark as unread');
  await browser.until('document.querySelector(".home") && document.querySelector(".row .badge")?.innerText.startsWith("2")');
  await browser.click(row(bea));
  await browser.until('document.querySelector(".message:has(> .divider) .prose")?.innerText === "two"');
});

test('a draft goes on on another device, and is gone there once it is sent', async () => {
  const [abe, bea] = [await person('abe4', 'Abe'), await person('bea4', 'Bea')];
  await bea.say(abe, 'hello');
  const [one, two] = [await set.driver.browser(), await set.driver.browser()];
  await abe.enter(one, `u:${bea.id}`);
  await abe.enter(two, `u:${bea.id}`);
  await one.write(COMPOSER, 'begun here');
  await two.until('document.querySelector(".composer textarea").value === "begun here"');
  await two.write(COMPOSER, `, ended there${KEY.Enter}`);
  await one.shows('.message.own .prose', 'begun here, ended there');
  await one.until('document.querySelector(".composer textarea").value === ""');
});
