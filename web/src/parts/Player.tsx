// The player of one recording: a lane per channel with its party's name, a seek bar, the controls and their keys.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, type ApiError, type Call, type Peaks, type Recording } from '../api.ts';
import { Playback, RATES, type PlaybackView } from '../playback.ts';
import { holds, markers, pointsFor, silences } from '../timeline.ts';
import { clock, words } from '../time.ts';
import { bytes } from '../words.ts';
import { Icon, type IconName } from './Icon.tsx';
import { Lanes } from './Lanes.tsx';
import { SeekBar } from './SeekBar.tsx';
import { usePlayerKeys } from './playerKeys.ts';

/** How often peaks that are being computed are asked for again. */
const PEAKS_AGAIN_MS = 1500;
/** And where control failed or could not be reached. */
const PEAKS_AFTER_FAULT_MS = 10_000;

export interface PlayerProps {
  call: Call;
  recording: Recording;
  /** Index of the recording in the call. */
  index: number;
  /** Called with the function that seeks, so that lists beside the player can use it. */
  onReady: (seek: (ms: number) => void) => void;
}

export function Player(props: PlayerProps) {
  const peaks = usePeaks(props.recording);
  // Control knows of a recording from the call's row before it has the file.
  if (peaks.state === 'absent') return <NoAudio icon="audio">The recording is on its way from the sensor.</NoAudio>;
  const { duration_ms: durationMs, channels } = props.recording;
  const unknown = durationMs === null || channels === null;
  if (peaks.state === 'loading' || (peaks.state === 'pending' && unknown)) {
    return <section class="player loading" aria-busy="true" aria-label="Player" />;
  }
  // An <audio> element joins one audio graph for life: another shape of the recording takes another element.
  return <Deck key={`${durationMs} ${channels}`} {...props} peaks={peaks} />;
}

function Deck({ call, recording, index, onReady, peaks }: PlayerProps & { peaks: PeaksState }) {
  const durationMs = recording.duration_ms ?? peaks.value?.duration_ms ?? 0;
  const channels = recording.channels ?? peaks.value?.channels ?? 1;
  const { audioRef, playback, view } = usePlayback(channels, durationMs, recording.id);
  const quiet = useMemo(() => (peaks.value ? silences(peaks.value.peaks, durationMs) : []), [peaks.value, durationMs]);
  const held = useMemo(() => holds(call, recording), [call, recording]);
  const marks = useMemo(() => markers(call, recording), [call, recording]);
  useEffect(() => playback?.setSilences(quiet), [playback, quiet]);
  useEffect(() => {
    if (playback) onReady((ms) => playback.seek(ms));
  }, [playback, onReady]);
  usePlayerKeys(playback, channels);

  return (
    <section class="player" aria-label="Player">
      <audio ref={audioRef} src={api.audioUrl(recording.id)} preload="metadata" />
      {playback && view && (
        <>
          <Lanes call={call} recording={recording} index={index} playback={playback} view={view} peaks={peaks.value} held={held} />
          <SeekBar playback={playback} view={view} marks={marks} held={held} />
          <Controls playback={playback} view={view} recording={recording} quietMs={total(quiet)} />
          <div role="alert">{view.error && <p class="form-error">{view.error}</p>}</div>
        </>
      )}
      <p class="peaks-state" role="status">
        {peaks.state === 'pending' && 'The waveform is being prepared…'}
        {peaks.state === 'failed' && 'There is no waveform of this recording.'}
      </p>
    </section>
  );
}

/** Why there is nothing to play. */
export function NoAudio({ icon, children }: { icon: IconName; children: ComponentChildren }) {
  return (
    <section class="no-audio" role="status">
      <Icon name={icon} size={20} />
      <p>{children}</p>
    </section>
  );
}

interface ControlsProps {
  playback: Playback;
  view: PlaybackView;
  recording: Recording;
  quietMs: number;
}

