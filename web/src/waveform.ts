// Draws one channel's waveform on a canvas: bars, what was played, holds, gaps, the playhead.
import { bars, type Span } from './timeline.ts';

export interface Lane {
  /** From 0 to 1, evenly over the recording; empty while unknown. */
  peaks: readonly number[];
  /** What a full bar stands for, so that quiet calls can be read as well. */
  ceiling: number;
  durationMs: number;
  at: number;
  holds: readonly Span[];
  gaps: readonly Span[];
  audible: boolean;
}

/** The colours, from the style sheet, so that dark and light follow it. */
export interface Inks {
  played: string;
  ahead: string;
  rest: string;
  hold: string;
  gap: string;
  gapFill: string;
  head: string;
}

/** Reads the inks of a canvas: `--wave` is its channel's colour. */
export function inksOf(canvas: HTMLCanvasElement): Inks {
  const style = getComputedStyle(canvas);
  const ink = (name: string): string => style.getPropertyValue(name).trim();
  return {
    played: ink('--wave'),
    ahead: ink('--wave-ahead'),
    rest: ink('--line-strong'),
    hold: ink('--wave-hold'),
    gap: ink('--warn'),
    gapFill: ink('--warn-soft'),
    head: ink('--text'),
  };
}

const BAR = { width: 2, space: 1 };
/** A gap of a few milliseconds must be seen on an hour's axis. */
const MIN_GAP_PX = 3;

export function draw(canvas: HTMLCanvasElement, lane: Lane, inks: Inks): void {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const context = canvas.getContext('2d');
  if (!context || width === 0) return;
  const pixels = { width: Math.round(width * scale), height: Math.round(height * scale) };
  if (canvas.width !== pixels.width) canvas.width = pixels.width;
  if (canvas.height !== pixels.height) canvas.height = pixels.height;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);

  const x = (ms: number): number => (lane.durationMs > 0 ? (ms / lane.durationMs) * width : 0);
  drawHolds(context, lane, inks, x, height);
  drawBars(context, lane, inks, x(lane.at), width, height);
  drawGaps(context, lane, inks, x, width, height);
  context.fillStyle = inks.head;
  context.fillRect(Math.min(Math.max(x(lane.at) - 0.75, 0), width - 1.5), 0, 1.5, height);
}

type Axis = (ms: number) => number;

function drawHolds(context: CanvasRenderingContext2D, lane: Lane, inks: Inks, x: Axis, height: number): void {
  context.fillStyle = inks.hold;
  for (const hold of lane.holds) context.fillRect(x(hold.from), 0, Math.max(x(hold.to) - x(hold.from), 1), height);
}

function drawBars(context: CanvasRenderingContext2D, lane: Lane, inks: Inks, head: number, width: number, height: number): void {
  const middle = height / 2;
  const step = BAR.width + BAR.space;
  const count = Math.floor(width / step);
  const heights = lane.peaks.length > 0 ? bars(lane.peaks, count) : [];
  context.globalAlpha = lane.audible ? 1 : 0.3;
  for (let bar = 0; bar < count; bar += 1) {
    // Less than proportional: quiet speech, which is most of a call, gets more of the lane.
    const level = Math.min((heights[bar] ?? 0) / lane.ceiling, 1) ** 0.7;
    const half = Math.max(level * (middle - 3), 0.5);
    const left = bar * step;
    context.fillStyle = half <= 0.5 ? inks.rest : left < head ? inks.played : inks.ahead;
    context.fillRect(left, middle - half, BAR.width, half * 2);
  }
  context.globalAlpha = 1;
}

function drawGaps(context: CanvasRenderingContext2D, lane: Lane, inks: Inks, x: Axis, width: number, height: number): void {
  for (const gap of lane.gaps) {
    const wide = Math.max(x(gap.to) - x(gap.from), MIN_GAP_PX);
    const left = Math.min(x(gap.from), width - wide);
    context.fillStyle = inks.gapFill;
    context.fillRect(left, 0, wide, height);
    context.fillStyle = inks.gap;
    context.fillRect(left, 0, wide, 3);
    context.fillRect(left, height - 3, wide, 3);
    if (wide <= MIN_GAP_PX) context.fillRect(left + 1, 0, 1, height);
  }
}

/** The louder channel's highest peak, but not so little that line noise fills the lane. */
export function ceilingOf(peaks: readonly (readonly number[])[]): number {
  let highest = 0.1;
  for (const channel of peaks) for (const peak of channel) highest = Math.max(highest, peak);
  return highest;
}
