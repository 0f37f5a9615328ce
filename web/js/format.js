// Times, sizes and names as people read them.

const LANGUAGE = globalThis.navigator?.language;
const clock = new Intl.DateTimeFormat(LANGUAGE, { hour: '2-digit', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(LANGUAGE, { weekday: 'short' });
const dayAndMonth = new Intl.DateTimeFormat(LANGUAGE, { day: 'numeric', month: 'long' });
const shortDate = new Intl.DateTimeFormat(LANGUAGE, { day: '2-digit', month: '2-digit', year: '2-digit' });
const fullDate = new Intl.DateTimeFormat(LANGUAGE, { day: 'numeric', month: 'long', year: 'numeric' });
const everything = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: 'full', timeStyle: 'medium' });

const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
const daysAgo = (date, now) => Math.round((midnight(now) - midnight(date)) / 86_400_000);

export const time = (iso) => clock.format(new Date(iso));
export const moment = (iso) => everything.format(new Date(iso));

/** For a list: the time today, the weekday this week, else the date. */
export function brief(iso, now = new Date()) {
  const date = new Date(iso);
  const days = daysAgo(date, now);
  if (days <= 0) return clock.format(date);
  return days < 7 ? weekday.format(date) : shortDate.format(date);
}

/** For the line between two days. */
export function day(iso, now = new Date()) {
  const date = new Date(iso);
  const days = daysAgo(date, now);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return date.getFullYear() === now.getFullYear() ? dayAndMonth.format(date) : fullDate.format(date);
}

export function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function initials(name) {
  const words = name.trim().split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0] ?? '?'];
  return letters.map((word) => String.fromCodePoint(word.codePointAt(0))).join('').toUpperCase();
}

/** One of eight colours, always the same for the same id. */
export function hue(id) {
  let hash = 0;
  for (const character of id) hash = (hash * 31 + character.charCodeAt(0)) >>> 0;
  return hash % 8;
}

export const count = (n) => (n > 999 ? '999+' : String(n));
export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** The web addresses in a text: pieces of `{ text }` and `{ text, href }`. */
export function links(text) {
  const pieces = [];
  let end = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"'`]+/gi)) {
    // What closes a sentence is no part of the address.
    const address = match[0].replace(/[.,;:!?)\]}»”’]+$/, '');
    if (!URL.canParse(address)) continue;
    if (match.index > end) pieces.push({ text: text.slice(end, match.index) });
    pieces.push({ text: address, href: address });
    end = match.index + address.length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end) });
  return pieces;
}

/** One line that says what a message is. */
export function summary(message) {
  const text = message.content.replace(/\s+/g, ' ').trim();
  if (message.type === 'image') return text ? `🖼 ${text}` : '🖼 Photo';
  if (message.type === 'file') return `📎 ${text || message.file?.name || 'File'}`;
  return text;
}
