// The live connection: control's server-sent events, gathered into batches, opened again when it is lost.
import type { CallSummary } from './api.ts';

/** `waiting` is a connection that has not been missed for long enough to worry anybody. */
export type Connection = 'waiting' | 'open' | 'lost';

export interface LiveListener {
  calls(calls: CallSummary[]): void;
  /** What was told before may have holes: ask again. */
  resync(): void;
  connection(state: Connection): void;
}

/** Events of this long are applied together, so that a busy site does not redraw the page for each. */
const BATCH_MS = 150;
/** A connection that comes back within this time is not reported as lost. */
const PATIENCE_MS = 4000;
/** A page that nobody sees gives its connection back after this time: browsers allow six to one host. */
const HIDDEN_MS = 60_000;
const RETRY_MS = { first: 1000, last: 30_000 };

/** Opens the connection and keeps it until the returned function is called. */
export function connectLive(url: string, listener: LiveListener): () => void {
  let source: EventSource | null = null;
  let batch = new Map<string, CallSummary>();
  let flushTimer = 0;
  let patience = 0;
  let retryTimer = 0;
  let hiddenTimer = 0;
  let retryMs = RETRY_MS.first;
  let wasOpen = false;

  const flush = (): void => {
    flushTimer = 0;
    const calls = [...batch.values()];
    batch = new Map();
    listener.calls(calls);
  };
  const missed = (): void => {
    if (!patience) patience = window.setTimeout(() => listener.connection('lost'), PATIENCE_MS);
  };
  const close = (): void => {
    source?.close();
    source = null;
    window.clearTimeout(retryTimer);
  };
  const open = (): void => {
    close();
    source = new EventSource(url);
    source.addEventListener('open', () => {
      window.clearTimeout(patience);
      patience = 0;
      retryMs = RETRY_MS.first;
      listener.connection('open');
      if (wasOpen) listener.resync();
      wasOpen = true;
    });
    source.addEventListener('call', (event) => {
      const call = JSON.parse((event as MessageEvent<string>).data) as CallSummary;
      batch.set(call.id, call);
      if (!flushTimer) flushTimer = window.setTimeout(flush, BATCH_MS);
    });
    source.addEventListener('resync', () => listener.resync());
    source.addEventListener('error', () => {
      missed();
      // The browser tries again by itself unless control refused the request.
      if (source?.readyState !== EventSource.CLOSED) return;
      window.clearTimeout(retryTimer);
      retryTimer = window.setTimeout(open, retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MS.last);
    });
  };
  const onVisibility = (): void => {
    window.clearTimeout(hiddenTimer);
    if (document.hidden) hiddenTimer = window.setTimeout(close, HIDDEN_MS);
    else if (!source) open();
  };

  document.addEventListener('visibilitychange', onVisibility);
  missed();
  open();
  return () => {
    document.removeEventListener('visibilitychange', onVisibility);
    for (const timer of [flushTimer, patience, retryTimer, hiddenTimer]) window.clearTimeout(timer);
    close();
  };
}
