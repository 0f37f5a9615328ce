// What messages can do, for two people at once; and that no text is ever read as HTML.

import assert from 'node:assert/strict';
import test from 'node:test';
import { KEY } from './driver.mjs';
import { png } from './png.mjs';
import { COMPOSER, choose, scene } from './scene.mjs';

const set = scene();

async function pair(suffix) {
  const [vic, wes] = [await set.server.user(`vic${suffix}`, 'Vic Hale'), await set.server.user(`wes${suffix}`, 'Wes Dunn')];
  const group = await vic.group(`Group ${suffix}`);
  await vic.add(group, wes);
  return { vic, wes, group };
}

test('reactions: by the menu, by a click on one, for the other side at once', async () => {
  const { vic, wes, group } = await pair(1);
  await wes.tell(group, 'react to me');
  const [one, two] = [await set.driver.browser(), await set.driver.browser()];
  await vic.enter(one, `g:${group.id}`);
  await wes.enter(two, `g:${group.id}`);
  await choose(one, 'react to me', '👍');
  await two.until('document.querySelector(".reaction")?.innerText.includes("1")');
  assert.match(await two.value('document.querySelector(".reaction").title'), /Vic Hale reacted with thumbs up/);
  await two.click('.reaction');
  await one.until('document.querySelector(".reaction")?.innerText.includes("2")');
  await one.click('.reaction');
  await two.until('document.querySelector(".reaction")?.innerText.includes("1")');
  await one.run('document.querySelector(".message .react").click()');
  await one.write('.picker input', 'rocke');
  await one.keys(KEY.Enter);
  await two.until('document.querySelectorAll(".reaction").length === 2');
});

test('mentions are completed while typing, marked, and counted apart', async () => {
  const { vic, wes, group } = await pair(2);
  const [one, two] = [await set.driver.browser(), await set.driver.browser()];
  await vic.enter(one, `g:${group.id}`);
  await wes.enter(two);
  await one.write(COMPOSER, 'hey @we');
  await one.until('document.querySelector(".completion li")?.innerText.includes("Wes Dunn")');
  await one.keys(KEY.Tab);
  await one.until('document.querySelector(".composer textarea").value === "hey @wes2 "');
  await one.write(COMPOSER, `come :tad`);
  await one.until('document.querySelector(".completion li")');
  await one.keys(KEY.Enter, KEY.Enter);
  await one.shows('.message.own:not(.pending) .mention', '@wes2');
  await two.until('document.querySelector(".row .badge.at")');
  await two.run('location.hash = args[0]', `g:${group.id}`);
  await two.until('document.querySelector(".message.for-me .mention.me")');
  await two.until('!document.querySelector(".row .badge")');
  await two.click('[aria-label=Menu]');
  await two.press('.menu button', 'Mentions');
  await two.until('document.querySelector(".panel .found")');
});

test('a thread opens at the right, and its replies are counted at its first message', async () => {
  const { vic, wes, group } = await pair(3);
  await wes.tell(group, 'the beginning');
  const [one, two] = [await set.driver.browser(), await set.driver.browser()];
  await vic.enter(one, `g:${group.id}`);
  await wes.enter(two, `g:${group.id}`);
  await choose(one, 'the beginning', 'Reply in thread');
  await one.write('.panel .composer textarea', `a reply${KEY.Enter}`);
  await one.shows('.panel .message.own:not(.pending) .prose', 'a reply');
  await two.until('document.querySelector(".thread-chip")?.innerText.includes("1 reply")');
  await two.click('.thread-chip');
  await two.shows('.panel .prose', 'a reply');
  await two.write('.panel .composer textarea', `another${KEY.Enter}`);
  await one.shows('.panel .prose', 'another');
  await one.until('document.querySelector(".chat .thread-chip").innerText.includes("2 replies")');
});

test('pins, forwarding, the versions of an edit', async () => {
  const { vic, wes, group } = await pair(4);
  const message = await vic.tell(group, 'first words');
  await vic.call('PUT', `/messages/${message.id}`, { content: 'second words' });
  await vic.say(wes, 'hello');
  const browser = await set.driver.browser();
  await vic.enter(browser, `g:${group.id}`);
  await choose(browser, 'second words', 'Pin');
  await browser.until('document.querySelector(".pinned")');
  await browser.click('[aria-label="Pinned messages"]');
  await browser.until('document.querySelector(".panel .found")?.innerText.includes("second words")');
  await browser.keys(KEY.Escape);
  await choose(browser, 'second words', 'Edits');
  await browser.until('document.querySelectorAll(".version").length === 2');
  assert.deepEqual(await browser.value('[...document.querySelectorAll(".version .prose")].map((one) => one.innerText)'), ['second words', 'first words']);
  await browser.keys(KEY.Escape);
  await choose(browser, 'second words', 'Forward');
  await browser.click('dialog [aria-label="Forward to Wes Dunn"]');
  await browser.keys(KEY.Escape);
  await browser.run('location.hash = args[0]', `u:${wes.id}`);
  await browser.shows('.who h2', 'Wes Dunn');
  await browser.until('document.querySelector(".message.own:not(.pending) .forwarded")?.innerText.includes("Vic Hale")');
});

