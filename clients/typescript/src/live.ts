// The live connection: a WebSocket, or Server-Sent Events where there is none (Node 20), resumed where it was cut.

import type { Schemas } from './rest.js';

const LONGEST_PAUSE = 30_000;
/** How long an answer to a ping may take. */
const PATIENCE = 10_000;
/** Close code: the session ended, or its token. */
const SIGNED_OUT = 4401;

export interface Frame {
  event: string;
  cursor?: string;
  conversation_id?: string;
  update?: number;
  digest?: string;
  data: unknown;
  ref?: string;
  ok?: boolean;
  error?: Schemas['Error'];
}

/** How long to wait before the `failures`th try in a row: doubled each time, anywhere between half of it and all of it. */
export function pause(failures: number, random: () => number = Math.random): number {
  const most = Math.min(LONGEST_PAUSE, 500 * 2 ** Math.min(failures, 10));
  return most / 2 + (random() * most) / 2;
}

export type SocketClass = new (url: string, protocols: string[]) => WebSocket;

export interface LiveOptions {
  url: string;
  token: () => Promise<string>;
  /** Another token than the one refused; rejects with an error with `status` 401 where the session has ended. */
  renew: (refused: string) => Promise<string>;
  onFrame: (frame: Frame) => void;
  onState: (state: 'online' | 'connecting') => void;
  onSignedOut: () => void;
  /** `null` takes Server-Sent Events. */
  socket?: SocketClass | null;
  fetch?: typeof fetch;
  /** Where an earlier connection ended. */
  cursor?: string | null;
}

interface Link {
  send(text: string): boolean;
  close(): void;
}

export class Live {
  cursor: string | null;
  private link: Link | null = null;
  private failures = 0;
  private heartbeat = 25_000;
  private stopped = false;
  private opening = false;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private pulse: ReturnType<typeof setTimeout> | undefined;
  private readonly replies = new Map<string, (frame: Frame | null) => void>();
  private refs = 0;

  constructor(private readonly options: LiveOptions) {
    this.cursor = options.cursor ?? null;
  }

