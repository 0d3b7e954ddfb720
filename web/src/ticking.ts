// The clock that running figures follow: one timer for the whole page, stopped while nobody looks.
import { useEffect, useState } from 'preact/hooks';
import { serverNow } from './api.ts';

const tickers = new Set<() => void>();
let timer = 0;

function tick(): void {
  for (const ticker of tickers) ticker();
  schedule();
}

function schedule(): void {
  window.clearTimeout(timer);
  // Just after each full second, so that all clocks on the page change together.
  timer = tickers.size > 0 && !document.hidden ? window.setTimeout(tick, 1005 - (serverNow() % 1000)) : 0;
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) tick();
});

/** Control's time, ms since the epoch; draws the component again each second. */
export function useNow(): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const ticker = (): void => setNow(serverNow());
    tickers.add(ticker);
    if (!timer) schedule();
    return () => {
      tickers.delete(ticker);
      if (tickers.size === 0) schedule();
    };
  }, []);
  return now;
}
