//! One file per codec behind one contract: [`Decoder`] turns payloads into 16-bit samples,
//! [`OpusEncoder`] turns samples into what a recording stores.

mod decoder;
mod g711;
mod opus;
mod zero_pages;

pub use decoder::{AudioDecoder, Codec, DecodeError, Decoder};
pub use g711::{G711, Law};
pub use opus::{EncodeError, MAX_PACKET_BYTES, OpusChannels, OpusEncoder, OpusSettings};
