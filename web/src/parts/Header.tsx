// The bar over every page: the mark, the site's figures, the live connection, who is signed in.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, serverNow, type CallSummary, type Session, type Summary } from '../api.ts';
import type { Connection } from '../live.ts';
import { ago } from '../time.ts';
import { Icon, Mark } from './Icon.tsx';

const EVERY_MS = 15_000;
/** After live events the figures are asked for again, but not more often than this. */
const AT_MOST_EVERY_MS = 1000;
/** A sensor says every 10 s that it lives. One that was not heard for longer than this is pointed out. */
const SENSOR_QUIET_MS = 60_000;

interface HeaderProps {
  session: Session;
  connection: Connection;
  /** Signing out was tried in vain. */
  stillIn: boolean;
  lastCalls: readonly CallSummary[];
  onSignOut: () => void;
  onRefused: () => void;
}

export function Header({ session, connection, stillIn, lastCalls, onSignOut, onRefused }: HeaderProps) {
  const answer = useSummary(lastCalls, onRefused);
  return (
    <>
      <header class="bar">
        <a class="brand" href="/" aria-label="Nightjar, all calls">
          <Mark />
          <span class="brand-name">Nightjar</span>
        </a>
        <Figures answer={answer} />
        <div class="who">
          <span class="who-name" title={`Signed in as ${session.username} (${session.role})`}>
            {session.username}
          </span>
          <button class="button quiet" onClick={onSignOut}>
            Sign out
          </button>
        </div>
      </header>
      <div class="status" role="status">
        {stillIn && (
          <p class="toast">
            <Icon name="warning" /> You are still signed in: Nightjar could not be reached. Please try again.
          </p>
        )}
        {connection === 'lost' && !stillIn && (
          <p class="toast">
            <Icon name="offline" /> Connection lost. What you see may be out of date; reconnecting…
          </p>
        )}
      </div>
    </>
  );
}

function Figures({ answer }: { answer: Answer | null }) {
  if (!answer) return <dl class="figures" />;
  const { summary, at } = answer;
  const count = (n: number): string => n.toLocaleString('en-GB');
  const quiet = summary.sensors.filter((sensor) => silence(sensor, at) > SENSOR_QUIET_MS).length;
  const warn = quiet > 0 || summary.sensors.length === 0;
  return (
    <dl class={warn ? 'figures warn' : 'figures'}>
      <div class={summary.live > 0 ? 'figure live' : 'figure'}>
        <dt>Live</dt>
        <dd>{count(summary.live)}</dd>
      </div>
      <div class="figure today">
        <dt>Today</dt>
        <dd>{count(summary.today)}</dd>
      </div>
      <div class="figure wide">
        <dt>Total</dt>
        <dd>{count(summary.total)}</dd>
      </div>
      <Sensors sensors={summary.sensors} quiet={quiet} at={at} />
    </dl>
  );
}

type Sensor = Summary['sensors'][number];

/** How long control had not heard of it at a moment, ms. */
function silence(sensor: Sensor, at: number): number {
  return sensor.last_seen_at === null ? Number.POSITIVE_INFINITY : at - Date.parse(sensor.last_seen_at);
}

function Sensors({ sensors, quiet, at }: { sensors: Sensor[]; quiet: number; at: number }) {
  const title = sensors
    .map((sensor) => `${sensor.name}: ${sensor.last_seen_at ? `heard ${ago(silence(sensor, at))}` : 'never heard'}`)
    .join('\n');
  const many = sensors.length > 1;
  return (
    <div class="figure sensors" title={title}>
      <dt>{sensors.length === 1 ? 'Sensor' : 'Sensors'}</dt>
      {sensors.length === 0 && <dd>none</dd>}
      {sensors.length > 0 && quiet === 0 && <dd>{many ? `${sensors.length} up` : 'up'}</dd>}
      {quiet > 0 && (
        <dd>
          {many && <span class="how-many">{`${quiet} of ${sensors.length} `}</span>}
          quiet
        </dd>
      )}
    </div>
  );
}

/** The site's figures, and control's time when it told them: how it is later only the next answer knows. */
interface Answer {
  summary: Summary;
  at: number;
}

/** The site's figures, asked for every few seconds while the page is seen, and soon after live events. */
function useSummary(lastCalls: readonly CallSummary[], onRefused: () => void): Answer | null {
  const [answer, setAnswer] = useState<Answer | null>(null);
  const askedAt = useRef(0);
  const timer = useRef(0);

  const ask = (afterMs: number): void => {
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => {
      ask(EVERY_MS);
      if (document.hidden) return;
      askedAt.current = performance.now();
      api.summary().then(
        (summary) => setAnswer({ summary, at: serverNow() }),
        (error: ApiError) => {
          if (error.status === 401) onRefused();
        },
      );
    }, afterMs);
  };
  useEffect(() => {
    const wait = AT_MOST_EVERY_MS - (performance.now() - askedAt.current);
    ask(askedAt.current === 0 ? 0 : Math.max(wait, 0));
  }, [lastCalls]);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  return answer;
}
