// Reading: where one stopped, by keyboard, and without anything jumping.

import assert from 'node:assert/strict';
import test from 'node:test';
import { KEY } from './driver.mjs';
import { png } from './png.mjs';
import { COMPOSER, scene } from './scene.mjs';

const set = scene();

async function two(suffix) {
  return [await set.server.user(`cleo${suffix}`, 'Cleo Voss'), await set.server.user(`dan${suffix}`, 'Dan Reed')];
}
const edge = (browser, text) => browser.value('[...document.querySelectorAll(".message .prose")].find((one) => one.innerText === args[0])?.getBoundingClientRect().top', text);

test('opening goes to the first unseen message, and only what was seen is read', async () => {
  const [cleo, dan] = await two(1);
  for (let n = 1; n <= 160; n += 1) await dan.say(cleo, `number ${n}`);
  const page = await cleo.call('GET', `/messages?receiver_id=${dan.id}&limit=40`);
  const { id } = (await cleo.call('GET', '/conversations'))[0];
  await cleo.call('POST', `/conversations/${id}/read`, { up_to: page.at(-1).id });
  const browser = await set.driver.browser();
  await cleo.enter(browser, `u:${dan.id}`);
  await browser.until('document.querySelector(".message:has(> .divider) .prose")?.innerText === "number 41"');
  const top = await edge(browser, 'number 41');
  assert.ok(top > 60 && top < 400, `the first unseen message is at ${top}`);
  await browser.until('Number.parseInt(document.querySelector(".row .badge")?.innerText) < 120');
  const left = Number.parseInt(await browser.value('document.querySelector(".row .badge").innerText'), 10);
  assert.ok(left > 90, `${left} are left`);
  // The way to the end is one button; then all is read.
  await browser.click('.down');
  await browser.until('!document.querySelector(".row .badge")');
  assert.ok(await edge(browser, 'number 160'));
});

test('a few unseen messages: the first of them is marked, and all are read where all are seen', async () => {
  const [cleo, dan] = await two(8);
  for (const text of ['seen', 'new one', 'new two']) await dan.say(cleo, text);
  const [first] = await cleo.call('GET', `/messages?receiver_id=${dan.id}`);
  await cleo.call('POST', `/conversations/${first.conversation_id}/read`, { up_to: first.id });
  const browser = await set.driver.browser();
  await cleo.enter(browser, `u:${dan.id}`);
  await browser.until('document.querySelector(".message:has(> .divider) .prose")?.innerText === "new one"');
  await browser.until('!document.querySelector(".row .badge")');
});

test('each conversation is left and found again at the same place', async () => {
  const [cleo, dan] = await two(2);
  for (let n = 1; n <= 60; n += 1) await cleo.say(dan, `line ${n}`);
  const browser = await set.driver.browser();
  await cleo.enter(browser, `u:${dan.id}`);
  await browser.shows('.message .prose', 'line 60');
  await browser.run('document.querySelector(".scroller").scrollTop = 400');
  await browser.until('!document.querySelector(".down").hidden');
  await browser.wait('await new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))');
  const before = await edge(browser, 'line 20');
  await browser.run('location.hash = "all"');
  await browser.shows('.who h2', 'Everyone');
  await browser.run('location.hash = args[0]', `u:${dan.id}`);
  await browser.shows('.message .prose', 'line 20');
  await browser.until('Math.abs([...document.querySelectorAll(".message .prose")].find((one) => one.innerText === "line 20").getBoundingClientRect().top - args[0]) < 3', before);
});

test('pictures have their place before they come, and resizing keeps what is read', async () => {
  const [cleo, dan] = await two(3);
  for (let n = 1; n <= 14; n += 1) await dan.upload(cleo, png(300, 700, n), `tall ${n}.png`, `picture ${n}`);
  const browser = await set.driver.browser();
  await cleo.enter(browser, `u:${dan.id}`);
  await browser.run('document.querySelector(".scroller").scrollTop = document.querySelector(".scroller").scrollHeight');
  await browser.until('document.querySelector(".picture:not(.loading)")');
  const shifts = await browser.wait(`
    const scroller = document.querySelector(".scroller");
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const shifts = [];
    for (let step = 0; step < 10; step += 1) {
      scroller.scrollBy(0, -350);
      await frame(); await frame();
      const seen = [...document.querySelectorAll(".message")].find((one) => one.getBoundingClientRect().bottom > 120);
      const before = seen.getBoundingClientRect().top;
      for (let wait = 0; wait < 15; wait += 1) await frame();
      shifts.push(Math.abs(seen.getBoundingClientRect().top - before));
    }
    return shifts;`);
  assert.ok(shifts.every((shift) => shift < 2), `the page moved by ${shifts}`);
  const text = await browser.value('[...document.querySelectorAll(".message")].find((one) => one.getBoundingClientRect().bottom > 120).querySelector(".prose").innerText');
  await browser.cdp('Emulation.setDeviceMetricsOverride', { width: 700, height: 600, deviceScaleFactor: 1, mobile: false });
  await browser.until('innerWidth === 700');
  await browser.wait('for (let wait = 0; wait < 5; wait += 1) await new Promise((resolve) => requestAnimationFrame(resolve));');
  const place = await browser.value('[...document.querySelectorAll(".message")].find((one) => one.querySelector(".prose").innerText === args[0]).getBoundingClientRect().bottom', text);
  assert.ok(place > 0 && place < 1000, `what was read is at ${place}`);
});

