//! The Opus encoder (RFC 6716) over libopus, set up for telephone speech at 8 kHz.

use std::ffi::c_int;
use std::ptr::NonNull;

use opusic_sys as ffi;

use crate::zero_pages;

/// Room that an encoded 20 ms packet needs at most (RFC 6716, 3.4: a frame has 1275 bytes or less).
pub const MAX_PACKET_BYTES: usize = 1276;

/// How the channels of the input are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpusChannels {
    /// One channel.
    Mono,
    /// Two channels in one coupled stream.
    Stereo,
}

impl OpusChannels {
    /// The number of channels.
    pub const fn count(self) -> usize {
        match self {
            OpusChannels::Mono => 1,
            OpusChannels::Stereo => 2,
        }
    }

    /// The packet that stands for a silent frame. A packet without a frame (DTX) would make the
    /// decoder go on with comfort noise from its last estimate. Who speaks after it needs a fresh
    /// encoder: the decoder has forgotten what came before.
    pub const fn silent_packet(self) -> &'static [u8] {
        match self {
            OpusChannels::Mono => &SILENCE,
            OpusChannels::Stereo => &COUPLED_SILENCE,
        }
    }
}

/// What an encoder trades: bytes against quality against CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusSettings {
    /// Target bit rate of the whole stream, bit/s; variable around it.
    pub bitrate: i32,
    /// libopus's complexity, 0..=10.
    pub complexity: i32,
}

/// libopus refused a call: out of memory or a setting out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError;

impl std::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("libopus refused a setting or an allocation")
    }
}

impl std::error::Error for EncodeError {}

/// A 20 ms packet of one channel that decodes to silence (at most one step of 16 bits) whatever came
/// before it: what libopus makes of digital silence. (Shorter ones rely on zeros being read behind
/// the end, RFC 6716, 4.1; ffmpeg's own decoder reads others.) SILK's gain falls by 22 dB a packet: a
/// full-scale sound is gone after four. It is SILK like the speech around it: ffmpeg's own decoder
/// loses samples whenever one of several streams changes between SILK and CELT, and after a minute
/// of turns it gives up.
const SILENCE: [u8; 6] = [0x08, 0x07, 0xc6, 0xb2, 0x3a, 0x72];

/// The same for two coupled channels, where there is no other stream and a change does no harm:
/// CELT, narrowband, one frame whose first symbol is the silence flag (RFC 6716, 4.3).
const COUPLED_SILENCE: [u8; 3] = [0x9c, 0xff, 0xfe];

/// One Opus stream's encoder. State: 25 KB mono, 35 KB stereo. At telephone rates libopus codes
/// speech with SILK alone, so its other half (CELT, 7 KB a channel) is left out from the start; of
/// the rest 14 KB are an analysis that it runs from 16 kHz on, whose pages are given back.
pub struct OpusEncoder {
    /// Made by `opus_encoder_create`, owned by this value alone.
    state: NonNull<ffi::OpusEncoder>,
    channels: OpusChannels,
}

// SAFETY: libopus keeps nothing of an encoder outside its state and has no thread-local data; a
// state may be used from any thread, by one at a time.
unsafe impl Send for OpusEncoder {}

impl OpusEncoder {
    /// Input sample rate in Hz.
    pub const SAMPLE_RATE: u32 = 8000;

    /// An encoder for speech at 8 kHz, VBR.
    ///
    /// # Errors
    /// [`EncodeError`] when libopus has no memory or a setting is out of range.
    pub fn new(channels: OpusChannels, settings: OpusSettings) -> Result<OpusEncoder, EncodeError> {
        let count = channels.count() as c_int;
        let mut error = ffi::OPUS_OK;
        // SAFETY: the arguments are plain numbers, `error` lives through the call.
        let state = unsafe {
            ffi::opus_encoder_create(
                Self::SAMPLE_RATE as i32,
                count,
                ffi::OPUS_APPLICATION_RESTRICTED_SILK,
                &raw mut error,
            )
        };
        // From here on dropping it frees the state.
        let mut encoder = OpusEncoder { state: NonNull::new(state).ok_or(EncodeError)?, channels };
        encoder.set(ffi::OPUS_SET_BITRATE_REQUEST, settings.bitrate)?;
        encoder.set(ffi::OPUS_SET_COMPLEXITY_REQUEST, settings.complexity)?;
        encoder.set(ffi::OPUS_SET_VBR_REQUEST, 1)?;
        encoder.set(ffi::OPUS_SET_SIGNAL_REQUEST, ffi::OPUS_SIGNAL_VOICE)?;
        // Below 20 kbit/s libopus would turn two parties into one channel without a word.
        encoder.set(ffi::OPUS_SET_FORCE_CHANNELS_REQUEST, count)?;
        encoder.give_zeros_back();
        Ok(encoder)
    }