  start(): void {
    void this.connect();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retry);
    clearTimeout(this.pulse);
    const link = this.link;
    this.link = null;
    link?.close();
    this.unanswered();
  }

  /** Reconnects at once, for when the network is back; pings a connection that is up. */
  nudge(): void {
    if (this.stopped) return;
    if (this.link) return this.ping();
    clearTimeout(this.retry);
    void this.connect();
  }

  /** Cuts the connection; it comes back by itself, and resumes. */
  cut(): void {
    const link = this.link;
    if (!link) return;
    this.link = null;
    link.close();
    this.lost(1006, '', true);
  }

  /** Sends an operation. Resolves with the reply, or null if the connection does not carry one. */
  operate(op: string, data: object): Promise<Frame | null> {
    const ref = String((this.refs += 1));
    return new Promise((resolve) => {
      this.replies.set(ref, resolve);
      if (this.link?.send(JSON.stringify({ op, ref, data }))) return;
      this.replies.delete(ref);
      resolve(null);
    });
  }

  private unanswered(): void {
    for (const resolve of this.replies.values()) resolve(null);
    this.replies.clear();
  }

  private async connect(): Promise<void> {
    if (this.opening || this.link || this.stopped) return;
    this.opening = true;
    let token: string;
    try {
      token = await this.options.token();
    } catch (error) {
      this.opening = false;
      return (error as { status?: number }).status === 401 ? this.signedOut() : this.lost(1006, '', false);
    }
    this.opening = false;
    if (this.stopped) return;
    this.open(token);
  }

  private open(token: string): void {
    let greeted = false;
    const taken = (text: string) => {
      if (this.link !== link) return;
      const frame = JSON.parse(text) as Frame;
      if (frame.event === 'hello') greeted = true;
      this.take(frame);
    };
    const closed = (code: number, reason: string) => {
      if (this.link !== link) return;
      this.link = null;
      void this.ended(code, reason, greeted, token);
    };
    const socket =
      this.options.socket === undefined ? (globalThis.WebSocket as SocketClass | undefined) : this.options.socket;
    const since = this.cursor === null ? '' : `?since=${encodeURIComponent(this.cursor)}`;
    const link: Link = socket
      ? bySocket(socket, `${this.options.url.replace(/^http/, 'ws')}/ws${since}`, token, taken, closed)
      : byEvents(this.options.fetch ?? fetch, `${this.options.url}/events`, this.cursor, token, taken, closed);
    this.link = link;
    this.alive();
  }

  private take(frame: Frame): void {
    this.alive();
    if (frame.event === 'pong') return;
    if (frame.event === 'hello') {
      this.failures = 0;
      this.heartbeat = ((frame.data as Schemas['Hello']).heartbeat_seconds || 25) * 1000;
      this.options.onState('online');
    }
    if (frame.event === 'reply') {
      this.replies.get(frame.ref ?? '')?.(frame);
      this.replies.delete(frame.ref ?? '');
    }
    this.options.onFrame(frame);
    // Only after handling the frame: if a fault here loses it, the server sends it again after the next connection.
    if (frame.cursor) this.cursor = frame.cursor;
  }

  /** A browser does not tell why a connection failed before it opened: the token may be why. */
  private async ended(code: number, reason: string, greeted: boolean, token: string): Promise<void> {
    if (this.stopped) return;
    if (code !== SIGNED_OUT) return this.lost(code, reason, greeted);
    try {
      await this.options.renew(token);
    } catch (error) {
      if ((error as { status?: number }).status === 401) return this.signedOut();
    }
    this.lost(code, reason, greeted);
  }

  private signedOut(): void {
    this.stop();
    this.options.onSignedOut();
  }

  private lost(code: number, reason: string, greeted: boolean): void {
    clearTimeout(this.pulse);
    this.unanswered();
    if (this.stopped) return;
    this.options.onState('connecting');
    const hint = Number(/^retry=(\d+)$/.exec(reason)?.[1] ?? Number.NaN);
    const wait = code === SIGNED_OUT && greeted ? 0 : Number.isNaN(hint) ? pause(this.failures) : hint;
    this.failures += 1;
    this.retry = setTimeout(() => void this.connect(), wait);
  }

  /** Something came: the next ping can wait. */
  private alive(): void {
    clearTimeout(this.pulse);
    this.pulse = setTimeout(() => this.ping(), this.heartbeat);
  }

  /** Asks for a sign of life, since a connection can be dead for minutes before the system says so. */
  private ping(): void {
    const asked = this.link?.send('{"op":"ping"}') ?? false;
    clearTimeout(this.pulse);
    // On Server-Sent Events nobody can ask; the server sends a comment at each heartbeat.
    this.pulse = setTimeout(() => this.cut(), asked ? PATIENCE : this.heartbeat + PATIENCE);
  }
}

type Taken = (text: string) => void;
type Closed = (code: number, reason: string) => void;

function bySocket(Socket: SocketClass, url: string, token: string, taken: Taken, closed: Closed): Link {
  const socket = new Socket(url, ['parlance.v1', `bearer.${token}`]);
  socket.onmessage = ({ data }) => taken(data as string);
  socket.onclose = ({ code, reason }) => closed(code, reason);
  // Node 20 says no more than this of a connection that failed before it opened.
  socket.onerror = () => closed(1006, '');
  return {
    send(text) {
      if (socket.readyState !== 1) return false;
      socket.send(text);
      return true;
    },
    close() {
      socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close(1000);
    },
  };
}

/** Server-Sent Events by `fetch`, since `EventSource` sends no token. */
function byEvents(
  get: typeof fetch,
  url: string,
  cursor: string | null,
  token: string,
  taken: Taken,
  closed: Closed,
): Link {
  const ending = new AbortController();
  const headers = { Authorization: `Bearer ${token}`, ...(cursor !== null && { 'Last-Event-ID': cursor }) };
  const read = async () => {
    const response = await get(url, { headers, signal: ending.signal });
    if (!response.ok || !response.body) return response.status === 401 ? SIGNED_OUT : 1006;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 1006;
      const lines = (rest + value).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('data:')) taken(line.slice(5));
    }
  };
  void read()
    .catch(() => 1006)
    .then((code) => closed(code, ''));
  return { send: () => false, close: () => ending.abort() };
}
