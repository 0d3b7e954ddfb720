// Plays one recording: an <audio> element that control serves by ranges, and a Web Audio graph that lets each party
// be heard alone. The graph is made with the first play, as browsers allow sound only after a key or a click.
import { skipTo, type Span } from './timeline.ts';

/** How fast it may be played, ascending. */
export const RATES = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3] as const;

/** What is heard: every channel, each on its side; or some of them, in the middle. */
export interface Hearing {
  muted: boolean[];
  solo: number | null;
}

/** What the page shows of playback. */
export interface PlaybackView {
  playing: boolean;
  /** It plays, but what comes next is not here yet. */
  waiting: boolean;
  at: number;
  rate: number;
  skipSilence: boolean;
  hearing: Hearing;
  error: string | null;
}

/** The gains from each channel of the file to both ears: `[channel][ear]`. */
export function earGains(channels: number, hearing: Hearing): number[][] {
  const heard = (channel: number): boolean =>
    hearing.solo === null ? !hearing.muted[channel] : hearing.solo === channel;
  const audible = Array.from({ length: channels }, (_, channel) => heard(channel));
  const alone = audible.filter(Boolean).length === 1;
  return audible.map((on, channel) => {
    if (!on) return [0, 0];
    // One party alone is heard in both ears.
    if (channels === 1 || alone) return [1, 1];
    return channel === 0 ? [1, 0] : [0, 1];
  });
}

export class Playback {
  view: PlaybackView;
  private readonly listeners = new Set<() => void>();
  private gains: GainNode[][] = [];
  private context: AudioContext | null = null;
  private frame = 0;
  private silences: readonly Span[] = [];
  private readonly stopListening = new AbortController();

  constructor(
    readonly audio: HTMLAudioElement,
    private readonly channels: number,
    /** 0 while unknown; the file then says it. */
    public durationMs: number,
  ) {
    const hearing = { muted: Array.from({ length: channels }, () => false), solo: null };
    this.view = { playing: false, waiting: false, at: 0, rate: 1, skipSilence: false, hearing, error: null };
    this.listen();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Ends playback for good. */
  close(): void {
    this.stopListening.abort();
    cancelAnimationFrame(this.frame);
    this.audio.pause();
    void this.context?.close();
  }

  toggle(): void {
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  seek(ms: number): void {
    const at = Math.min(Math.max(ms, 0), this.durationMs);
    // Metadata may not be here yet: the element then starts there.
    this.audio.currentTime = at / 1000;
    this.update({ at, error: null });
  }

  skip(ms: number): void {
    this.seek(this.view.at + ms);
  }

  setRate(rate: number): void {
    this.audio.playbackRate = rate;
    this.audio.defaultPlaybackRate = rate;
    this.update({ rate });
  }

  /** One step faster (1) or slower (-1). */
  changeRate(step: 1 | -1): void {
    const index = RATES.findIndex((rate) => rate === this.view.rate) + step;
    const rate = RATES[index];
    if (rate !== undefined) this.setRate(rate);
  }

  setSilences(silences: readonly Span[]): void {
    this.silences = silences;
  }

  setSkipSilence(skipSilence: boolean): void {
    this.update({ skipSilence });
  }

  toggleMute(channel: number): void {
    const muted = this.view.hearing.muted.map((was, index) => (index === channel ? !was : was));
    this.hear({ muted, solo: null });
  }

  toggleSolo(channel: number): void {
    const { muted, solo } = this.view.hearing;
    this.hear({ muted, solo: solo === channel ? null : channel });
  }

  private hear(hearing: Hearing): void {
    this.update({ hearing });
    const now = this.context?.currentTime ?? 0;
    // A short ramp: a step would be heard as a click.
    this.eachGain((node, gain) => node.gain.setTargetAtTime(gain, now, 0.01));
  }

  private play(): void {
    this.connect();
    void this.context?.resume();
    // An element that failed stays so until it is loaded anew.
    if (this.audio.error) {
      this.audio.load();
      this.audio.currentTime = this.view.at / 1000;
    }
    if (this.audio.ended) this.audio.currentTime = 0;
    this.audio.play().catch((error: DOMException) => {
      if (error.name === 'NotAllowedError') this.update({ error: 'The browser did not allow sound. Press play again.' });
    });
  }

  private connect(): void {
    if (this.context) return;
    const context = new AudioContext();
    const source = context.createMediaElementSource(this.audio);
    const splitter = context.createChannelSplitter(this.channels);
    const ears = context.createChannelMerger(2);
    source.connect(splitter);
    this.gains = Array.from({ length: this.channels }, (_, channel) =>
      [0, 1].map((ear) => {
        const gain = context.createGain();
        splitter.connect(gain, channel);
        gain.connect(ears, 0, ear);
        return gain;
      }),
    );
    ears.connect(context.destination);
    this.context = context;
    this.eachGain((node, gain) => (node.gain.value = gain));
  }

  private eachGain(set: (node: GainNode, gain: number) => void): void {
    earGains(this.channels, this.view.hearing).forEach((toEars, channel) => {
      toEars.forEach((gain, ear) => {
        const node = this.gains[channel]?.[ear];
        if (node) set(node, gain);
      });
    });
  }

  private listen(): void {
    const on = (name: string, act: () => void): void =>
      this.audio.addEventListener(name, act, { signal: this.stopListening.signal });
    const learnDuration = (): void => {
      if (this.durationMs === 0 && Number.isFinite(this.audio.duration)) this.durationMs = this.audio.duration * 1000;
    };
    const fail = (): void => this.update({ playing: false, waiting: false, error: 'The recording could not be played.' });
    on('loadedmetadata', learnDuration);
    on('play', () => {
      this.update({ playing: true, error: null });
      this.follow();
    });
    on('pause', () => this.update({ playing: false, waiting: false, at: this.position() }));
    on('ended', () => this.update({ playing: false, waiting: false, at: this.durationMs }));
    on('waiting', () => this.update({ waiting: true }));
    on('playing', () => this.update({ waiting: false }));
    on('seeked', () => this.update({ at: this.position() }));
    on('error', fail);
    // The element may have been told before anybody listened.
    learnDuration();
    if (this.audio.error) fail();
  }

  private position(): number {
    return Math.min(this.audio.currentTime * 1000, this.durationMs);
  }

  private follow = (): void => {
    cancelAnimationFrame(this.frame);
    if (!this.view.playing) return;
    const at = this.position();
    const jump = this.view.skipSilence ? skipTo(at, this.silences) : null;
    if (jump !== null && !this.audio.seeking) this.seek(jump);
    else if (!this.audio.seeking) this.update({ at });
    this.frame = requestAnimationFrame(this.follow);
  };

  private update(change: Partial<PlaybackView>): void {
    this.view = { ...this.view, ...change };
    for (const listener of this.listeners) listener();
  }
}
