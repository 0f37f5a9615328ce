// A long conversation: as quick as a short one.

import assert from 'node:assert/strict';
import test from 'node:test';
import { COMPOSER, scene } from './scene.mjs';

const set = scene();
const MESSAGES = 1500;

test('thousands of messages: few are in the document, and typing, sending and reading back stay quick', async (t) => {
  const [xia, yan] = [await set.server.user('xia'), await set.server.user('yan')];
  for (let n = 0; n < MESSAGES; n += 10) await Promise.all(Array.from({ length: 10 }, () => xia.say(yan, `some words of a message ${n}`)));
  const browser = await set.driver.browser();
  await xia.enter(browser, `u:${yan.id}`);
  await browser.until('document.querySelectorAll(".message").length >= 50');
  // All the way up, as fast as the pages come.
  const isAtStart = () => browser.wait(`
    const scroller = document.querySelector(".scroller");
    const isAtStart = () => document.querySelector(".top").dataset.says === "start";
    for (let turn = 0; turn < 100 && !isAtStart(); turn += 1) {
      scroller.scrollTop = 0;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return isAtStart();`);
  for (let turn = 0; turn < 100 && !(await isAtStart()); turn += 1);
  await browser.until('document.querySelector(".top").dataset.says === "start"');
  const shown = await browser.value('document.querySelectorAll(".message").length');
  assert.ok(shown <= 560, `${shown} messages are in the document`);
  await browser.click('.down');
  await browser.until('document.querySelector(".down").hidden');
  await browser.click(COMPOSER);
  const letters = await browser.wait(`
    const area = document.querySelector(".composer textarea");
    const taken = [];
    for (let letter = 0; letter < 60; letter += 1) {
      const begun = performance.now();
      area.value += "a";
      area.dispatchEvent(new Event("input"));
      area.offsetHeight;
      taken.push(performance.now() - begun);
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    return taken.sort((a, b) => a - b)[Math.floor(taken.length * 0.9)];`);
  // Told and not held: what a letter takes is the machine's, too.
  t.diagnostic(`a letter takes ${letters} ms`);
});
