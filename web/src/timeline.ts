// A recording's time axis: where events, holds and gaps lie on it, and where nobody speaks.
import type { Call, CallEvent, Recording } from './api.ts';

/** A stretch of a recording, ms from its start. */
export interface Span {
  from: number;
  to: number;
}

/** A moment of a recording. */
export interface Marker {
  at: number;
  event: CallEvent;
}

/** Where an instant lies in a recording, ms; null when it lies outside. */
export function positionOf(at: string, recording: Recording): number | null {
  const position = Date.parse(at) - Date.parse(recording.started_at);
  // An event and the packet that it explains may be stamped in either order: a little outside counts as the edge.
  const slack = 1000;
  const end = recording.duration_ms ?? Number.POSITIVE_INFINITY;
  if (Number.isNaN(position) || position < -slack || position > end + slack) return null;
  return Math.min(Math.max(position, 0), end);
}

/** The events that are worth a mark on the axis; holds are stretches and come from `holds`. */
export function markers(call: Call, recording: Recording): Marker[] {
  const shown = ['dtmf', 'join', 'leave', 'transfer', 'park', 'pause', 'unpause', 'format'];
  return call.events.flatMap((event) => {
    const at = shown.includes(event.kind) ? positionOf(event.at, recording) : null;
    return at === null ? [] : [{ at, event }];
  });
}

/** Markers that would lie on one another, as one: `step` is how long a drawn mark is, ms. */
export function clusters(marks: readonly Marker[], step: number): { at: number; marks: Marker[] }[] {
  const found: { at: number; marks: Marker[] }[] = [];
  for (const mark of [...marks].sort((a, b) => a.at - b.at)) {
    const last = found.at(-1);
    // Each mark of a cluster makes its text longer.
    if (last && mark.at - last.at < step * (last.marks.length + 1) * 0.6) last.marks.push(mark);
    else found.push({ at: mark.at, marks: [mark] });
  }
  return found;
}

/** The stretches on hold. A hold that never ended lasts to the end; two parties' holds that overlap are one stretch. */
export function holds(call: Call, recording: Recording): Span[] {
  const end = recording.duration_ms ?? 0;
  const open = new Map<number | null, number>();
  const spans: Span[] = [];
  for (const event of call.events) {
    if (event.kind !== 'hold' && event.kind !== 'resume') continue;
    const start = Date.parse(recording.started_at);
    const at = Math.min(Math.max(Date.parse(event.at) - start, 0), end);
    if (event.kind === 'hold') {
      if (!open.has(event.leg)) open.set(event.leg, at);
    } else {
      const from = open.get(event.leg);
      if (from !== undefined) spans.push({ from, to: at });
      open.delete(event.leg);
    }
  }
  for (const from of open.values()) spans.push({ from, to: end });
  return union(spans);
}

/** Joins overlapping stretches; the result is in order and none is empty. */
export function union(spans: readonly Span[]): Span[] {
  const joined: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    if (span.to <= span.from) continue;
    const last = joined.at(-1);
    if (last && span.from <= last.to) last.to = Math.max(last.to, span.to);
    else joined.push({ ...span });
  }
  return joined;
}

/** Below this peak (1 is full scale) a channel is silent; line noise of a G.711 call stays under it. */
const SILENT_PEAK = 0.02;
/** Shorter pauses belong to speech. */
const MIN_SILENCE_MS = 1500;
/** Left of a silence at either end, so that no first or last sound is cut. */
const KEEP_MS = 300;

/** The stretches in which no channel is heard, to be skipped. */
export function silences(peaks: readonly (readonly number[])[], durationMs: number): Span[] {
  const points = peaks[0]?.length ?? 0;
  if (points === 0) return [];
  const step = durationMs / points;
  const spans: Span[] = [];
  let from = -1;
  for (let point = 0; point <= points; point += 1) {
    const silent = point < points && peaks.every((channel) => (channel[point] ?? 0) < SILENT_PEAK);
    if (silent && from < 0) from = point;
    if (silent || from < 0) continue;
    const span = { from: from * step + KEEP_MS, to: point * step - KEEP_MS };
    if ((point - from) * step >= MIN_SILENCE_MS && span.to > span.from) spans.push(span);
    from = -1;
  }
  return spans;
}

/** Where playback goes on when it has come to `at`: the end of the silence it is in, or null outside any. */
export function skipTo(at: number, spans: readonly Span[]): number | null {
  let low = 0;
  let high = spans.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const span = spans[middle];
    if (!span) return null;
    if (at < span.from) high = middle - 1;
    else if (at >= span.to) low = middle + 1;
    else return span.to;
  }
  return null;
}

/** Reduces peaks to `bars` values: the highest of each bar's points. */
export function bars(peaks: readonly number[], count: number): number[] {
  const reduced: number[] = [];
  for (let bar = 0; bar < count; bar += 1) {
    const from = Math.floor((bar * peaks.length) / count);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * peaks.length) / count));
    let highest = 0;
    for (let point = from; point < to; point += 1) highest = Math.max(highest, peaks[point] ?? 0);
    reduced.push(highest);
  }
  return reduced;
}

/** How many points to ask control for: 50 ms each, so that pauses are seen, and bounded for long calls. */
export function pointsFor(durationMs: number): number {
  return Math.min(Math.max(Math.ceil(durationMs / 50), 200), MAX_POINTS);
}

/** The most points that control computes for one recording. */
export const MAX_POINTS = 8000;

/** The distance of the axis's labels, ms: the smallest round one that leaves at most `most` labels. */
export function tickStep(durationMs: number, most: number): number {
  const round = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  const step = round.find((seconds) => durationMs / (seconds * 1000) <= most);
  return (step ?? 14_400) * 1000;
}
