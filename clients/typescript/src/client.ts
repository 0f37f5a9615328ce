// A client: the routes, the live connection, the outbox and the proof that nothing is missing, put together.

import { Live, type Frame, type SocketClass } from './live.js';
import { Outbox } from './outbox.js';
import { ApiError, Rest, type RestOptions, type Schemas } from './rest.js';
import { Sync, type SyncEvents, type SyncOptions } from './sync.js';
import type { Entry, OutboxStorage } from './storage.js';
import { Emitter } from './emitter.js';

export interface ClientOptions extends Pick<SyncOptions, 'history' | 'known'> {
  /** By `Rest.logIn`, or `new Rest({ url, tokens })`. */
  rest: Rest;
  /** Where the outbox keeps messages; in memory if absent. */
  storage?: OutboxStorage;
  /** Another class than the global `WebSocket`; null takes Server-Sent Events. */
  socket?: SocketClass | null;
  fetch?: RestOptions['fetch'];
  /** Where an earlier run's connection ended. */
  cursor?: string | null;
}

export interface ClientEvents extends SyncEvents {
  /** Every frame, before anything is done with it. */
  frame: Frame;
  state: 'online' | 'connecting';
  /** The session has ended: only a new login helps. */
  signedOut: undefined;
  outbox: Entry[];
}

export class Client extends Emitter<ClientEvents> {
  readonly rest: Rest;
  readonly sync: Sync;
  readonly live: Live;
  readonly outbox: Outbox;

  constructor(options: ClientOptions) {
    super();
    const { rest } = options;
    const session = rest.session;
    if (!session) throw new TypeError('a client needs a session: give `tokens` to its Rest');
    this.rest = rest;
    this.sync = new Sync({ ...options, emit: (name, value) => this.emit(name, value as ClientEvents[typeof name]) });
    this.live = new Live({
      url: rest.url,
      token: () => session.token(),
      renew: (refused) => session.renew(refused),
      onFrame: (frame) => {
        this.emit('frame', frame);
        this.sync.frame(frame);
      },
      onState: (state) => {
        if (state === 'online') this.outbox.nudge();
        this.emit('state', state);
      },
      onSignedOut: () => {
        this.stop();
        this.emit('signedOut', undefined);
      },
      ...(options.socket !== undefined && { socket: options.socket }),
      ...(options.fetch && { fetch: options.fetch }),
      cursor: options.cursor ?? null,
    });
    this.outbox = new Outbox({
      deliver: (entry, keep) => this.deliver(entry, keep),
      ...(options.storage && { storage: options.storage }),
      onChange: (entries) => this.emit('outbox', entries),
    });
  }

  /** Connects. Resolves once the client has the list of conversations, and what is new in each; rejects if signed out. */
  async start(): Promise<void> {
    const listed = new Promise<void>((resolve, reject) => {
      const offs = [
        this.on('listed', () => settle(resolve)),
        this.on('signedOut', () => settle(() => reject(new ApiError(401)))),
      ];
      const settle = (act: () => void) => {
        for (const off of offs) off();
        act();
      };
    });
    this.outbox.start();
    this.live.start();
    await listed;
    await this.sync.list();
  }

  stop(): void {
    this.live.stop();
    this.outbox.stop();
    this.sync.stop();
  }

  /** Sends a message, however long it takes, once. Resolves with what the server stored. */
  send(body: Entry['body'], file?: { file: Blob; name: string }): Promise<Schemas['Message']> {
    return this.outbox.add(body, file).sent;
  }

  /**
   * Compares a conversation with the server, and repairs it if need be: whether both are the same. Where there is a
   * WebSocket it also tells the server's operator of a difference.
   */
  async verify(conversation: string): Promise<boolean> {
    const ledger = this.sync.ledgers.get(conversation);
    const digest = ledger?.short();
    if (ledger && digest) {
      await this.live.operate('verify', { conversation_id: conversation, update: ledger.known, digest });
    }
    return this.sync.verify(conversation);
  }

  private async deliver(entry: Entry, keep: (entry: Entry) => Promise<void>): Promise<Schemas['Message']> {
    let { body } = entry;
    if (entry.file && !body.file_id) {
      const file = await this.rest.upload(entry.file, entry.file_name);
      const type = /^image\/(png|jpeg|gif|webp)$/.test(file.type) ? 'image' : 'file';
      body = { ...body, file_id: file.id, type: body.type ?? type };
      // A retry sends the file that is there.
      await keep({ ...entry, body });
    }
    const { broadcast, ...message } = body;
    if (!broadcast) return this.rest.call('post', '/messages', { body: message });
    const headers = { 'Idempotency-Key': entry.id };
    const { id } = await this.rest.call('post', '/broadcast/send', {
      body: { content: message.content ?? '' },
      headers,
    });
    if (!id) throw new ApiError(500);
    return this.rest.call('get', '/messages/{id}', { path: { id } });
  }
}
