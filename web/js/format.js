// Times, sizes and names as people read them.

import { plain } from './markdown.js';

const LANGUAGE = globalThis.navigator?.language;
const clock = new Intl.DateTimeFormat(LANGUAGE, { hour: 'numeric', minute: '2-digit' });
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

/** The hue of somebody's colour, in degrees: one of 24, always the same for the same id. */
export function hue(id) {
  let hash = 0x811c9dc5;
  for (const character of id) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
  return ((hash ^ (hash >>> 15)) % 24) * 15;
}

/** Whether a text is written from right to left: by its first letter. */
export const isRightToLeft = (text) => /^[^\p{L}]*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/u.test(text);

export const count = (n) => (n > 999 ? '999+' : String(n));
export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** The icon that stands for what a message carries, or `null`. */
export const summaryIcon = (message) => ({ image: 'image', file: 'file' })[message.type] ?? null;

/** One line that says what a message is, without its marks. */
export function summary(message) {
  const text = plain(message.content).replace(/\s+/g, ' ').trim();
  if (message.type === 'image') return text || 'Photo';
  if (message.type === 'file') return text || message.file?.name || 'File';
  return text;
}
