export { Client, type ClientEvents, type ClientOptions } from './client.js';
export { Emitter } from './emitter.js';
export { Ledger, leafOf } from './ledger.js';
export { Live, pause, type Frame, type LiveOptions, type SocketClass } from './live.js';
export { Outbox, type OutboxOptions } from './outbox.js';
export {
  ApiError,
  Rest,
  isPassing,
  type Answer,
  type Options,
  type Page,
  type PathOf,
  type RestOptions,
  type Schemas,
} from './rest.js';
export type { components, operations, paths } from './schema.js';
export { Session, tokensOf, type SessionOptions, type Tokens } from './session.js';
export { sha256 } from './sha256.js';
export { IndexedDbStorage, MemoryStorage, type Entry, type Note, type OutboxStorage } from './storage.js';
export { Sync, type Fault, type Message, type SyncEvents, type SyncOptions, type Tombstone, type Via } from './sync.js';
