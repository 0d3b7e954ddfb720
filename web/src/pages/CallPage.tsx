// One call: who spoke, when and how it ended, its recording, and the figures behind it.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, type Call, type CallSummary } from '../api.ts';
import { Events } from '../parts/Events.tsx';
import { Facts, Parties } from '../parts/Facts.tsx';
import { Gaps } from '../parts/Gaps.tsx';
import { Icon } from '../parts/Icon.tsx';
import { KEY_HELP } from '../parts/playerKeys.ts';
import { Notice } from '../parts/Notice.tsx';
import { NoAudio, Player } from '../parts/Player.tsx';
import { StateBadge } from '../parts/CallRow.tsx';
import { Streams } from '../parts/Streams.tsx';
import { dateTime } from '../time.ts';
import { howItEnded, partyTitle } from '../words.ts';

/** A recording that is expected is asked for again after this time. */
const AGAIN_MS = 3000;
/** After this time it is no longer expected by itself; live events still bring it. */
const EXPECTED_MS = 120_000;

interface CallPageProps {
  id: string;
  /** The newest live events; empty where some were missed. */
  changed: readonly CallSummary[];
  onRefused: () => void;
}

export function CallPage({ id, changed, onRefused }: CallPageProps) {
  const { call, error, reload } = useCall(id, changed, onRefused);
  useEffect(() => {
    document.title = call ? `${partyTitle(call.from)} → ${partyTitle(call.to)} · Nightjar` : 'Call · Nightjar';
  }, [call]);

  return (
    <div class="call-page">
      <p class="crumb">
        <a href="/" onClick={goBack}>
          <Icon name="back" /> Calls
        </a>
      </p>
      {!call && error && <Missing error={error} onRetry={reload} />}
      {!call && !error && <div class="skeleton" aria-busy="true" aria-label="Loading the call" />}
      {call && <Whole call={call} />}
    </div>
  );
}

/** Back to the list as it was left, its search and place included, when one came from there. */
function goBack(event: MouseEvent): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  if ((history.state as { fromList?: boolean } | null)?.fromList !== true) return;
  event.preventDefault();
  history.back();
}

function Missing({ error, onRetry }: { error: ApiError; onRetry: () => void }) {
  if (error.status === 404) {
    return (
      <Notice icon="search" title="There is no such call">
        <p>It may have been deleted, or the link is not complete.</p>
        <a class="button" href="/">
          Go to the calls
        </a>
      </Notice>
    );
  }
  return (
    <Notice icon="offline" title="The call could not be loaded">
      <p>{error.message}</p>
      <button class="button primary" onClick={onRetry}>
        Try again
      </button>
    </Notice>
  );
}

function Whole({ call }: { call: Call }) {
  const seek = useRef<((ms: number) => void) | null>(null);
  const [chosen, setChosen] = useState(0);
  const audio = call.recordings.map((recording, index) => ({ recording, index })).filter(({ recording }) => recording.kind === 'audio');
  const current = audio[chosen] ?? audio[0];
  const playable = current?.recording.state === 'final' ? current : undefined;
  const onReady = useCallback((ready: (ms: number) => void) => {
    seek.current = ready;
  }, []);
  const onSeek = playable ? (ms: number): void => seek.current?.(ms) : null;
  return (
    <>
      <header class="call-head">
        <h1>
          {partyTitle(call.from)} <span class="arrow" aria-label="to">→</span> {partyTitle(call.to)}
        </h1>
        <StateBadge call={call} />
        <p class="call-lead">
          <time dateTime={call.started_at}>{dateTime(new Date(call.started_at))}</time>
          {' · '}
          {howItEnded(call)}
        </p>
      </header>
      {audio.length > 1 && (
        <label class="parts">
          Part{' '}
          <select value={String(chosen)} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {audio.map((_, part) => (
              <option key={part} value={String(part)}>
                {part + 1} of {audio.length}
              </option>
            ))}
          </select>
        </label>
      )}
      {playable ? <Player key={playable.recording.id} call={call} {...playable} onReady={onReady} /> : (
        <NoAudio icon={call.decision.action === 'never' ? 'lock' : 'audio'}>{whyNoAudio(call)}</NoAudio>
      )}
      <div class="columns">
        <Parties call={call} />
        <Facts call={call} />
      </div>
      <Streams call={call} />
      <Gaps call={call} recording={playable?.index ?? 0} onSeek={onSeek} />
      <Events call={call} recording={playable?.recording ?? null} onSeek={onSeek} />
      {playable && <Keys />}
    </>
  );
}

/** Why there is nothing to play. */
function whyNoAudio(call: Call): string {
  if (call.decision.action === 'metadata') return 'By rule, only this call’s details are kept, not its audio.';
  if (call.decision.action === 'never') return 'By rule, this call must not be recorded.';
  if (call.decision.action === 'shed') return 'This call was not recorded: the sensor was overloaded and refused it.';
  if (call.state === 'active') return 'The call is in progress. Its recording can be played here as soon as it has ended.';
  if (call.recordings.some((recording) => recording.state === 'pending')) return 'The recording is on its way from the sensor.';
  if (call.answered_at === null && call.streams.length === 0) return 'Nothing was said: the call was not answered.';
  if (call.marks.includes('undecodable')) return 'The audio’s codec could not be decoded, so there is no recording.';
  if (call.marks.includes('no_key')) return 'The audio was encrypted and its key was not seen, so there is no recording.';
  if (call.streams.length === 0) return 'No audio was seen for this call.';
  return 'There is no recording of this call.';
}

function Keys() {
  return (
    <section class="keys" aria-label="Keys">
      <dl>
        {KEY_HELP.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function useCall(id: string, changed: readonly CallSummary[], onRefused: () => void) {
  const [call, setCall] = useState<Call | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const request = useRef<AbortController | null>(null);
  const reload = useCallback(() => {
    request.current?.abort();
    const mine = new AbortController();
    request.current = mine;
    api.call(id, mine.signal).then(
      (loaded) => {
        setCall(loaded);
        setError(null);
      },
      (failed: ApiError) => {
        if (mine.signal.aborted) return;
        setError(failed);
        if (failed.status === 401) onRefused();
      },
    );
  }, [id, onRefused]);
  useEffect(() => {
    reload();
    return () => request.current?.abort();
  }, [reload]);
  useEffect(() => {
    // A call that could not be loaded comes when the connection, or the call itself, does.
    if ((call || error) && (changed.length === 0 || changed.some((summary) => summary.id === id))) reload();
  }, [changed]);
  useEffect(() => {
    if (!call || !expectsRecording(call)) return;
    const timer = window.setTimeout(reload, AGAIN_MS);
    return () => window.clearTimeout(timer);
  }, [call, reload]);
  return { call, error, reload };
}

/** Whether a recording will come: control learns of the call's end before it has the file. */
function expectsRecording(call: Call): boolean {
  if (call.state === 'active' || call.decision.action !== 'record' || call.ended_at === null) return false;
  const waits = call.recordings.length === 0 ? call.answered_at !== null : call.recordings.some((recording) => recording.state === 'pending');
  return waits && Date.now() - Date.parse(call.ended_at) < EXPECTED_MS;
}