    /// Gives the pages back that `opus_encoder_create` has filled with zeros.
    fn give_zeros_back(&mut self) {
        let count = self.channels.count() as c_int;
        // SAFETY: without a state it only reckons the size of one, as `opus_encoder_create` did.
        let size = unsafe {
            ffi::opus_encoder_init(
                std::ptr::null_mut(),
                Self::SAMPLE_RATE as i32,
                count,
                ffi::OPUS_APPLICATION_RESTRICTED_SILK,
            )
        };
        let size = usize::try_from(size).unwrap_or(0);
        // SAFETY: the state has `size` bytes, which `opus_encoder_create` has taken from the C library's
        // heap and written to; this value owns them alone.
        unsafe { zero_pages::give_back(self.state.as_ptr().cast(), size) };
    }

    /// Samples per channel by which the output lags the input, at the input's rate.
    ///
    /// # Errors
    /// [`EncodeError`] when libopus does not say.
    pub fn lookahead(&mut self) -> Result<usize, EncodeError> {
        let mut samples: i32 = 0;
        // SAFETY: the state is valid; this request takes a pointer to 32 bits that live through
        // the call.
        let code = unsafe {
            ffi::opus_encoder_ctl(self.state.as_ptr(), ffi::OPUS_GET_LOOKAHEAD_REQUEST, &raw mut samples)
        };
        check(code)?;
        usize::try_from(samples).map_err(|_| EncodeError)
    }

    /// Encodes one frame of interleaved samples (10 to 60 ms) into `out` and returns the packet's
    /// length in bytes.
    ///
    /// # Errors
    /// [`EncodeError`] when the frame's length is none of SILK's or `out` is too small.
    pub fn encode(&mut self, frame: &[i16], out: &mut [u8]) -> Result<usize, EncodeError> {
        let count = self.channels.count();
        if !frame.len().is_multiple_of(count) {
            return Err(EncodeError);
        }
        let samples = c_int::try_from(frame.len() / count).map_err(|_| EncodeError)?;
        let room = i32::try_from(out.len()).unwrap_or(i32::MAX);
        // SAFETY: the state is valid; libopus reads `samples` samples per channel, all of which are
        // in `frame`, and writes at most `room` bytes into `out`.
        let len =
            unsafe { ffi::opus_encode(self.state.as_ptr(), frame.as_ptr(), samples, out.as_mut_ptr(), room) };
        usize::try_from(len).map_err(|_| EncodeError)
    }

    /// Changes a setting; `request` is one of those that take a number.
    fn set(&mut self, request: c_int, value: i32) -> Result<(), EncodeError> {
        // SAFETY: the state is valid; every `OPUS_SET_…_REQUEST` above takes one 32-bit number.
        check(unsafe { ffi::opus_encoder_ctl(self.state.as_ptr(), request, value) })
    }
}

impl Drop for OpusEncoder {
    fn drop(&mut self) {
        // SAFETY: the state came from `opus_encoder_create`, and nobody uses it after this.
        unsafe { ffi::opus_encoder_destroy(self.state.as_ptr()) }
    }
}

