// What is open, as the part of the address behind `#`: a conversation's key, and perhaps a message of it.

const FORM = /^([ug]:[0-9a-f-]{36}|all)(?:\/([0-9a-f-]{36}))?$/;

/** @returns {{ key: string | null, message: string | null }} */
export function parseRoute(hash) {
  let text = '';
  try {
    text = decodeURIComponent(hash.slice(1));
  } catch {
    // What can't be decoded names nothing.
  }
  const found = FORM.exec(text);
  return { key: found?.[1] ?? null, message: found?.[2] ?? null };
}

/** `onRoute(key, message)` is called whenever another place is to be shown. */
export function routes({ onRoute }) {
  let key = null;
  /** How many entries of the history are ours above the list: going back removes one of them. */
  let depth = 0;

  function changed() {
    const now = parseRoute(location.hash);
    // The system's Back closes what lies above the page first, and leaves the page as it is.
    const above = document.querySelector('dialog[open]');
    if (above && now.key !== key) {
      above.close();
      history.pushState(null, '', key ? `#${key}` : location.pathname);
      return;
    }
    key = now.key;
    onRoute(key, now.message);
    // The message is a place to go to once.
    if (now.message) history.replaceState(null, '', `#${key}`);
  }

  function go(to, message = null) {
    if (to === null) return void back();
    if (to === key) return void onRoute(key, message);
    if (key === null) depth = 1;
    location.hash = message ? `${to}/${message}` : to;
    return undefined;
  }

  /** To the list: by going back where that leads there, so that the history does not grow. */
  function back() {
    if (depth === 1) {
      depth = 0;
      history.back();
    } else if (location.hash) {
      history.replaceState(null, '', location.pathname);
      changed();
    }
  }

  window.addEventListener('hashchange', changed);
  return {
    go, back,
    get key() { return key; },
    start: changed,
    stop: () => window.removeEventListener('hashchange', changed),
  };
}