test('the composer grows without hiding the newest message, and what comes is followed', async () => {
  const [cleo, dan] = await two(4);
  for (let n = 1; n <= 40; n += 1) await cleo.say(dan, `line ${n}`);
  const browser = await set.driver.browser();
  await cleo.enter(browser, `u:${dan.id}`);
  await browser.shows('.message .prose', 'line 40');
  const gap = 'document.querySelector(".scroller").scrollHeight - document.querySelector(".scroller").scrollTop - document.querySelector(".scroller").clientHeight';
  for (const lines of [2, 4, 6, 12]) {
    await browser.run('const area = document.querySelector(".composer textarea"); area.value = "line\\n".repeat(args[0]); area.dispatchEvent(new Event("input"));', lines);
    await browser.until(`${gap} < 3`);
  }
  await dan.say(cleo, 'followed');
  await browser.shows('.message .prose', 'followed');
  await browser.until(`${gap} < 3`);
});

test('a new message leaves its neighbour as it is: selection, focus, picture', async () => {
  const [cleo, dan] = await two(5);
  await dan.upload(cleo, png(60, 60), 'a.png');
  await dan.say(cleo, 'select me');
  const browser = await set.driver.browser();
  await cleo.enter(browser, `u:${dan.id}`);
  await browser.until('document.querySelector(".picture:not(.loading)")');
  await browser.run('window.picture = document.querySelector(".picture img"); window.node = [...document.querySelectorAll(".message")].at(-1); node.focus(); getSelection().selectAllChildren(node.querySelector(".prose"));');
  await dan.say(cleo, 'another');
  await browser.shows('.message .prose', 'another');
  assert.deepEqual(await browser.value('[window.picture.isConnected, window.node.isConnected, document.activeElement === window.node, String(getSelection()).trim()]'), [true, true, true, 'select me']);
  // Screen readers are told of what came, once, and not of what was there.
  await browser.until('document.querySelector("#speaker").innerText.includes("Dan Reed: another")');
  assert.equal(await browser.value('document.querySelector("#speaker").childElementCount'), 1);
});

test('everything at a message is done by keyboard', async () => {
  const [cleo, dan] = await two(6);
  for (let n = 1; n <= 30; n += 1) await dan.say(cleo, `line ${n}`);
  await cleo.say(dan, 'mine');
  const browser = await set.driver.browser();
  await cleo.enter(browser, `u:${dan.id}`);
  await browser.shows('.message .prose', 'mine');
  await browser.click(COMPOSER);
  await browser.keys([KEY.Control, KEY.Up]);
  await browser.until('document.activeElement.matches(".message") && document.activeElement.innerText.includes("mine")');
  assert.equal(await browser.value('document.querySelectorAll(".message[tabindex=\\"0\\"]").length'), 1);
  await browser.keys(KEY.Up, KEY.Up);
  await browser.until('document.activeElement.innerText.includes("line 29")');
  await browser.keys(KEY.Home);
  await browser.until('document.activeElement.innerText.includes("line 1")');
  await browser.keys(KEY.End, KEY.Up, KEY.Enter);
  await browser.until('document.activeElement.closest(".menu")');
  await browser.keys('r');
  await browser.until('document.querySelector(".context b")?.innerText.startsWith("Reply to Dan")');
  await browser.keys(KEY.Escape);
  await browser.until('document.querySelector(".context").hidden');
  const before = await browser.value('document.querySelector(".scroller").scrollTop');
  await browser.keys(KEY.PageUp);
  await browser.until('document.querySelector(".scroller").scrollTop < args[0]', before);
  await browser.keys([KEY.Control, KEY.Up], 'e');
  await browser.until('document.querySelector(".composer textarea").value === "mine"');
  await browser.keys(KEY.Escape, [KEY.Control, KEY.Up], KEY.Delete);
  await browser.until('document.querySelector("dialog .danger")');
  await browser.keys(KEY.Enter);
  await browser.until('![...document.querySelectorAll(".prose")].some((one) => one.innerText === "mine")');
  await browser.keys('?');
});

test('days push each other out, and long right-to-left texts stand at the right', async () => {
  const [cleo, dan] = await two(7);
  await dan.say(cleo, 'هذه رسالة طويلة '.repeat(20));
  await dan.say(cleo, 'short');
  const browser = await set.driver.browser();
  await cleo.enter(browser, `u:${dan.id}`);
  await browser.until('document.querySelectorAll(".message").length === 2');
  assert.equal(await browser.value('getComputedStyle(document.querySelector(".message .bubble")).direction'), 'rtl');
  assert.deepEqual(await browser.value('[document.querySelectorAll("section.day").length, getComputedStyle(document.querySelector(".day-name")).position, document.querySelector(".day-name").parentElement.className]'), [1, 'sticky', 'day']);
  const color = await browser.value('getComputedStyle(document.querySelector(".day-name span")).backgroundColor');
  assert.match(color, /^rgb\(/, 'the name of the day is opaque');
});
