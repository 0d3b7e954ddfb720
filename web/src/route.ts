// Which page is shown: the address bar is the only state; links are ordinary links, taken over when they stay here.
import { useEffect, useState } from 'preact/hooks';

export type Route = { page: 'calls' } | { page: 'call'; id: string } | { page: 'none' };

/** The page that a path names. */
export function routeOf(path: string): Route {
  if (path === '/' || path === '/calls') return { page: 'calls' };
  const call = /^\/calls\/([^/]+)\/?$/.exec(path);
  if (!call?.[1]) return { page: 'none' };
  try {
    return { page: 'call', id: decodeURIComponent(call[1]) };
  } catch {
    return { page: 'none' };
  }
}

const CHANGED = 'nightjar:address';

/** Goes to another page, or changes this one's address. */
export function navigate(to: string, how: 'push' | 'replace' = 'push'): void {
  if (to === location.pathname + location.search) return;
  // A call's page leads back to the list as it was only when it was opened from there.
  if (how === 'push') history.pushState({ fromList: location.pathname === '/' }, '', to);
  else history.replaceState(history.state, '', to);
  window.dispatchEvent(new Event(CHANGED));
}

/** The address now, as the component last saw it. */
export function useAddress(): { path: string; search: string } {
  const read = (): { path: string; search: string } => ({ path: location.pathname, search: location.search });
  const [address, setAddress] = useState(read);
  useEffect(() => {
    const changed = (): void => setAddress(read());
    window.addEventListener('popstate', changed);
    window.addEventListener(CHANGED, changed);
    return () => {
      window.removeEventListener('popstate', changed);
      window.removeEventListener(CHANGED, changed);
    };
  }, []);
  return address;
}

/** Follows a plain click on a link of ours without loading the page again; every other click is the browser's. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest('a');
  if (!link || link.origin !== location.origin || link.target || link.hasAttribute('download')) return;
  if (link.pathname.startsWith('/api/') || (link.hash && link.pathname === location.pathname)) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
}
