//! Writes captures: classic pcap and pcapng, microseconds or nanoseconds, plain, gzip or zstd.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use nightjar_wire::{LinkType, Nanos};

use crate::frame::Frame;
use crate::link::link_number;

/// The file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaptureFormat {
    /// Classic pcap with microseconds.
    #[default]
    PcapMicros,
    /// Classic pcap with nanoseconds (magic 0xa1b23c4d).
    PcapNanos,
    /// Pcapng with microseconds, the default resolution.
    PcapngMicros,
    /// Pcapng with `if_tsresol` 9.
    PcapngNanos,
}

impl CaptureFormat {
    /// All of them.
    pub const ALL: [CaptureFormat; 4] = [
        CaptureFormat::PcapMicros,
        CaptureFormat::PcapNanos,
        CaptureFormat::PcapngMicros,
        CaptureFormat::PcapngNanos,
    ];

    /// Whether stamps keep their nanoseconds.
    pub fn keeps_nanoseconds(self) -> bool {
        matches!(self, CaptureFormat::PcapNanos | CaptureFormat::PcapngNanos)
    }
}

/// How the file is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not.
    #[default]
    None,
    /// gzip, level 1.
    Gzip,
    /// Zstandard, level 1.
    Zstd,
}

impl Compression {
    /// What a path's ending asks for: `.gz`, `.zst`, or nothing.
    pub fn of_path(path: &Path) -> Compression {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Compression::Gzip,
            Some("zst") => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

const SNAP_LEN: u32 = 262_144;

/// Writes frames to a capture.
pub struct PcapWriter {
    out: Output,
    format: CaptureFormat,
    block: Vec<u8>,
}

enum Output {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl PcapWriter {
    /// Creates the file and writes its header.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(
        path: &Path,
        format: CaptureFormat,
        compression: Compression,
        link: LinkType,
    ) -> io::Result<PcapWriter> {
        let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let out = match compression {
            Compression::None => Output::Plain(file),
            Compression::Gzip => Output::Gzip(GzEncoder::new(file, flate2::Compression::fast())),
            Compression::Zstd => Output::Zstd(zstd::Encoder::new(file, 1)?),
        };
        let mut writer = PcapWriter { out, format, block: Vec::with_capacity(2048) };
        writer.block = match format {
            CaptureFormat::PcapMicros => pcap_header(0xa1b2_c3d4, link),
            CaptureFormat::PcapNanos => pcap_header(0xa1b2_3c4d, link),
            CaptureFormat::PcapngMicros => pcapng_header(6, link),
            CaptureFormat::PcapngNanos => pcapng_header(9, link),
        };
        writer.write_block()?;
        Ok(writer)
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&mut self, frame: &Frame) -> io::Result<()> {
        self.block.clear();
        match self.format {
            CaptureFormat::PcapMicros => self.pcap_record(frame, 1_000),
            CaptureFormat::PcapNanos => self.pcap_record(frame, 1),
            CaptureFormat::PcapngMicros => self.packet_block(frame, frame.at.as_micros()),
            CaptureFormat::PcapngNanos => self.packet_block(frame, frame.at.0),
        }
        self.write_block()
    }

    /// Ends the compressed stream and flushes.
    ///
    /// # Errors
    /// What the file system says.
    pub fn finish(self) -> io::Result<()> {
        let mut file = match self.out {
            Output::Plain(file) => file,
            Output::Gzip(encoder) => encoder.finish()?,
            Output::Zstd(encoder) => encoder.finish()?,
        };
        file.flush()
    }

    fn write_block(&mut self) -> io::Result<()> {
        match &mut self.out {
            Output::Plain(file) => file.write_all(&self.block),
            Output::Gzip(encoder) => encoder.write_all(&self.block),
            Output::Zstd(encoder) => encoder.write_all(&self.block),
        }
    }

    fn pcap_record(&mut self, frame: &Frame, unit: u64) {
        let Nanos(nanos) = frame.at;
        let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000 / unit);
        for word in [seconds as u32, fraction as u32, frame.bytes.len() as u32, frame.original_len] {
            self.block.extend_from_slice(&word.to_le_bytes());
        }
        self.block.extend_from_slice(&frame.bytes);
    }

    /// An enhanced packet block of interface 0.
    fn packet_block(&mut self, frame: &Frame, ticks: u64) {
        let padded = frame.bytes.len().next_multiple_of(4);
        let total = 32 + padded as u32;
        let captured = frame.bytes.len() as u32;
        for word in [6, total, 0, (ticks >> 32) as u32, ticks as u32, captured, frame.original_len] {
            self.block.extend_from_slice(&word.to_le_bytes());
        }
        self.block.extend_from_slice(&frame.bytes);
        self.block.resize(28 + padded, 0);
        self.block.extend_from_slice(&total.to_le_bytes());
    }
}

fn pcap_header(magic: u32, link: LinkType) -> Vec<u8> {
    let mut header = magic.to_le_bytes().to_vec();
    header.extend_from_slice(&[2, 0, 4, 0]);
    for word in [0, 0, SNAP_LEN, link_number(link)] {
        header.extend_from_slice(&word.to_le_bytes());
    }
    header
}

/// A section header and the description of interface 0, whose stamps are in 10^-`resolution` s.
fn pcapng_header(resolution: u8, link: LinkType) -> Vec<u8> {
    let mut header = Vec::new();
    for word in [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28] {
        header.extend_from_slice(&u32::to_le_bytes(word));
    }
    for word in [1, 32, link_number(link), SNAP_LEN] {
        header.extend_from_slice(&u32::to_le_bytes(word));
    }
    header.extend_from_slice(&[9, 0, 1, 0, resolution, 0, 0, 0, 0, 0, 0, 0]);
    header.extend_from_slice(&32u32.to_le_bytes());
    header
}
