// Hears what a page plays: whatever is connected to the loudspeaker is connected to an analyser per ear as well.
import assert from 'node:assert/strict';

/** Runs in the page before its own scripts. */
export function listenIn() {
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (destination, ...rest) {
    if (destination instanceof AudioDestinationNode && !(this instanceof AnalyserNode)) {
      const ears = this.context.createChannelSplitter(2);
      connect.call(this, ears);
      window.nightjarEars = [0, 1].map((ear) => {
        const analyser = this.context.createAnalyser();
        analyser.fftSize = 8192;
        analyser.smoothingTimeConstant = 0;
        connect.call(ears, analyser, ear);
        return analyser;
      });
    }
    return connect.call(this, destination, ...rest);
  };
}

/** Runs in the page: per ear, what is heard now: its level (1 is full scale) and its strongest frequency in Hz. */
export function hear() {
  return (window.nightjarEars ?? []).map((analyser) => {
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    const level = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    const spectrum = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(spectrum);
    // The lowest bins hold the mean, not a sound.
    let strongest = 4;
    for (let bin = 4; bin < spectrum.length; bin += 1) if (spectrum[bin] > spectrum[strongest]) strongest = bin;
    return { level, hz: (strongest * analyser.context.sampleRate) / analyser.fftSize };
  });
}

/** Above it something is heard: -60 dB, under any speech and over G.711's idle noise. */
export const AUDIBLE = 0.001;

/** Whether a strongest frequency is the tone, to the analyser's resolution. */
export const isTone = (hz, tone) => Math.abs(hz - tone) <= 15;

/** Below it a party is not in the other's channel: -40 dB of the tone that belongs there. */
export const BLEED = 0.01;

/**
 * Runs in the page: decodes a recording with the browser's own decoder. Gives its length in s and, per channel, its level (1 is
 * full scale) and the amplitude of each of `tones` in it, all in that second in which the channels are heard best (a call may
 * have been on hold).
 */
export async function decodeTones({ path, tones }) {
  const bytes = await (await fetch(path)).arrayBuffer();
  const audio = await new OfflineAudioContext(2, 1, 48_000).decodeAudioData(bytes);
  const size = Math.min(audio.length, audio.sampleRate);
  const amplitude = (samples, tone) => {
    let [re, im] = [0, 0];
    for (let i = 0; i < size; i += 1) {
      const angle = (2 * Math.PI * tone * i) / audio.sampleRate;
      // Hann's window keeps one tone out of another's place; its mean is a half.
      const value = samples[i] * (1 - Math.cos((2 * Math.PI * i) / size));
      re += value * Math.cos(angle);
      im += value * Math.sin(angle);
    }
    return (2 * Math.hypot(re, im)) / size;
  };
  let best = { heard: -1, channels: [] };
  for (let from = 0; from + size <= audio.length; from += size >> 1) {
    const channels = Array.from({ length: audio.numberOfChannels }, (_, channel) => {
      const samples = audio.getChannelData(channel).subarray(from, from + size);
      const level = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / size);
      return { level, amplitudes: tones.map((tone) => amplitude(samples, tone)) };
    });
    const heard = Math.min(...channels.map(({ level, amplitudes }, channel) => amplitudes[channel] ?? level));
    if (heard > best.heard) best = { heard, channels };
  }
  return { seconds: audio.length / audio.sampleRate, channels: best.channels };
}

/** Fails unless each channel of what `decodeTones` gave holds its own tone, and none of the other channels'. */
export function assertApart({ channels }, tones) {
  assert.equal(channels.length, 2);
  for (const [channel, { level, amplitudes }] of channels.entries()) {
    assert.ok(level > AUDIBLE, `nothing is heard in channel ${channel}`);
    const own = amplitudes[channel];
    amplitudes.forEach((amplitude, tone) => {
      if (tone === channel) assert.ok(own > level, `${own} of ${tones[tone]} Hz in channel ${channel} at a level of ${level}`);
      else assert.ok(amplitude < own * BLEED, `${tones[tone]} Hz in channel ${channel}: ${amplitude} beside ${own}`);
    });
  }
}