fn check(code: c_int) -> Result<(), EncodeError> {
    if code == ffi::OPUS_OK { Ok(()) } else { Err(EncodeError) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opus::{Channels, Decoder};

    /// 20 ms of 400 Hz on the left, nothing on the right.
    fn frame(index: usize) -> Vec<i16> {
        (0..160)
            .flat_map(|n| {
                let t = (index * 160 + n) as f64 / 8000.0;
                [(8000.0 * (2.0 * std::f64::consts::PI * 400.0 * t).sin()) as i16, 0]
            })
            .collect()
    }

    fn peaks(samples: &[i16]) -> [u16; 2] {
        [0, 1].map(|channel| {
            samples.iter().skip(channel).step_by(2).map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
        })
    }

    #[test]
    fn two_parties_stay_apart() {
        let settings = OpusSettings { bitrate: 24_000, complexity: 0 };
        let mut encoder = OpusEncoder::new(OpusChannels::Stereo, settings).unwrap();
        let mut decoder = Decoder::new(8000, Channels::Stereo).unwrap();
        let (mut packet, mut out) = ([0; MAX_PACKET_BYTES], [0; 320]);
        for index in 0..50 {
            let len = encoder.encode(&frame(index), &mut packet).unwrap();
            decoder.decode(&packet[..len], &mut out, false).unwrap();
        }
        let [left, right] = peaks(&out);
        assert!(left > 6000 && right < 300, "{left} {right}");
    }

    /// Decodes the silent packet after 400 ms of some sound of one channel, which all channels get.
    fn assert_silence_after(channels: OpusChannels, sound: &[i16]) {
        let to = if channels == OpusChannels::Mono { Channels::Mono } else { Channels::Stereo };
        let settings = OpusSettings { bitrate: 24_000, complexity: 0 };
        let mut encoder = OpusEncoder::new(channels, settings).unwrap();
        let mut decoder = Decoder::new(8000, to).unwrap();
        let (mut packet, mut out) = ([0; MAX_PACKET_BYTES], [0; 320]);
        for frame in sound.chunks_exact(160).take(20) {
            let frame: Vec<i16> = frame.iter().flat_map(|s| vec![*s; channels.count()]).collect();
            let len = encoder.encode(&frame, &mut packet).unwrap();
            decoder.decode(&packet[..len], &mut out, false).unwrap();
        }
        for index in 0..50 {
            assert_eq!(decoder.decode(channels.silent_packet(), &mut out, false).unwrap(), 160);
            if index < 4 {
                continue;
            }
            let peak = out[..160 * channels.count()].iter().map(|sample| sample.unsigned_abs()).max();
            assert!(peak <= Some(1), "{channels:?}: {peak:?}");
        }
    }

    #[test]
    fn the_silent_packet_is_silence_in_the_midst_of_any_sound() {
        let tone = |hertz: f64, amplitude: f64| -> Vec<i16> {
            let turn = std::f64::consts::TAU * hertz / 8000.0;
            (0..3200).map(|n| (amplitude * (turn * f64::from(n)).sin()) as i16).collect()
        };
        let mut dice = 1u32;
        let noise = std::iter::repeat_with(|| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 17) as i16 - 8192
        });
        let mut sounds = vec![speech_like(3200), noise.take(3200).collect(), vec![0; 3200]];
        for hertz in [50.0, 120.0, 400.0, 1000.0, 2300.0, 3900.0] {
            sounds.extend([tone(hertz, 30_000.0), tone(hertz, 8000.0), tone(hertz, 100.0)]);
        }
        for sound in &sounds {
            for channels in [OpusChannels::Mono, OpusChannels::Stereo] {
                assert_silence_after(channels, sound);
            }
        }
    }

    /// Syllables of several tones that repeat in no short time.
    fn speech_like(samples: usize) -> Vec<i16> {
        let sample = |n: usize| {
            let t = n as f64 / 8000.0;
            let tones: f64 = [310.0, 523.0, 871.0, 1310.0]
                .iter()
                .map(|hertz| (std::f64::consts::TAU * hertz * t * (1.0 + 0.1 * t)).sin())
                .sum();
            (2500.0 * (std::f64::consts::TAU * 3.7 * t).sin().max(0.0) * tones) as i16
        };
        (0..samples).map(sample).collect()
    }

    #[test]
    fn the_output_lags_by_the_lookahead() {
        let settings = OpusSettings { bitrate: 24_000, complexity: 0 };
        let mut encoder = OpusEncoder::new(OpusChannels::Mono, settings).unwrap();
        let mut decoder = Decoder::new(8000, Channels::Mono).unwrap();
        let (mut packet, mut out, mut heard) = ([0; MAX_PACKET_BYTES], [0; 160], Vec::new());
        let spoken = speech_like(16_000);
        for frame in spoken.chunks(160) {
            let len = encoder.encode(frame, &mut packet).unwrap();
            decoder.decode(&packet[..len], &mut out, false).unwrap();
            heard.extend_from_slice(&out);
        }
        let likeness = |lag: &usize| -> i64 {
            spoken.iter().zip(&heard[*lag..]).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum()
        };
        let lag = (0..160).max_by_key(likeness).unwrap();
        assert!(lag.abs_diff(encoder.lookahead().unwrap()) <= 1, "{lag} samples");
    }

    /// Memory of this process in bytes, as the kernel counts it.
    fn resident_bytes() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * zero_pages::page_bytes()
    }

    #[test]
    fn the_analysis_that_telephone_rates_do_without_takes_no_memory() {
        let settings = OpusSettings { bitrate: 24_000, complexity: 0 };
        let sound = speech_like(16_000);
        let speaking = || {
            let mut encoder = OpusEncoder::new(OpusChannels::Stereo, settings).unwrap();
            for frame in sound.chunks(320) {
                encoder.encode(frame, &mut [0; MAX_PACKET_BYTES]).unwrap();
            }
            encoder
        };
        let before = resident_bytes();
        let encoders: Vec<OpusEncoder> = std::iter::repeat_with(speaking).take(500).collect();
        // The state has 34,768 bytes, 14,004 of them for the analysis: two or three whole pages.
        let each = (resident_bytes() - before) / encoders.len();
        assert!((15_000..28_000).contains(&each), "{each} bytes");
    }

    #[test]
    fn settings_out_of_range_are_errors() {
        let settings = OpusSettings { bitrate: 24_000, complexity: 11 };
        assert!(OpusEncoder::new(OpusChannels::Mono, settings).is_err());
        let settings = OpusSettings { bitrate: 24_000, complexity: 0 };
        let mut encoder = OpusEncoder::new(OpusChannels::Mono, settings).unwrap();
        assert_eq!(encoder.encode(&[0; 161], &mut [0; MAX_PACKET_BYTES]), Err(EncodeError));
    }
}
