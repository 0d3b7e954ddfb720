// The list of calls as it is now: pages from control, changed by live events, kept while a call's page is looked at.
import { api, ApiError, serverNow, type CallPage, type CallSummary } from './api.ts';
import { isLive, merge, order, withoutStaleLive, type Calls } from './callOrder.ts';
import { apiQuery, filtersToSearch, narrows, NO_FILTERS, type Filters } from './filters.ts';

const PAGE = 50;
/** Live calls are asked for apart, so that one that has lasted for hours is at the top as well. */
const LIVE_PAGE = 200;
/** A list that has grown past this is loaded anew: a page left open for a week must not grow without end. */
const MAX_ROWS = 5000;
/** How soon an unknown call under filters makes the list ask control again. */
const ASK_AGAIN_MS = 1000;
/** How long new calls may wait while somebody is about to click a line, and how still the pointer must then be. */
const HOLD = { longestMs: 4000, stillMs: 1200 };

/** What the page shows. */
export interface FeedView {
  phase: 'loading' | 'ready' | 'failed';
  calls: CallSummary[];
  /** More pages follow. */
  more: boolean;
  loadingMore: boolean;
  /** Why the last request failed; the calls that were known before stay. */
  error: ApiError | null;
}

/** One list, shared by the pages of a session. */
export class CallFeed {
  view: FeedView = { phase: 'loading', calls: [], more: false, loadingMore: false, error: null };
  /** Where the list was left, px. */
  scrollY = 0;
  /** The call that the keyboard was on last. */
  activeCall: string | null = null;

  private filters: Filters = NO_FILTERS;
  private shown: string | null = null;
  private calls: Calls = new Map();
  private cursor: string | null = null;
  private frontier: string | null = null;
  private request: AbortController | null = null;
  private askTimer = 0;
  private held: CallSummary[] = [];
  private heldSince = 0;
  private heldTimer = 0;
  private pointerMovedAt = -Infinity;
  private readonly listeners = new Set<() => void>();

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Shows the calls that these filters leave; what is shown already stays. */
  show(filters: Filters): void {
    const key = filtersToSearch(filters);
    if (key === this.shown) return;
    this.shown = key;
    this.filters = filters;
    this.scrollY = 0;
    this.restart();
  }

  /** Loads the list from the start. */
  restart(): void {
    this.calls = new Map();
    this.cursor = null;
    this.frontier = null;
    this.held = [];
    this.update({ phase: 'loading', calls: [], more: false, error: null });
    void this.load('replace');
  }

  /** Asks control for the newest calls again and keeps what is on the page. */
  refresh(): void {
    if (this.shown !== null && this.view.phase !== 'loading') void this.load('refresh');
  }

  /** Loads the next page. */
  async more(): Promise<void> {
    if (this.cursor === null || this.view.loadingMore || this.view.phase !== 'ready') return;
    this.update({ loadingMore: true, error: null });
    const query = this.query(PAGE);
    query.set('cursor', this.cursor);
    const signal = this.signal();
    try {
      const page = await api.calls(query, signal);
      this.take(page);
      this.update({ loadingMore: false });
    } catch (error) {
      if (!signal.aborted) this.update({ loadingMore: false, error: asApiError(error) });
    }
  }

  /** Takes in live events. */
  apply(events: CallSummary[]): void {
    if (this.shown === null || events.length === 0) return;
    const narrowed = narrows(this.filters);
    const known = events.filter((call) => this.calls.has(call.id));
    const fresh = events.filter((call) => !this.calls.has(call.id));
    if (known.length > 0) this.change(merge(this.calls, known.filter((call) => this.keeps(call))), known);
    if (fresh.length === 0) return;
    // Only control can say whether a call matches: full text is searched there.
    if (narrowed) this.askAgain();
    else this.hold(fresh);
  }

  /** The pointer moves over the lines: what is under it should not jump away. */
  pointerMoved(): void {
    this.pointerMovedAt = performance.now();
  }

