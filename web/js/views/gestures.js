// What fingers do with a message: holding it opens its menu, drawing it aside answers it.

const HOLD = 450;
const ENOUGH = 56;

/** `onHold(element, x, y)`, `onSwipe(element)`: for the `.message` below the finger. */
export function gestures(area, { onHold, onSwipe }) {
  let start = null;
  let timer = 0;
  const reset = () => {
    clearTimeout(timer);
    if (start) {
      start.element.style.translate = '';
      start.element.classList.remove('swiping');
    }
    start = null;
  };
  area.addEventListener('touchstart', (event) => {
    const element = event.target.closest('.message:not(.pending)');
    if (!element || event.touches.length > 1) return reset();
    const { clientX: x, clientY: y } = event.touches[0];
    start = { element, x, y, by: 0 };
    timer = setTimeout(() => {
      const held = start;
      reset();
      if (held) onHold(held.element, held.x, held.y);
    }, HOLD);
    return undefined;
  }, { passive: true });
  area.addEventListener('touchmove', (event) => {
    if (!start) return;
    const [x, y] = [event.touches[0].clientX - start.x, event.touches[0].clientY - start.y];
    if (Math.hypot(x, y) > 8) clearTimeout(timer);
    if (Math.abs(y) > 24 && start.by === 0) return reset();
    start.by = Math.max(-ENOUGH * 1.3, Math.min(0, x));
    if (start.by < -12) {
      start.element.classList.add('swiping');
      start.element.style.translate = `${start.by}px`;
    }
    return undefined;
  }, { passive: true });
  area.addEventListener('touchend', () => {
    const swiped = start && start.by <= -ENOUGH ? start.element : null;
    reset();
    if (swiped) onSwipe(swiped);
  });
  area.addEventListener('touchcancel', reset);
}
