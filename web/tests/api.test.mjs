import assert from 'node:assert/strict';
import test from 'node:test';
import { Api, HOME } from '../js/api.js';

/** The client below `base`, and what it asked for; each answer is the next of `answers`: a body and a `Link`, if any. */
function below(base, answers) {
  const asked = [];
  globalThis.fetch = async (url) => {
    asked.push(url);
    const { body = [], link } = answers.shift();
    return { ok: true, status: 200, json: async () => body, blob: async () => 'bytes', headers: new Headers(link ? { link } : {}) };
  };
  return { api: new Api({ base }), asked };
}

test('the server is where this file is from', () => {
  assert.ok(import.meta.url.startsWith(`${HOME}/`));
  assert.ok(!HOME.endsWith('/'));
});

test('pages follow one another, whether the server knows the path before it or not', async () => {
  for (const base of ['', 'https://example.org', 'https://example.org/chat']) {
    for (const prefix of ['', '/chat']) {
      const link = `<${prefix}/conversations?limit=100&before=1%3A2>; rel="next"`;
      const { api, asked } = below(base, [{ body: [1], link }, { body: [2] }]);
      const first = await api.conversations();
      assert.deepEqual((await api.conversations(first.next)).next, null);
      assert.deepEqual(asked, [`${base}/conversations?limit=100`, `${base}/conversations?limit=100&before=1%3A2`]);
    }
  }
});

test('a file is found by what follows that path', async () => {
  for (const prefix of ['', '/chat', '/uploads/of/us']) {
    const { api, asked } = below('https://example.org/chat', [{}]);
    assert.equal(await api.download({ url: `${prefix}/uploads/01890a5d/a%2Fuploads%2Fb.png` }), 'bytes');
    assert.deepEqual(asked, ['https://example.org/chat/uploads/01890a5d/a%2Fuploads%2Fb.png']);
  }
});