function Controls({ playback, view, recording, quietMs }: ControlsProps) {
  return (
    <div class="controls">
      <button class="play" onClick={() => playback.toggle()} aria-label={view.playing ? 'Pause' : 'Play'} title="Space">
        <Icon name={view.playing ? 'pause' : 'play'} size={20} />
      </button>
      <button class="button quiet" onClick={() => playback.skip(-5000)} aria-label="Back 5 seconds" title="Left arrow">
        <Icon name="skipBack" /> 5
      </button>
      <button class="button quiet" onClick={() => playback.skip(5000)} aria-label="Forward 5 seconds" title="Right arrow">
        5 <Icon name="skipForward" />
      </button>
      <output class="position">
        <span class="elapsed">{clock(view.at)}</span> / {clock(playback.durationMs)}
        {view.waiting && <span class="buffering"> loading…</span>}
      </output>
      <div class="controls-end">
        <label class="toggle" title={quietMs > 0 ? `${words(quietMs)} of silence` : 'No silence longer than a pause'}>
          <input
            type="checkbox"
            checked={view.skipSilence}
            disabled={quietMs === 0}
            onChange={(event) => playback.setSkipSilence(event.currentTarget.checked)}
          />
          Skip silence
        </label>
        <label class="rate">
          <span class="unseen">Speed</span>
          <select value={String(view.rate)} title="< and >" onChange={(event) => playback.setRate(Number(event.currentTarget.value))}>
            {RATES.map((rate) => (
              <option key={rate} value={String(rate)}>
                {rate}×
              </option>
            ))}
          </select>
        </label>
        <a class="button" href={api.downloadUrl(recording.id)} download title={fileWords(recording)}>
          <Icon name="download" /> <span class="button-text">Download</span>
        </a>
      </div>
    </div>
  );
}

function fileWords(recording: Recording): string {
  return [recording.codec ?? recording.container, recording.bytes === null ? null : bytes(recording.bytes)].filter(Boolean).join(', ');
}

function total(spans: readonly { from: number; to: number }[]): number {
  return spans.reduce((sum, span) => sum + span.to - span.from, 0);
}

function usePlayback(channels: number, durationMs: number, recording: string) {
  const audioRef = useRef<HTMLAudioElement>(null);
  const [playback, setPlayback] = useState<Playback | null>(null);
  const [view, setView] = useState<PlaybackView | null>(null);
  useEffect(() => {
    if (!audioRef.current) return;
    const made = new Playback(audioRef.current, channels, durationMs);
    setPlayback(made);
    setView(made.view);
    const stop = made.subscribe(() => setView(made.view));
    return () => {
      stop();
      made.close();
    };
  }, [channels, durationMs, recording]);
  return { audioRef, playback, view };
}

interface PeaksState {
  /** `absent`: control does not have the recording yet; `pending`: it has not computed the waveform yet. */
  state: 'loading' | 'absent' | 'pending' | 'ready' | 'failed';
  value: Peaks | null;
}

function usePeaks(recording: Recording): PeaksState {
  const [peaks, setPeaks] = useState<PeaksState>({ state: 'loading', value: null });
  useEffect(() => {
    const request = new AbortController();
    let timer = 0;
    const ask = (): void => {
      api.peaks(recording.id, pointsFor(recording.duration_ms ?? 60_000), request.signal).then(
        (value) => {
          setPeaks({ state: value ? 'ready' : 'pending', value });
          if (!value) timer = window.setTimeout(ask, PEAKS_AGAIN_MS);
        },
        (error: ApiError) => {
          if (request.signal.aborted) return;
          setPeaks({ state: error.status === 404 ? 'absent' : 'failed', value: null });
          // Only control's word that there is none is the last one.
          if (error.status !== 422) timer = window.setTimeout(ask, error.status === 404 ? PEAKS_AGAIN_MS : PEAKS_AFTER_FAULT_MS);
        },
      );
    };
    ask();
    return () => {
      window.clearTimeout(timer);
      request.abort();
    };
  }, [recording.id]);
  return peaks;
}
