// Hears what a page plays: whatever is connected to the loudspeaker is connected to an analyser per ear as well.

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

/**
 * Runs in the page: decodes a recording with the browser's own decoder and gives, per channel, the share of `tones[channel]`
 * in the loudest tenth of a second, 0 to 1 (1 for any sound where no tone is named), 0 where nothing is audible.
 */
export async function decodeTones(path, tones, audible) {
  const bytes = await (await fetch(path)).arrayBuffer();
  const audio = await new OfflineAudioContext(2, 1, 48_000).decodeAudioData(bytes);
  const size = Math.round(audio.sampleRate / 10);
  return Array.from({ length: audio.numberOfChannels }, (_, channel) => {
    const samples = audio.getChannelData(channel);
    let loudest = { power: 0, from: 0 };
    for (let from = 0; from + size <= samples.length; from += size) {
      let power = 0;
      for (let i = from; i < from + size; i += 1) power += samples[i] ** 2;
      if (power > loudest.power) loudest = { power, from };
    }
    if (Math.sqrt(loudest.power / size) < audible) return 0;
    if (tones[channel] === undefined) return 1;
    let [re, im] = [0, 0];
    for (let i = 0; i < size; i += 1) {
      const angle = (2 * Math.PI * tones[channel] * i) / audio.sampleRate;
      re += samples[loudest.from + i] * Math.cos(angle);
      im += samples[loudest.from + i] * Math.sin(angle);
    }
    return (2 * (re * re + im * im)) / size / loudest.power;
  });
}
