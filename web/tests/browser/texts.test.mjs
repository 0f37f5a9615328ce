// Texts that were typed are never lost.

import assert from 'node:assert/strict';
import test from 'node:test';
import { KEY } from './driver.mjs';
import { COMPOSER, arrives, choose, scene, texts } from './scene.mjs';

const set = scene();

async function two(suffix) {
  const { server } = set;
  return [await server.user(`ada${suffix}`, 'Ada Byron'), await server.user(`bob${suffix}`, 'Bob Marlow')];
}

test('over plain http in a local network one sends and copies as everywhere', async () => {
  const [ada, bob] = await two(1);
  const browser = await set.driver.browser({ args: ['--host-resolver-rules=MAP chat.lan 127.0.0.1'] });
  await ada.enter(browser, `u:${bob.id}`, `http://chat.lan:${set.server.port}`);
  assert.deepEqual(await browser.value('[isSecureContext, typeof crypto.randomUUID, typeof navigator.clipboard]'), [false, 'undefined', 'undefined']);
  await browser.write(COMPOSER, `from the lan${KEY.Enter}`);
  await browser.shows('.message.own:not(.pending) .prose', 'from the lan');
  await choose(browser, 'from the lan', 'Copy text');
  await browser.until('[...document.querySelectorAll(".toast")].some((one) => one.innerText.includes("Copied"))');
  assert.deepEqual((await browser.complaints()).filter((line) => !line.includes('favicon')), []);
});

test('two tabs that were offline send what each of them was given', async () => {
  const [ada, bob] = await two(2);
  const browser = await set.driver.browser();
  await ada.enter(browser, `u:${bob.id}`);
  const first = await browser.handle();
  await browser.tab();
  await browser.open(`${set.server.url}/#u:${bob.id}`);
  await browser.until('document.querySelector(".chat .top:not([data-says=loading])")');
  const second = await browser.handle();
  await set.server.end();
  for (const [handle, text] of [[first, 'from tab one'], [second, 'from tab two']]) {
    await browser.to(handle);
    await browser.until('document.querySelector(".sidebar.offline")');
    await browser.write(COMPOSER, `${text}${KEY.Enter}`);
    await browser.until('document.querySelectorAll(".message.pending").length > 0');
  }
  // Each sees the other's, and the reload of one loses none.
  await browser.until('document.querySelectorAll(".message.pending").length === 2');
  await browser.closeTab();
  await browser.to(first);
  await set.server.run(`127.0.0.1:${set.server.port}`);
  await arrives(bob, ada, ['from tab one', 'from tab two']);
  await browser.until('!document.querySelector(".message.pending")');
});

test('an edit that can’t be saved now is saved later, and one that is refused is kept', async () => {
  const [ada, bob] = await two(3);
  const message = await ada.say(bob, 'a mistake');
  const browser = await set.driver.browser();
  await ada.enter(browser, `u:${bob.id}`);
  await set.server.end();
  await browser.until('document.querySelector(".sidebar.offline")');
  await browser.click(COMPOSER);
  await browser.keys(KEY.Up);
  await browser.until('document.querySelector(".context b")?.innerText === "Edit message"');
  await browser.keys(' mended', KEY.Enter);
  await browser.shows('.message.editing .prose', 'a mistake mended');
  await set.server.run(`127.0.0.1:${set.server.port}`);
  await browser.shows('.message:not(.editing) .prose', 'a mistake mended');
  assert.equal((await bob.call('GET', `/messages/${message.id}`)).content, 'a mistake mended');
});

test('drafts, replies and edits outlive the page, show in the list, and are the same in other tabs', async () => {
  const [ada, bob] = await two(4);
  await bob.say(ada, 'a question');
  const browser = await set.driver.browser();
  await ada.enter(browser, `u:${bob.id}`);
  await choose(browser, 'a question', 'Reply');
  await browser.write(COMPOSER, 'half an answ');
  const first = await browser.handle();
  await browser.tab();
  await browser.open(`${set.server.url}/#u:${bob.id}`);
  await browser.until('document.querySelector(".composer textarea").value === "half an answ" && document.querySelector(".context b").innerText.startsWith("Reply to Bob")');
  await browser.run('location.hash = ""');
  await browser.until('document.querySelector(".row .draft")');
  await browser.to(first);
  await browser.write(COMPOSER, 'er');
  await browser.reload();
  await browser.until('document.querySelector(".composer textarea")?.value === "half an answer"');
  await browser.write(COMPOSER, KEY.Enter);
  await browser.until('document.querySelector(".message.own:not(.pending) .quote")');
  await browser.until('document.querySelector(".composer textarea").value === ""');
  assert.ok((await bob.call('GET', `/messages?receiver_id=${ada.id}&before=latest`)).at(-1).reply_to);
});

