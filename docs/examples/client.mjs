// A live client for parlance without any library, for browsers and Node (20: --experimental-websocket).
export class Live {
  constructor(base, tokens, handlers) {
    Object.assign(this, { base, tokens, handlers }); // Keep the tokens, too: each renewal replaces both.
    this.cursor = null; // Keep it (localStorage) to resume after a reload, too.
    this.known = new Map(); // By conversation, the last number seen.
    this.waiting = new Map(); // Sends without an answer, by their client_id.
    this.books = new Map(); // By conversation, what the digest is made of.
    this.proof = Promise.resolve(); // One proof after the other.
    this.attempt = 0;
    this.connect();
  }

  connect() {
    const since = this.cursor ? `?since=${encodeURIComponent(this.cursor)}` : "";
    const url = this.base.replace(/^http/, "ws") + "/ws" + since;
    this.socket = new WebSocket(url, ["parlance.v1", `bearer.${this.tokens.token}`]);
    this.socket.onmessage = (message) => this.frame(JSON.parse(message.data));
    this.socket.onclose = (closed) => this.closed(closed);
    this.heard();
  }

  // A link that died without a word is noticed by its silence.
  heard(seconds = 30) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ping(seconds), seconds * 1000);
  }

  ping(seconds) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send('{"op":"ping"}');
    this.timer = setTimeout(() => this.socket.close(4000, "silence"), 10_000);
    this.silence = seconds;
  }

  frame(frame) {
    this.heard(this.silence);
    if (!this.isNew(frame)) return;
    if (frame.event === "hello") {
      this.attempt = 0;
      for (const send of this.waiting.values()) this.transmit(send);
    } else if (frame.event === "reply") {
      const send = this.waiting.get(frame.ref);
      this.waiting.delete(frame.ref);
      if (frame.ok) send?.resolve(frame.data);
      else send?.reject(Object.assign(new Error(frame.error.error), frame.error));
    }
    this.handlers[frame.event]?.(frame.data, frame); // An event without a handler counts by its `update` all the same.
    if (frame.update !== undefined) this.proof = this.proof.then(() => this.prove(frame)).catch(console.error);
    this.cursor = frame.cursor; // Only now: what was not handled comes again.
  }

  // Numbers only grow; a replay may leave out those that a later change made void. What is not greater was seen before.
  isNew({ conversation_id: conversation, update }) {
    if (update === undefined) return true;
    if (update <= (this.known.get(conversation) ?? 0)) return false;
    this.known.set(conversation, update);
    return true;
  }

  // Takes in an update, by the feed of changes what lies before it, and compares the digest. One that differs empties
  // the book, which is then read anew. (With many messages, find what differs by halving: GET .../digest?from&to.)
  async prove({ conversation_id: of, update, digest, data }, again = false) {
    const book = this.books.get(of) ?? { update: 0, leaves: new Map() };
    this.books.set(of, book);
    if (update < book.update) return; // The feed was ahead of the event.
    if (update === book.update + 1 && data.content !== undefined) {
      book.leaves.set(data.id, await leaf(data));
      book.update = update;
    }
    for (let more = book.update < update; more; ) {
      const page = await this.call(`/conversations/${of}/changes?limit=200&after=${book.update}`);
      for (const change of page.messages) book.leaves.set(change.id, await leaf(change));
      ({ more, update: book.update, digest } = page);
    }
    let sum = 0n;
    for (const hash of book.leaves.values()) sum += hash;
    if (digest === undefined || BigInt.asUintN(256, sum).toString(16).padStart(64, "0").startsWith(digest)) return;
    this.handlers.differs?.(of, again);
    this.books.delete(of);
    if (!again) await this.prove({ conversation_id: of, update: book.update, data: {} }, true);
  }

  async call(path, body) {
    const answer = await call(this.base, path, body, this.tokens.token);
    if (answer.status !== 401) return answer.json;
    await this.renew(this.tokens.token);
    return (await call(this.base, path, body, this.tokens.token)).json;
  }

  // A refresh token is good once: whoever comes while it is spent waits for the same renewal.
  renew(refused) {
    if (this.tokens.token !== refused) return Promise.resolve();
    this.renewing ??= call(this.base, "/token", { refresh_token: this.tokens.refresh_token })
      .then(({ ok, status, json }) => {
        if (!ok) throw Object.assign(new Error(json.error), { status });
        this.tokens = json;
      })
      .finally(() => (this.renewing = undefined));
    return this.renewing;
  }

  // The client_id makes a retry one: whatever happened to the first try, the message is there once.
  send(data) {
    const client_id = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      const send = { client_id, data: { ...data, client_id }, resolve, reject };
      this.waiting.set(client_id, send);
      this.transmit(send);
    });
  }

  transmit({ client_id, data }) {
    if (this.socket.readyState !== WebSocket.OPEN) return; // After the next hello.
    this.socket.send(JSON.stringify({ op: "send", ref: client_id, data }));
  }

  async closed({ code, reason }) {
    clearTimeout(this.timer);
    if (this.stopped) return;
    // The token has expired, or the session has ended: then only a new login helps.
    const ended = code === 4401 && (await this.renew(this.tokens.token).catch(({ status }) => status === 401));
    if (ended) return this.handlers.signedOut?.();
    const hint = Number(/^retry=(\d+)$/.exec(reason)?.[1]);
    const backoff = Math.random() * Math.min(30_000, 500 * 2 ** this.attempt++);
    setTimeout(() => this.connect(), hint || backoff);
  }

  stop() {
    this.stopped = true;
    this.socket.close();
  }
}

// What a message, or a tombstone, adds to the digest. (crypto.subtle: on pages with HTTPS, and on localhost.)
async function leaf({ id, seq, update, content, deleted_at }) {
  const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const bytes = new Uint8Array(65);
  const view = new DataView(bytes.buffer);
  bytes.set(id.replaceAll("-", "").match(/../g).map((pair) => parseInt(pair, 16)));
  view.setBigUint64(16, BigInt(seq));
  view.setBigUint64(24, BigInt(update));
  bytes[32] = deleted_at ? 0 : 1;
  bytes.set(await sha256(new TextEncoder().encode(deleted_at ? "" : content)), 33);
  return (await sha256(bytes)).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

async function call(base, path, body, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const method = body ? "POST" : "GET";
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const json = await answer.json();
  if (!answer.ok && answer.status !== 401) throw new Error(`${path}: ${json.error}`);
  return { ok: answer.ok, status: answer.status, json };
}

// node --experimental-websocket client.mjs http://127.0.0.1:8080 NAME PASSWORD TO TEXT
if (globalThis.process?.argv[1]?.endsWith("client.mjs")) {
  const [base, username, password, to, content] = process.argv.slice(2);
  const login = await call(base, "/login", { username, password });
  if (!login.ok) throw new Error(login.json.error);
  const users = await call(base, `/users?q=${encodeURIComponent(to)}&limit=1`, null, login.json.token);
  const [receiver] = users.json;
  const live = new Live(base, login.json, {
    "message.created": (message) => console.log(`${message.sender.username}: ${message.content}`),
    resync: async ({ reason }, { conversation_id: of }) => {
      // Missed too much, or groups changed: load what is shown again, and go on.
      console.log(`reload ${of ?? "/conversations"}: ${reason}`);
    },
    differs: (of, again) => console.log(`the digest of ${of} differs${again ? " still" : ""}`),
    signedOut: () => process.exit(1),
  });
  const sent = await live.send({ receiver_id: receiver.id, content });
  console.log(`sent as number ${sent.seq}`);
  setTimeout(() => live.stop(), Number(process.env.LISTEN_MS ?? 1000));
}
