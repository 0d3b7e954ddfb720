// The calls: live ones first, then finished ones by day; searched and filtered, loaded further as one scrolls.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ApiError } from '../api.ts';
import { isLive } from '../callOrder.ts';
import type { CallFeed, FeedView } from '../feed.ts';
import { NO_FILTERS, filtersToSearch, narrows, parseFilters, type Filters } from '../filters.ts';
import { CallRows } from '../parts/CallRows.tsx';
import { FilterBar } from '../parts/FilterBar.tsx';
import { Icon } from '../parts/Icon.tsx';
import { Notice } from '../parts/Notice.tsx';
import { navigate } from '../route.ts';

interface CallsPageProps {
  feed: CallFeed;
  search: string;
  onRefused: () => void;
}

export function CallsPage({ feed, search, onRefused }: CallsPageProps) {
  const filters = useMemo(() => parseFilters(search), [search]);
  const view = useFeed(feed);

  useEffect(() => {
    document.title = filters.q ? `${filters.q} · Calls · Nightjar` : 'Calls · Nightjar';
  }, [filters.q]);
  useEffect(() => feed.show(filters), [feed, filters]);
  useEffect(() => {
    if (view.error?.status === 401) onRefused();
  }, [view.error, onRefused]);

  const change = (next: Filters, how: 'push' | 'replace'): void => navigate(`/${filtersToSearch(next)}`, how);
  return (
    <div class="calls-page">
      <h1 class="unseen">Calls</h1>
      <FilterBar filters={filters} onChange={change} />
      <p class="unseen" role="status">
        {announcement(view)}
      </p>
      {view.error && view.phase === 'ready' && <Failed error={view.error} onRetry={() => feed.refresh()} />}
      <List feed={feed} view={view} filters={filters} onClear={() => change(NO_FILTERS, 'push')} />
    </div>
  );
}

function List({ feed, view, filters, onClear }: { feed: CallFeed; view: FeedView; filters: Filters; onClear: () => void }) {
  if (view.phase === 'loading') return <Skeleton />;
  if (view.phase === 'failed') {
    return (
      <Notice icon="offline" title="The calls could not be loaded">
        <p>{view.error?.message}</p>
        <button class="button primary" onClick={() => feed.restart()}>
          Try again
        </button>
      </Notice>
    );
  }
  if (view.calls.length > 0) return <CallRows feed={feed} view={view} />;
  if (narrows(filters)) {
    return (
      <Notice icon="search" title="No call matches">
        <p>No call that you may see fits this search. Fewer filters or a wider time range find more.</p>
        <button class="button" onClick={onClear}>
          Clear search and filters
        </button>
      </Notice>
    );
  }
  return (
    <Notice icon="phone" title="No calls yet">
      <p>A call appears here the moment that a sensor sees it, and can be played as soon as it has ended.</p>
    </Notice>
  );
}

function Failed({ error, onRetry }: { error: ApiError; onRetry: () => void }) {
  return (
    <p class="banner" role="alert">
      <Icon name="warning" /> {error.message} The calls below may be out of date.
      <button class="button small" onClick={onRetry}>
        Try again
      </button>
    </p>
  );
}

function Skeleton() {
  return (
    <div class="skeleton" aria-busy="true" aria-label="Loading the calls">
      {Array.from({ length: 8 }, (_, line) => (
        <i key={line} />
      ))}
    </div>
  );
}

/** What a screen reader hears when the list changes: not each call, only what was searched for. */
function announcement(view: FeedView): string {
  if (view.phase === 'loading') return 'Loading calls';
  if (view.phase === 'failed') return '';
  const live = view.calls.filter(isLive).length;
  const finished = view.calls.length - live;
  if (view.calls.length === 0) return 'No calls';
  return view.more ? '' : `${finished} finished calls`;
}

function useFeed(feed: CallFeed): FeedView {
  const [view, setView] = useState(feed.view);
  useEffect(() => {
    setView(feed.view);
    return feed.subscribe(() => setView(feed.view));
  }, [feed]);
  return view;
}