test('cancelling an attachment leaves the text, and cells of a table are pasted as text', async () => {
  const [ada, bob] = await two(5);
  const browser = await set.driver.browser();
  await ada.enter(browser, `u:${bob.id}`);
  await browser.write(COMPOSER, 'a caption perhaps');
  const attach = 'const carried = new DataTransfer(); carried.items.add(new File(["abc"], "notes.txt", { type: "text/plain" }));';
  await browser.run(`${attach} const input = document.querySelector(".composer input[type=file]"); input.files = carried.files; input.dispatchEvent(new Event("change"));`);
  await browser.until('document.querySelector("dialog textarea")?.value === "a caption perhaps"');
  await browser.keys(KEY.Escape);
  await browser.until('!document.querySelector("dialog")');
  assert.equal(await browser.value('document.querySelector(".composer textarea").value'), 'a caption perhaps');
  const pasted = await browser.run(`${attach} carried.setData("text/plain", "1\\t2"); return document.querySelector(".composer textarea").dispatchEvent(new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true }));`);
  assert.equal(pasted, true, 'the browser pastes the text by itself');
  assert.equal(await browser.value('document.querySelectorAll("dialog").length'), 0);
});

test('what was refused stays refused over a reload, until it is tried again', async () => {
  const [ada, bob] = await two(6);
  const browser = await set.driver.browser();
  const group = await bob.group('refusing');
  await bob.add(group, ada);
  await ada.enter(browser, `g:${group.id}`);
  // The answer to a send is a refusal, as it would be of a server that does not take it any more.
  await browser.run('const real = fetch; window.fetch = (url, how) => (how?.method === "POST" && url.endsWith("/messages") ? Promise.resolve(new Response(JSON.stringify({ error: "not now", code: "forbidden" }), { status: 403 })) : real(url, how));');
  await browser.write(COMPOSER, `keep me${KEY.Enter}`);
  await browser.shows('.message.failed .failure span', 'not now');
  await browser.reload();
  await browser.shows('.message.failed .prose', 'keep me');
  assert.deepEqual(await bob.call('GET', `/messages?group_id=${group.id}`), []);
  await browser.press('.failure button', 'Try again');
  await browser.shows('.message.own:not(.pending) .prose', 'keep me');
});

test('an upload shows how far it is, can be cancelled, and outlives the page', async () => {
  const [ada, bob] = await two(7);
  const browser = await set.driver.browser();
  await ada.enter(browser, `u:${bob.id}`);
  await browser.cdp('Network.enable');
  await browser.cdp('Network.emulateNetworkConditions', { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: 60_000 });
  const send = async (name) => {
    await browser.run('const carried = new DataTransfer(); carried.items.add(new File([new Uint8Array(300000)], args[0])); const input = document.querySelector(".composer input[type=file]"); input.files = carried.files; input.dispatchEvent(new Event("change"));', name);
    await browser.press('dialog .primary', 'Send');
  };
  await send('first.bin');
  await browser.until('document.querySelector(".sending progress")');
  await browser.click('.sending button[aria-label^=Cancel]');
  await browser.until('!document.querySelector(".sending")');
  await send('second.bin');
  await browser.until('document.querySelector(".sending progress")');
  await browser.reload();
  await browser.cdp('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await browser.shows('.message.own:not(.pending) .attachment-name', 'second.bin');
  assert.deepEqual((await bob.call('GET', `/messages?receiver_id=${ada.id}`)).map((message) => message.file.name), ['second.bin']);
});

test('a text that is too long says so', async () => {
  const [ada, bob] = await two(8);
  const browser = await set.driver.browser();
  await ada.enter(browser, `u:${bob.id}`);
  await browser.run('const area = document.querySelector(".composer textarea"); area.value = "x".repeat(4100); area.dispatchEvent(new Event("input")); area.focus();');
  await browser.keys(KEY.Enter);
  await browser.until('[...document.querySelectorAll(".toast.error")].some((one) => one.innerText.includes("4 too long"))');
  assert.equal(await browser.value('document.querySelector(".limit").innerText'), '4 too many');
  assert.deepEqual(await texts(browser), []);
});
