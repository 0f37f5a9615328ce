// A live client for parlance without any library, for browsers and Node (20: --experimental-websocket).
export class Live {
  constructor(base, token, handlers) {
    Object.assign(this, { base, token, handlers });
    this.cursor = null; // Keep it (localStorage) to resume after a reload, too.
    this.known = new Map(); // By conversation, the last number seen.
    this.waiting = new Map(); // Sends without an answer, by their client_id.
    this.attempt = 0;
    this.connect();
  }

  connect() {
    const since = this.cursor ? `?since=${encodeURIComponent(this.cursor)}` : "";
    const url = this.base.replace(/^http/, "ws") + "/ws" + since;
    this.socket = new WebSocket(url, ["parlance.v1", `bearer.${this.token}`]);
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
    this.handlers[frame.event]?.(frame.data, frame);
    this.cursor = frame.cursor; // Only now: what was not handled comes again.
  }

  // Numbers only grow; a replay may leave out those that a later change made void. What is not greater was seen before.
  isNew({ conversation_id: conversation, update }) {
    if (update === undefined) return true;
    if (update <= (this.known.get(conversation) ?? 0)) return false;
    this.known.set(conversation, update);
    return true;
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

  closed({ code, reason }) {
    clearTimeout(this.timer);
    if (code === 4401) return this.handlers.signedOut?.(); // Only a new login helps.
    if (this.stopped) return;
    const hint = Number(/^retry=(\d+)$/.exec(reason)?.[1]);
    const backoff = Math.random() * Math.min(30_000, 500 * 2 ** this.attempt++);
    setTimeout(() => this.connect(), hint || backoff);
  }

  stop() {
    this.stopped = true;
    this.socket.close();
  }
}

// node --experimental-websocket client.mjs http://127.0.0.1:8080 NAME PASSWORD TO TEXT
if (globalThis.process?.argv[1]?.endsWith("client.mjs")) {
  const [base, username, password, to, content] = process.argv.slice(2);
  const call = async (path, body, token) => {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const answer = await fetch(base + path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
    const json = await answer.json();
    if (!answer.ok) throw new Error(`${path}: ${json.error}`);
    return json;
  };
  const { token } = await call("/login", { username, password });
  const [receiver] = await call(`/users?q=${encodeURIComponent(to)}&limit=1`, null, token);
  const live = new Live(base, token, {
    "message.created": (message) => console.log(`${message.sender.username}: ${message.content}`),
    resync: async ({ reason }, { conversation_id: of }) => {
      // Missed too much, or groups changed: load what is shown again, and go on.
      console.log(`reload ${of ?? "/conversations"}: ${reason}`);
    },
    signedOut: () => process.exit(1),
  });
  const sent = await live.send({ receiver_id: receiver.id, content });
  console.log(`sent as number ${sent.seq}`);
  setTimeout(() => live.stop(), Number(process.env.LISTEN_MS ?? 1000));
}
