// The list's order and what a newer word about a call changes in it. Pure: the feed and its tests use it.
import type { CallSummary } from './api.ts';
import { dayName, isoDay } from './time.ts';

/** The calls that are known, by id. */
export type Calls = ReadonlyMap<string, CallSummary>;

export function isLive(call: Pick<CallSummary, 'state'>): boolean {
  return call.state === 'active';
}

/**
 * Which of two words about the same call holds. A page that was asked for before an event and came after it is older
 * than the event, and nothing in it says so: but a call never comes back to life and never loses its recording.
 */
export function newer(known: CallSummary, said: CallSummary): CallSummary {
  if (isLive(said) && !isLive(known)) return known;
  if (isLive(said) && known.answered_at !== null && said.answered_at === null) return known;
  if (known.has_audio && !said.has_audio) return known;
  return said;
}

/** Adds `said` to what is known. Gives back the same map when nothing changed. */
export function merge(known: Calls, said: readonly CallSummary[]): Calls {
  let merged: Map<string, CallSummary> | null = null;
  for (const call of said) {
    const before = (merged ?? known).get(call.id);
    const after = before ? newer(before, call) : call;
    if (before && (after === before || same(before, after))) continue;
    merged ??= new Map(known);
    merged.set(call.id, after);
  }
  return merged ?? known;
}

function same(a: CallSummary, b: CallSummary): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Forgets the live calls that control no longer counts among the live ones. */
export function withoutStaleLive(known: Calls, live: ReadonlySet<string>): Calls {
  const stale = [...known.values()].filter((call) => isLive(call) && !live.has(call.id));
  if (stale.length === 0) return known;
  const kept = new Map(known);
  for (const call of stale) kept.delete(call.id);
  return kept;
}

/**
 * Live calls first, then finished ones, each newest first. Finished calls that began before `frontier`, the oldest row
 * of the last page, wait until paging reaches them: in between are rows that nobody has asked for yet.
 */
export function order(calls: Calls, frontier: string | null): CallSummary[] {
  const shown = [...calls.values()].filter(
    (call) => isLive(call) || frontier === null || compareInstants(call.started_at, frontier) >= 0,
  );
  return shown.sort(
    (a, b) =>
      Number(isLive(b)) - Number(isLive(a)) ||
      compareInstants(b.started_at, a.started_at) ||
      (a.id < b.id ? 1 : a.id > b.id ? -1 : 0),
  );
}

/** Orders two RFC 3339 instants; beyond the millisecond by their text. */
export function compareInstants(a: string, b: string): number {
  if (a === b) return 0;
  return Date.parse(a) - Date.parse(b) || (a < b ? -1 : 1);
}

/** A line of the list: a heading over live calls or over a day, or a call. */
export type Item =
  | { kind: 'heading'; key: string; title: string; count: number | null }
  | { kind: 'call'; key: string; call: CallSummary };

/** Puts headings between ordered calls. */
export function withHeadings(calls: readonly CallSummary[], now: Date): Item[] {
  const items: Item[] = [];
  const live = calls.findIndex((call) => !isLive(call));
  const liveCount = live < 0 ? calls.length : live;
  let heading = '';
  for (const call of calls) {
    const started = new Date(call.started_at);
    const key = isLive(call) ? 'live' : isoDay(started);
    if (key !== heading) {
      heading = key;
      const title = isLive(call) ? 'Live now' : dayName(started, now);
      items.push({ kind: 'heading', key: `h:${key}`, title, count: isLive(call) ? liveCount : null });
    }
    items.push({ kind: 'call', key: call.id, call });
  }
  return items;
}

/** Lines and where each begins, px; `tops` has one entry more than there are lines: the end. */
export interface Layout {
  items: readonly Item[];
  tops: readonly number[];
}

/**
 * How far the page must scroll so that what is being read stays where it is, px. The anchor is the line that has the
 * focus (`focused`, its key) while it is in view, else the first line in view that keeps its group: a call that ends in
 * this moment moves to another place, the lines around it do not. The window shows `view.from` to `view.to`.
 */
export function anchorShift(before: Layout, after: Layout, view: { from: number; to: number }, focused: string | null): number {
  // At the top new calls are to be seen.
  if (view.from <= 0) return 0;
  const at = new Map(after.items.map((item, index) => [item.key, index]));
  const shiftOf = (index: number): number | null => {
    const item = before.items[index];
    const next = item && at.get(item.key);
    const there = next === undefined ? undefined : after.items[next];
    if (!item || next === undefined || !there) return null;
    if (item.kind === 'call' && there.kind === 'call' && isLive(item.call) !== isLive(there.call)) return null;
    return (after.tops[next] ?? 0) - (before.tops[index] ?? 0);
  };
  const first = firstVisible(before.tops, view.from);
  const focusedIndex = focused === null ? -1 : before.items.findIndex((item) => item.key === focused);
  if (focusedIndex >= first && (before.tops[focusedIndex] ?? 0) < view.to) {
    const shift = shiftOf(focusedIndex);
    if (shift !== null) return shift;
  }
  for (let index = first; index < before.items.length; index += 1) {
    const shift = shiftOf(index);
    if (shift !== null) return shift;
  }
  return 0;
}

/** The first line whose end lies below `scrolled`; `tops` as in a layout. */
export function firstVisible(tops: readonly number[], scrolled: number): number {
  let low = 0;
  let high = Math.max(0, tops.length - 2);
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tops[middle + 1] ?? 0) <= scrolled) low = middle + 1;
    else high = middle;
  }
  return low;
}
