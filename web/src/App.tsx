// The whole page: who is signed in, which page is shown, and what all pages share (header, live connection, the list).
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, ApiError, type CallSummary, type Session } from './api.ts';
import { CallFeed } from './feed.ts';
import { connectLive, type Connection } from './live.ts';
import { CallPage } from './pages/CallPage.tsx';
import { CallsPage } from './pages/CallsPage.tsx';
import { SignInPage } from './pages/SignInPage.tsx';
import { Header } from './parts/Header.tsx';
import { Notice } from './parts/Notice.tsx';
import { followLinks, routeOf, useAddress } from './route.ts';

type SignedIn = { state: 'asking' } | { state: 'in'; session: Session } | { state: 'out'; ended: boolean } | { state: 'unreachable' };

export function App() {
  const [who, setWho] = useState<SignedIn>({ state: 'asking' });
  const ask = useCallback(() => {
    setWho({ state: 'asking' });
    api.session().then(
      (session) => setWho({ state: 'in', session }),
      (error: ApiError) => setWho(error.status === 401 ? { state: 'out', ended: false } : { state: 'unreachable' }),
    );
  }, []);
  useEffect(ask, [ask]);

  switch (who.state) {
    case 'asking':
      return <div class="blank" aria-busy="true" />;
    case 'unreachable':
      return (
        <main class="blank">
          <Notice icon="offline" title="Nightjar cannot be reached">
            <p>The server does not answer. Check the network, or ask whoever runs it.</p>
            <button class="button primary" onClick={ask}>
              Try again
            </button>
          </Notice>
        </main>
      );
    case 'out':
      return <SignInPage ended={who.ended} onSignedIn={(session) => setWho({ state: 'in', session })} />;
    case 'in':
      return <Signed session={who.session} onOut={(ended) => setWho({ state: 'out', ended })} />;
  }
}

function Signed({ session, onOut }: { session: Session; onOut: (ended: boolean) => void }) {
  const { path, search } = useAddress();
  const feed = useMemo(() => new CallFeed(), []);
  const { connection, lastCalls } = useLive(feed);
  const main = useRef<HTMLElement>(null);
  const [stillIn, setStillIn] = useState(false);
  const route = routeOf(path);
  const firstPath = useRef(path);

  // A new page is announced and read from its top, as a loaded one would be.
  useEffect(() => {
    if (firstPath.current === path) return;
    firstPath.current = '';
    main.current?.focus({ preventScroll: true });
    if (route.page !== 'calls') window.scrollTo(0, 0);
  }, [path]);

  const signOut = (): void => {
    api.signOut().then(
      () => onOut(false),
      (error: ApiError) => {
        // Nobody should leave the desk believing what is not so.
        if (error.status === 401) onOut(false);
        else setStillIn(true);
      },
    );
  };
  const onRefused = useCallback(() => onOut(true), [onOut]);

  return (
    <div class="app" onClick={followLinks}>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <Header session={session} connection={connection} stillIn={stillIn} lastCalls={lastCalls} onSignOut={signOut} onRefused={onRefused} />
      <main id="main" ref={main} tabIndex={-1}>
        {route.page === 'calls' && <CallsPage feed={feed} search={search} onRefused={onRefused} />}
        {route.page === 'call' && <CallPage key={route.id} id={route.id} changed={lastCalls} onRefused={onRefused} />}
        {route.page === 'none' && (
          <Notice icon="search" title="There is no such page">
            <a class="button" href="/">
              Go to the calls
            </a>
          </Notice>
        )}
      </main>
    </div>
  );
}

/** Connects the feed to live events; `lastCalls` is the newest batch, empty where events were missed. */
function useLive(feed: CallFeed): { connection: Connection; lastCalls: readonly CallSummary[] } {
  const [connection, setConnection] = useState<Connection>('waiting');
  const [lastCalls, setLastCalls] = useState<readonly CallSummary[]>([]);
  useEffect(
    () =>
      connectLive('/api/live', {
        calls(calls) {
          feed.apply(calls);
          setLastCalls(calls);
        },
        resync() {
          feed.refresh();
          setLastCalls([]);
        },
        connection: setConnection,
      }),
    [feed],
  );
  return { connection, lastCalls };
}
