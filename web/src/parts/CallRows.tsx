// The list's lines. Only those near the window are in the document; arrow keys move among all of them.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { serverNow } from '../api.ts';
import { anchorShift, firstVisible, withHeadings, type Item } from '../callOrder.ts';
import type { CallFeed, FeedView } from '../feed.ts';
import { isoDay } from '../time.ts';
import { useNow } from '../ticking.ts';
import { CallRow } from './CallRow.tsx';

/** Heights in px, as calls.css has them; on a narrow window a call takes three lines. */
const HEIGHTS = { wide: { call: 40, heading: 34 }, narrow: { call: 78, heading: 34 } };
const NARROW = '(max-width: 719px)';
/** Drawn beyond the window's edges, and how near the end the next page is asked for, px. */
const MARGIN = 600;

export function CallRows({ feed, view }: { feed: CallFeed; view: FeedView }) {
  const today = isoDay(new Date(useNow()));
  const items = useMemo(() => withHeadings(view.calls, new Date(serverNow())), [view.calls, today]);
  const narrow = useMedia(NARROW);
  const tops = useMemo(() => topsOf(items, narrow), [items, narrow]);
  const list = useRef<HTMLDivElement>(null);
  const [from, to, first] = useWindow(list, tops);
  // First the place, then the focus: giving the focus back looks at neither.
  useAnchor(feed, items, tops, list);
  const [active, setActive] = useActive(feed, items, tops, list);
  useRestoredScroll(feed);

  const height = tops.at(-1) ?? 0;
  useEffect(() => {
    if (to >= items.length && view.more && !view.error) void feed.more();
  }, [to, items.length, view.more, view.error, view.loadingMore]);

  const onKeyDown = (event: KeyboardEvent): void => {
    const next = moved(event, items, active);
    if (next === null) return;
    event.preventDefault();
    setActive(next, 'focus');
  };
  const drawn = drawnIndices(from, to, active, items.length);
  return (
    <div class="grid" role="grid" aria-label="Calls" aria-rowcount={view.more ? -1 : items.length + 1} onKeyDown={onKeyDown}>
      <div class="head-group" role="rowgroup">
        <div class="row head" role="row" aria-rowindex={1}>
          {['State', 'Started', 'From', 'To', 'Duration'].map((title) => (
            <span key={title} role="columnheader">
              {title}
            </span>
          ))}
          <span role="columnheader">
            Notes
            <span class="day" aria-hidden="true">
              {first > 0 && headingOver(items, first)}
            </span>
          </span>
        </div>
      </div>
      <div class="rows" role="rowgroup" ref={list} style={{ height: `${height}px` }} onPointerMove={() => feed.pointerMoved()}>
        {drawn.map((index) => {
          const item = items[index];
          if (!item) return null;
          const place = { top: tops[index] ?? 0, rowIndex: index + 2 };
          return item.kind === 'heading' ? (
            <Heading key={item.key} item={item} {...place} />
          ) : (
            <CallRow key={item.key} call={item.call} {...place} current={index === active} today={today} onFocus={() => setActive(index, 'keep')} />
          );
        })}
      </div>
      {view.more && <p class="more">{view.error ? <button class="button" onClick={() => void feed.more()}>Load more calls</button> : 'Loading more calls…'}</p>}
    </div>
  );
}

function Heading({ item, top, rowIndex }: { item: Item & { kind: 'heading' }; top: number; rowIndex: number }) {
  const live = item.count !== null;
  return (
    <div class={live ? 'row heading live' : 'row heading'} role="row" aria-rowindex={rowIndex} style={{ transform: `translateY(${top}px)` }}>
      <span role="rowheader" aria-colspan={6}>
        {item.title}
        {live && <span class="count">{item.count}</span>}
      </span>
    </div>
  );
}

function topsOf(items: readonly Item[], narrow: boolean): number[] {
  const heights = narrow ? HEIGHTS.narrow : HEIGHTS.wide;
  const tops = [0];
  for (const item of items) tops.push((tops.at(-1) ?? 0) + heights[item.kind]);
  return tops;
}

/** The lines to draw: those in the window and the one that has the focus, wherever it is. */
function drawnIndices(from: number, to: number, active: number, count: number): number[] {
  const indices: number[] = [];
  if (active >= 0 && active < from) indices.push(active);
  for (let index = from; index < Math.min(to, count); index += 1) indices.push(index);
  if (active >= to && active < count) indices.push(active);
  return indices;
}

/** Where a key leads from the line that has the focus, or null when it leads nowhere. */
function moved(event: KeyboardEvent, items: readonly Item[], active: number): number | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const step: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, j: 1, k: -1 };
  const last = items.length - 1;
  if (event.key === 'Home') return nearestCall(items, 0, 1);
  if (event.key === 'End') return nearestCall(items, last, -1);
  const by = step[event.key];
  if (by === undefined) return null;
  const target = Math.min(Math.max(active + by, 0), last);
  return nearestCall(items, target, Math.sign(by)) ?? nearestCall(items, target, -Math.sign(by));
}

