// The live connection: one WebSocket, resumed where it was cut, tried again with growing and random pauses.

const LONGEST_PAUSE = 30_000;
/** How long an answer to a ping may take. */
const PATIENCE = 10_000;
/** Close codes of the server (docs/api.md, Live): the session ended, and events may be missing. */
const SIGNED_OUT = 4401;
const TOO_SLOW = 4408;

/** How long to wait before the `failures`th try in a row: doubled each time, anywhere between half of it and all of it. */
export function pause(failures, random = Math.random) {
  const most = Math.min(LONGEST_PAUSE, 500 * 2 ** Math.min(failures, 10));
  return most / 2 + (random() * most) / 2;
}

export class Live {
  /**
   * `onFrame(frame)` gets every event, `onState('online' | 'connecting')` every change, `onSignedOut()` is called when the
   * session or its token has ended (`connect()` goes on with another token), and `onRefused()` when a connection failed before it opened (a browser doesn't tell why).
   */
  constructor({ url, token, onFrame, onState, onSignedOut, onRefused, socket = globalThis.WebSocket, timers = globalThis, random = Math.random }) {
    Object.assign(this, { url, token, onFrame, onState, onSignedOut, onRefused, Socket: socket, timers, random });
    this.cursor = null;
    this.failures = 0;
    this.heartbeat = 25_000;
    this.current = null;
    this.stopped = false;
  }

  start() {
    this.connect();
  }

  stop() {
    this.stopped = true;
    this.timers.clearTimeout(this.retry);
    this.timers.clearTimeout(this.pulse);
    this.current?.close(1000);
    this.current = null;
  }

  /** Reconnects at once, for when the browser reports that the network is back; pings a connection that is up. */
  nudge() {
    if (this.stopped) return;
    if (this.current) {
      if (this.current.readyState === 1) this.ping();
      return;
    }
    this.timers.clearTimeout(this.retry);
    this.connect();
  }

  /** The browser says that the network is gone: gives the connection up at once, without waiting for a ping to fail. */
  offline() {
    const socket = this.current;
    if (this.stopped || !socket) return;
    socket.onclose = socket.onmessage = null;
    socket.close();
    this.lost(1006, true);
  }

  /** Tries again later, as after a failure. */
  retryLater() {
    this.timers.clearTimeout(this.retry);
    this.retry = this.timers.setTimeout(() => this.connect(), pause(this.failures, this.random));
    this.failures += 1;
  }

  /** Sends an operation; false if there is no connection to send it on. */
  send(operation) {
    if (this.current?.readyState !== 1) return false;
    this.current.send(JSON.stringify(operation));
    return true;
  }

  connect() {
    if (this.stopped) return;
    const since = this.cursor === null ? '' : `?since=${encodeURIComponent(this.cursor)}`;
    const socket = new this.Socket(this.url + since, ['parlance.v1', `bearer.${this.token()}`]);
    this.current = socket;
    let greeted = false;
    socket.onmessage = ({ data }) => {
      if (this.current !== socket) return;
      const frame = JSON.parse(data);
      this.alive();
      if (frame.event === 'pong') return;
      if (frame.event === 'hello') {
        greeted = true;
        this.failures = 0;
        this.heartbeat = (frame.data.heartbeat_seconds || 25) * 1000;
        this.onState('online');
      }
      this.onFrame(frame);
      // Only after handling the frame: if a fault here loses it, the server sends it again after the next connection.
      if (frame.cursor) this.cursor = frame.cursor;
    };
    socket.onclose = ({ code }) => {
      if (this.current !== socket) return;
      this.lost(code, greeted);
    };
  }

  lost(code, greeted) {
    this.current = null;
    this.timers.clearTimeout(this.pulse);
    if (this.stopped) return;
    this.onState('connecting');
    if (code === SIGNED_OUT) {
      this.onSignedOut();
      return;
    }
    if (!greeted) this.onRefused();
    const wait = code === TOO_SLOW ? this.random() * 500 : pause(this.failures, this.random);
    this.failures += 1;
    this.retry = this.timers.setTimeout(() => this.connect(), wait);
  }

  /** Something came: the next ping can wait. */
  alive() {
    this.timers.clearTimeout(this.pulse);
    this.pulse = this.timers.setTimeout(() => this.ping(), this.heartbeat);
  }

  /** Asks for a sign of life, since a connection can be dead for minutes before the browser says so. */
  ping() {
    if (!this.send({ op: 'ping' })) return;
    const socket = this.current;
    this.timers.clearTimeout(this.pulse);
    this.pulse = this.timers.setTimeout(() => {
      if (this.current !== socket) return;
      socket.onclose = socket.onmessage = null;
      socket.close();
      this.lost(1006, true);
    }, PATIENCE);
  }
}
