// Walking through messages by keyboard: one of them is in the tab order, the newest at first; the arrow keys move on.

/**
 * `onKey(element, event)` gets the keys that are no walking, pressed on a message itself; true if it did something.
 */
export function walkMessages(scroller, list, { onKey }) {
  let current = null;
  const all = () => [...list.querySelectorAll('.message')];

  function choose(element) {
    if (current === element) return;
    if (current) current.tabIndex = -1;
    current = element;
    if (current) current.tabIndex = 0;
  }

  /** After every change: the newest message is in the tab order, unless the focus is on another one. */
  function update() {
    if (current?.isConnected && current === document.activeElement) return;
    choose(all().at(-1) ?? null);
  }

  function focus(element, { quietly = false } = {}) {
    if (!element) return;
    choose(element);
    element.focus({ preventScroll: true });
    if (!quietly) element.scrollIntoView({ block: 'nearest' });
  }

  scroller.addEventListener('focusin', ({ target }) => {
    const element = target.closest('.message');
    if (element) choose(element);
  });
  scroller.addEventListener('keydown', (event) => {
    const element = document.activeElement.closest?.('.message');
    if (!element || event.altKey) return;
    const messages = all();
    const at = messages.indexOf(element);
    const page = Math.max(1, Math.floor(scroller.clientHeight / 90));
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: messages.length - 1, PageUp: at - page, PageDown: at + page }[event.key];
    if (to !== undefined) focus(messages[Math.max(0, Math.min(messages.length - 1, to))]);
    else if (document.activeElement !== element || !onKey(element, event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { update, focus };
}
