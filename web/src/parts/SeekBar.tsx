// The time axis under the waveforms: the slider that keyboards and screen readers use, holds and keys pressed, the scale.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Playback, PlaybackView } from '../playback.ts';
import { clusters, tickStep, type Marker, type Span } from '../timeline.ts';
import { clock, words } from '../time.ts';
import { eventName } from '../words.ts';

/** Room for a label of the scale. */
const LABEL_PX = 36;
/** Width of a mark of one letter. */
const MARK_PX = 20;

interface SeekBarProps {
  playback: Playback;
  view: PlaybackView;
  marks: readonly Marker[];
  held: readonly Span[];
}

export function SeekBar({ playback, view, marks, held }: SeekBarProps) {
  const duration = playback.durationMs;
  const percent = (ms: number): string => `${duration > 0 ? (100 * ms) / duration : 0}%`;
  const bar = useRef<HTMLDivElement>(null);
  const width = useWidth(bar);
  const seek = (event: PointerEvent): void => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    playback.seek(((event.clientX - box.left) / box.width) * duration);
  };
  return (
    <div class="axis">
      {(marks.length > 0 || held.length > 0) && (
        <div class="marks" aria-hidden="true">
          {held.map((span) => (
            <span key={span.from} class="hold" style={{ left: percent(span.from), width: percent(span.to - span.from) }} title={`On hold for ${words(span.to - span.from)}`}>
              Hold
            </span>
          ))}
          {clusters(marks, (duration * MARK_PX) / width).map((cluster) => (
            <span key={cluster.at} class="mark" style={{ left: percent(cluster.at) }} title={cluster.marks.map(markTitle).join('\n')}>
              {clusterText(cluster.marks)}
            </span>
          ))}
        </div>
      )}
      <div
        ref={bar}
        class="seek"
        role="slider"
        tabIndex={0}
        aria-label="Position"
        aria-valuemin={0}
        aria-valuemax={Math.round(duration / 1000)}
        aria-valuenow={Math.round(view.at / 1000)}
        aria-valuetext={`${words(Math.floor(view.at / 1000) * 1000)} of ${words(duration)}`}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          seek(event);
        }}
        onPointerMove={(event) => {
          if (event.currentTarget.hasPointerCapture(event.pointerId)) seek(event);
        }}
      >
        <span class="seek-track">
          <span class="seek-done" style={{ width: percent(view.at) }} />
        </span>
        <span class="seek-thumb" style={{ left: percent(view.at) }} />
      </div>
      <Scale duration={duration} width={width} />
    </div>
  );
}

function markTitle(mark: Marker): string {
  return `${clock(mark.at)} ${eventName(mark.event)}${mark.event.detail ? ` ${mark.event.detail}` : ''}`;
}

/** The keys that were pressed; a dot for what else happened. */
function clusterText(marks: readonly Marker[]): string {
  const text = marks.map(({ event }) => (event.kind === 'dtmf' ? (event.detail ?? '?') : '•')).join('');
  return text.length > 12 ? `${text.slice(0, 11)}…` : text;
}

function Scale({ duration, width }: { duration: number; width: number }) {
  if (duration <= 0) return null;
  const step = tickStep(duration, Math.max(2, Math.floor(width / 72)));
  // A label that begins near the right end would be cut off.
  const last = duration * (1 - LABEL_PX / Math.max(width, LABEL_PX));
  const ticks = Array.from({ length: Math.floor(Math.max(last, 0) / step) + 1 }, (_, tick) => tick * step);
  return (
    <div class="scale" aria-hidden="true">
      {ticks.map((at) => (
        <span key={at} style={{ left: `${(100 * at) / duration}%` }}>
          {clock(at)}
        </span>
      ))}
    </div>
  );
}

function useWidth(element: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(800);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => entry && setWidth(entry.contentRect.width));
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return width;
}
