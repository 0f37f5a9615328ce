// Hands entries of the outbox to the server.

import { target } from './api.js';
import { EVERYONE } from './conversation.js';

/** Gives the function that sends an entry; `onProgress(key)` is called as a file goes up. */
export function deliverer({ api, sync, onProgress }) {
  const sendTo = {
    async edit(entry) {
      sync.applyMessage(await api.edit(entry.message_id, entry.content));
    },
    async send(entry) {
      const { key, content, reply_to, thread_id, client_id, forward } = entry;
      if (key === EVERYONE) {
        const { id } = await api.broadcast(content, client_id);
        sync.applyMessage(await api.message(id));
        return;
      }
      if (entry.file && !entry.stored) {
        entry.stored = await api.upload(entry.file, { signal: entry.abort?.signal, onProgress: (share) => {
          entry.progress = share;
          onProgress(key);
        } });
      }
      const { stored } = entry;
      const carried = stored ? { type: /^image\/(png|jpeg|gif|webp)$/.test(stored.type) ? 'image' : 'file', file_id: stored.id } : {};
      const body = forward ? { forward } : { ...carried, content };
      sync.applyMessage(await api.send({ ...target(key), ...body, reply_to, thread_id, client_id }));
    },
  };
  return (entry) => sendTo[entry.kind ?? 'send'](entry);
}