function nearestCall(items: readonly Item[], from: number, step: number): number | null {
  for (let index = from; index >= 0 && index < items.length; index += step) {
    if (items[index]?.kind === 'call') return index;
  }
  return null;
}

/** The title that the line at `index` stands under. */
function headingOver(items: readonly Item[], index: number): string | null {
  for (let at = index; at >= 0; at -= 1) {
    const item = items[at];
    if (item?.kind === 'heading') return item.title;
  }
  return null;
}

type Drawn = [from: number, to: number, first: number];

/** The first and one past the last line to draw, and the first that is seen. */
function useWindow(list: { current: HTMLElement | null }, tops: readonly number[]): Drawn {
  const [range, setRange] = useState<Drawn>([0, 30, 0]);
  useLayoutEffect(() => {
    const look = (): void => {
      const scrolled = -(list.current?.getBoundingClientRect().top ?? 0);
      const from = firstVisible(tops, Math.max(0, scrolled - MARGIN));
      const to = firstVisible(tops, scrolled + window.innerHeight + MARGIN) + 1;
      const first = firstVisible(tops, scrolled);
      setRange((now) => (now[0] === from && now[1] === to && now[2] === first ? now : [from, to, first]));
    };
    look();
    window.addEventListener('scroll', look, { passive: true });
    window.addEventListener('resize', look);
    return () => {
      window.removeEventListener('scroll', look);
      window.removeEventListener('resize', look);
    };
  }, [tops]);
  return range;
}

type SetActive = (index: number, how: 'focus' | 'keep') => void;

/** The one line that Tab reaches. It is remembered by its key: lines move while the list lives. */
function useActive(feed: CallFeed, items: readonly Item[], tops: readonly number[], list: { current: HTMLElement | null }): [number, SetActive] {
  const [key, setKey] = useState(feed.activeCall);
  const wants = useRef(false);
  const lastIndex = useRef(0);
  // Read while drawing, before the document changes: moving a line within it takes the line's focus away.
  const hadFocus = list.current?.contains(document.activeElement) ?? false;
  const found = key === null ? -1 : items.findIndex((item) => item.key === key);
  const index = found >= 0 ? found : (nearestCall(items, Math.min(lastIndex.current, items.length - 1), 1) ?? nearestCall(items, items.length - 1, -1) ?? -1);
  lastIndex.current = Math.max(index, 0);

  const set: SetActive = (next, how) => {
    wants.current = how === 'focus';
    feed.activeCall = items[next]?.key ?? null;
    setKey(feed.activeCall);
    if (how === 'focus') scrollTo(list.current, tops[next] ?? 0, tops[next + 1] ?? 0);
  };
  useLayoutEffect(() => {
    const lost = hadFocus && document.activeElement === document.body;
    if (wants.current || lost) list.current?.querySelector<HTMLElement>('a[tabindex="0"]')?.focus({ preventScroll: true });
    wants.current = false;
  });
  return [index, set];
}

/** Scrolls as little as makes the line visible below the sticky header. */
function scrollTo(list: HTMLElement | null, top: number, bottom: number): void {
  if (!list) return;
  const origin = list.getBoundingClientRect().top;
  const header = 40;
  if (origin + top < header) window.scrollBy(0, origin + top - header);
  else if (origin + bottom > window.innerHeight - 8) window.scrollBy(0, origin + bottom - window.innerHeight + 8);
}

/** Keeps what is being read where it is when lines come or go above it. */
function useAnchor(feed: CallFeed, items: readonly Item[], tops: readonly number[], list: { current: HTMLElement | null }): void {
  const before = useRef({ items, tops });
  const focused = list.current?.contains(document.activeElement) ? feed.activeCall : null;
  useLayoutEffect(() => {
    const was = before.current;
    before.current = { items, tops };
    if (was.items === items || !list.current) return;
    const from = -list.current.getBoundingClientRect().top;
    const shift = anchorShift(was, before.current, { from, to: from + window.innerHeight }, focused);
    if (shift !== 0) window.scrollBy(0, shift);
  }, [items, tops]);
}

/** Comes back to where the list was left. */
function useRestoredScroll(feed: CallFeed): void {
  useLayoutEffect(() => {
    window.scrollTo(0, feed.scrollY);
    const note = (): void => {
      feed.scrollY = window.scrollY;
    };
    window.addEventListener('scroll', note, { passive: true });
    return () => window.removeEventListener('scroll', note);
  }, [feed]);
}

function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const changed = (): void => setMatches(list.matches);
    list.addEventListener('change', changed);
    return () => list.removeEventListener('change', changed);
  }, [query]);
  return matches;
}