test('search finds in all conversations and in one, and leads to the place', async () => {
  const { vic, wes, group } = await pair(5);
  await wes.tell(group, 'the needle is here');
  for (let n = 0; n < 120; n += 1) await wes.tell(group, `hay ${n}`);
  const last = (await vic.call('GET', `/messages?group_id=${group.id}&before=latest`)).at(-1);
  await vic.call('POST', `/conversations/${group.id}/read`, { up_to: last.id });
  const browser = await set.driver.browser();
  await vic.enter(browser, `g:${group.id}`);
  await browser.shows('.message .prose', 'hay 119');
  await browser.write('.sidebar .search input', 'needle');
  await browser.until('document.querySelector(".sidebar .found mark")?.innerText === "needle"');
  await browser.click('.sidebar .found');
  await browser.shows('.message.flash .prose', 'the needle is here');
  await browser.click('.down');
  await browser.shows('.message .prose', 'hay 119');
  await browser.click('[aria-label="Search this conversation"]');
  await browser.write('.panel input', '"hay 7"');
  await browser.until('document.querySelectorAll(".panel .found").length === 1');
  await browser.click('.panel .found');
  await browser.shows('.message .prose', 'hay 7');
  // A link to a message leads to the same place.
  const { id } = (await vic.call('GET', `/search?q=needle&group_id=${group.id}`))[0].message;
  await browser.open(`${set.server.url}/health`);
  await browser.open(`${set.server.url}/#g:${group.id}/${id}`);
  await browser.shows('.message .prose', 'the needle is here');
});

test('images are thumbnails with their place and placeholder, and large ones beside each other', async () => {
  const { vic, wes } = await pair(6);
  for (const n of [1, 2, 3]) await wes.upload(vic, png(2000, 1200, n), `image ${n}.png`);
  const browser = await set.driver.browser();
  await vic.enter(browser, `u:${wes.id}`);
  await browser.until('document.querySelectorAll(".picture.sized:not(.loading) .hash").length === 3');
  assert.equal(await browser.value('document.querySelector(".picture img").naturalWidth'), 1280);
  await browser.click('.picture');
  await browser.until('document.querySelector(".lightbox img").naturalWidth === 2000');
  await browser.keys('+', '+');
  await browser.until('document.querySelector(".stage.zoomed")');
  await browser.keys('\uE014');
  await browser.until('document.querySelector(".lightbox img").alt === "image 2.png"');
  await browser.keys(KEY.Escape);
  await browser.until('!document.querySelector(".lightbox") && document.activeElement.matches(".picture")');
});

test('marks are shown, and nothing is ever HTML', async () => {
  const { vic, wes, group } = await pair(7);
  const hostile = ['<img src=x onerror=alert(1)>', '<script>alert(1)</script>', '"><svg onload=alert(1)>', '[x](javascript:alert(1))', '[a](https://e.org/"onmouseover=alert(1))', '**<b onclick=alert(1)>x</b>**', '```\n</code><img src=x onerror=alert(1)>\n```', '> <iframe srcdoc="<script>alert(1)</script>">', '- <a href=javascript:alert(1)>x</a>', '`<img src=x onerror=alert(1)>`', 'data:text/html,<script>alert(1)</script>', '&lt;img src=x onerror=alert(1)&gt;', '{{constructor.constructor("alert(1)")()}}', '<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>'];
  for (const text of hostile) await wes.tell(group, text);
  await wes.call('PATCH', '/me', { display_name: '<img src=x onerror=alert(1)>' });
  await wes.upload(vic, 'x', '<img src=x onerror=alert(1)>.txt', '<b>caption</b>');
  await vic.call('PUT', `/groups/${group.id}`, { name: '<svg onload=alert(1)>', description: '<img src=x onerror=alert(1)> https://e.org' });
  await wes.tell(group, '**bold** *it* `code` https://example.org\n> quoted\n- item');
  const browser = await set.driver.browser();
  await vic.enter(browser);
  await browser.run('window.alerts = 0; window.alert = () => { window.alerts += 1; };');
  await browser.run('location.hash = args[0]', `g:${group.id}`);
  await browser.until('[...document.querySelectorAll(".prose strong")].some((one) => one.innerText === "bold") && document.querySelector(".prose blockquote") && document.querySelector(".prose li")');
  await browser.click('.who');
  await browser.until('document.querySelector(".panel .description a")');
  await browser.run('location.hash = args[0]', `u:${wes.id}`);
  await browser.until('document.querySelector(".attachment")');
  await browser.write('.sidebar .search input', 'img');
  await browser.until('document.querySelector(".sidebar .found")');
  assert.equal(await browser.value('window.alerts'), 0);
  assert.deepEqual(await browser.value('[...document.querySelectorAll("#app :is(script, iframe, style, object, embed, [onerror], [onload], [onclick], [onmouseover])")].length'), 0);
  assert.ok(await browser.value('[...document.querySelectorAll("#app a[href]")].every((one) => /^(https?:|mailto:|#)/.test(one.getAttribute("href")))'));
  assert.deepEqual(await browser.complaints(), []);
});
