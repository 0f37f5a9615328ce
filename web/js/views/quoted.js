// Finds what messages reply to.

/**
 * Gives the function that gives, for a message, the one it replies to: loaded, fetched before, or asked for now (`null` until
 * it is there, then `onChange` is called); `'gone'` if it is deleted, `undefined` if it replies to none.
 */
export function quotedMessages({ key, api, store, onChange }) {
  const fetched = new Map();
  return ({ reply_to: id }) => {
    if (!id) return undefined;
    const c = store.get(key);
    if (c.deleted.has(id)) return 'gone';
    const loaded = c.messages.get(id);
    if (loaded) return loaded;
    if (!fetched.has(id)) {
      fetched.set(id, null);
      api.message(id).then((found) => fetched.set(id, found), (error) => {
        if (error.status === 404) fetched.set(id, 'gone');
      }).then(onChange);
    }
    return fetched.get(id);
  };
}