  private keeps(call: CallSummary): boolean {
    return this.filters.state === '' || this.filters.state === call.state;
  }

  private change(calls: Calls, events: readonly CallSummary[]): void {
    const left = events.filter((call) => !this.keeps(call)).map((call) => call.id);
    let next = calls;
    if (left.length > 0) {
      const kept = new Map(calls);
      for (const id of left) kept.delete(id);
      next = kept;
      this.askAgain();
    }
    if (next === this.calls) return;
    this.calls = next;
    this.redraw();
  }

  private hold(fresh: CallSummary[]): void {
    this.held.push(...fresh);
    if (this.heldTimer === 0) {
      this.heldSince = performance.now();
      this.release();
    }
  }

  private release = (): void => {
    this.heldTimer = 0;
    const now = performance.now();
    if (now - this.pointerMovedAt < HOLD.stillMs && now - this.heldSince < HOLD.longestMs) {
      this.heldTimer = window.setTimeout(this.release, 300);
      return;
    }
    const fresh = this.held;
    this.held = [];
    if (this.calls.size + fresh.length > MAX_ROWS && this.scrollY === 0) return this.restart();
    this.calls = merge(this.calls, fresh);
    this.redraw();
  };

  private askAgain(): void {
    if (this.askTimer) return;
    this.askTimer = window.setTimeout(() => {
      this.askTimer = 0;
      this.refresh();
    }, ASK_AGAIN_MS);
  }

  private async load(mode: 'replace' | 'refresh'): Promise<void> {
    if (mode === 'replace') this.request?.abort();
    const signal = mode === 'replace' ? this.signal() : (this.request ?? new AbortController()).signal;
    try {
      const [page, live] = await Promise.all([api.calls(this.query(PAGE), signal), this.liveCalls(signal)]);
      if (signal.aborted) return;
      const listed = [...page.calls, ...live].filter(isLive).map((call) => call.id);
      // More live calls than one page holds: then absence from it says nothing.
      if (live.length < LIVE_PAGE) this.calls = withoutStaleLive(this.calls, new Set(listed));
      if (mode === 'replace' || this.hasHole(page)) {
        this.calls = new Map();
        this.frontier = null;
        this.take(page);
      } else {
        this.calls = merge(this.calls, page.calls);
      }
      this.calls = merge(this.calls, live);
      this.update({ phase: 'ready', error: null });
      this.redraw();
    } catch (error) {
      if (signal.aborted) return;
      this.update({ phase: this.view.phase === 'loading' ? 'failed' : this.view.phase, error: asApiError(error) });
    }
  }

  /** Whether rows are missing between what is known and a newly loaded first page. */
  private hasHole(page: CallPage): boolean {
    if (page.next_cursor === null) return true;
    return !page.calls.some((call) => this.calls.has(call.id));
  }

  private async liveCalls(signal: AbortSignal): Promise<CallSummary[]> {
    if (this.filters.state !== '') return [];
    const query = this.query(LIVE_PAGE);
    query.set('state', 'active');
    return (await api.calls(query, signal)).calls;
  }

  private take(page: CallPage): void {
    this.cursor = page.next_cursor;
    this.frontier = page.next_cursor === null ? null : (page.calls.at(-1)?.started_at ?? this.frontier);
    this.calls = merge(this.calls, page.calls);
    this.redraw();
  }

  private query(limit: number): URLSearchParams {
    const query = apiQuery(this.filters, new Date(serverNow()));
    query.set('limit', String(limit));
    return query;
  }

  private signal(): AbortSignal {
    this.request?.abort();
    this.request = new AbortController();
    return this.request.signal;
  }

  private redraw(): void {
    this.update({ calls: order(this.calls, this.frontier), more: this.cursor !== null });
  }

  private update(change: Partial<FeedView>): void {
    this.view = { ...this.view, ...change };
    for (const listener of this.listeners) listener();
  }
}

function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, 'unexpected', String(error));
}
