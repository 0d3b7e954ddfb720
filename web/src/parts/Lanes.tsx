// The waveforms, one lane per channel, with the parties' names and the switches that mute them or let them be heard alone.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Call, Peaks, Recording } from '../api.ts';
import { earGains, type Playback, type PlaybackView } from '../playback.ts';
import type { Span } from '../timeline.ts';
import { ceilingOf, draw, inksOf, type Lane } from '../waveform.ts';
import { partyTitle, roleName } from '../words.ts';

interface LanesProps {
  call: Call;
  recording: Recording;
  index: number;
  playback: Playback;
  view: PlaybackView;
  peaks: Peaks | null;
  held: readonly Span[];
}

export function Lanes({ call, recording, index, playback, view, peaks, held }: LanesProps) {
  const channels = recording.channels ?? peaks?.channels ?? 1;
  const ceiling = useMemo(() => (peaks ? ceilingOf(peaks.peaks) : 1), [peaks]);
  const gaps = useMemo(
    () => Array.from({ length: channels }, (_, channel) => gapsOf(call, recording, index, channel)),
    [call, recording, index, channels],
  );
  const gains = earGains(channels, view.hearing);
  return (
    <div class="lanes">
      {gaps.map((channelGaps, channel) => (
        <div class={`lane channel-${channel % 2}`} key={channel}>
          <LaneHead call={call} recording={recording} channel={channel} channels={channels} playback={playback} view={view} />
          <LaneCanvas
            playback={playback}
            lane={{
              peaks: peaks?.peaks[channel] ?? [],
              ceiling,
              durationMs: playback.durationMs,
              at: view.at,
              holds: held,
              gaps: channelGaps,
              audible: gains[channel]?.some((gain) => gain > 0) ?? true,
            }}
          />
        </div>
      ))}
    </div>
  );
}

/** The stretches that are missing on a channel: those of its legs' streams, and those that concern all. */
function gapsOf(call: Call, recording: Recording, index: number, channel: number): Span[] {
  const legs = recording.channel_legs[channel];
  return call.gaps
    .filter((gap) => (gap.recording ?? 0) === index)
    .filter((gap) => {
      const leg = gap.leg ?? (gap.stream === null ? null : (call.streams[gap.stream]?.leg ?? null));
      return leg === null || legs === undefined || legs.includes(leg);
    })
    .map((gap) => ({ from: gap.at_ms, to: gap.at_ms + gap.duration_ms }));
}

interface LaneHeadProps {
  call: Call;
  recording: Recording;
  channel: number;
  channels: number;
  playback: Playback;
  view: PlaybackView;
}

function LaneHead({ call, recording, channel, channels, playback, view }: LaneHeadProps) {
  const { name, role } = channelTitle(call, recording, channel);
  const { muted, solo } = view.hearing;
  return (
    <div class="lane-head">
      <span class="lane-name">
        <b>{name}</b>
        <span class="detail">{role}</span>
      </span>
      {channels > 1 && (
        <span class="lane-switches">
          <button class="switch" aria-pressed={solo === channel} onClick={() => playback.toggleSolo(channel)} title={`Key ${channel + 1}`}>
            Solo<span class="unseen"> {name}</span>
          </button>
          <button class="switch" aria-pressed={solo === null && (muted[channel] ?? false)} onClick={() => playback.toggleMute(channel)}>
            Mute<span class="unseen"> {name}</span>
          </button>
        </span>
      )}
    </div>
  );
}

function channelTitle(call: Call, recording: Recording, channel: number): { name: string; role: string } {
  const legs = (recording.channel_legs[channel] ?? []).flatMap((index) => call.legs[index] ?? []);
  const first = legs[0];
  if (!first) return { name: recording.channels === 1 ? 'Both parties' : `Channel ${channel + 1}`, role: '' };
  const party = first.name || first.number || first.uri ? first : first.role === 'caller' ? call.from : call.to;
  const others = legs.length > 1 ? ` and ${legs.length - 1} more` : '';
  return { name: partyTitle(party) + others, role: roleName(first.role) };
}

/** A canvas that is drawn again when anything it shows changes, and that seeks where it is pressed or dragged. */
function LaneCanvas({ lane, playback }: { lane: Lane; playback: Playback }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const look = useLook(canvas);
  const inks = useMemo(() => (canvas.current ? inksOf(canvas.current) : null), [look]);
  useEffect(() => {
    if (canvas.current && inks) draw(canvas.current, lane, inks);
  });
  const seek = (event: PointerEvent): void => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    playback.seek(((event.clientX - box.left) / box.width) * playback.durationMs);
  };
  return (
    <canvas
      ref={canvas}
      class="wave"
      aria-hidden="true"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        seek(event);
      }}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId)) seek(event);
      }}
    />
  );
}

/** Changes when the canvas has another size or the page another colour scheme. */
function useLook(canvas: { current: HTMLCanvasElement | null }): number {
  const [look, setLook] = useState(0);
  useEffect(() => {
    const changed = (): void => setLook((before) => before + 1);
    const size = new ResizeObserver(changed);
    if (canvas.current) size.observe(canvas.current);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', changed);
    return () => {
      size.disconnect();
      scheme.removeEventListener('change', changed);
    };
  }, []);
  return look;
}
