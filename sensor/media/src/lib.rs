//! A call's RTP packets become ordered, aligned, gap-marked audio frames, and those the bytes of
//! a recording. Pure: packets and capture time in, frames and bytes out.
//!
//! The contract with whoever drives it: packets of one stream come in the order of their capture,
//! and after `advance(watermark)` no packet comes whose arrival is earlier than the watermark.
//! Then neither the size of the batches nor the interleaving of the streams reaches the output.
//! An event that changes who is heard (`relabel`, `set_use`, `handle_answered`) is given after
//! `advance(its moment)`, since it holds from the next frame on; `finish(end)` comes before any
//! `advance` beyond `end` plus the wait for late packets: frames that were given cannot be taken back.

mod call;
mod clock;
mod config;
mod dtmf;
mod encoder;
mod frame;
mod gaps;
mod gate;
mod held;
mod ogg;
mod opus_ogg;
mod payload;
mod playout;
mod queue;
mod sequence;
mod stream;
mod summary;
mod timeline;
mod wav;

pub use call::CallAudio;
pub use config::{AudioConfig, ChannelLayout, Decision, Fate, StreamSpec};
pub use dtmf::Digit;
pub use encoder::{Encoder, EncoderConfig, EncoderPoint, EncoderSink};
pub use frame::{AudioFrame, FRAME_SAMPLES, FrameSink, SAMPLE_RATE};
pub use gaps::AudioGap;
pub use nightjar_codec::{EncodeError, OpusSettings};
pub use opus_ogg::{OggOpusPoint, OggOpusWriter, OpusLayout};
pub use summary::{AudioSummary, Mark, StreamCounts, StreamSummary};
pub use wav::{WavWriter, wav_header};
