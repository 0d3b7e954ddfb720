//! The pcapng format: sections, interfaces with a link type and a clock each, packets in blocks
//! (draft-ietf-opsawg-pcapng). Blocks are found here and taken apart by `pcap-parser`.
//!
//! Two of its conveniences are not used, because of what they return (0.17.0): `ts_resolution` says
//! `None` for every power of two, and `if_tsoffset` is read as little-endian in a big-endian section.

use nightjar_wire::{LinkType, Nanos};
use pcap_parser::pcapng::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, SimplePacketBlock, parse_enhancedpacketblock_be,
    parse_enhancedpacketblock_le, parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_sectionheaderblock, parse_simplepacketblock_be, parse_simplepacketblock_le,
};

use super::interfaces::{Interfaces, MAX_INTERFACES};
use super::ticks::Ticks;
use super::window::Window;
use super::{BATCH, Fault, MAX_FRAME, Step};
use crate::source::{RawFrame, SourceStatistics};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// The longest block that is taken apart: the longest frame, and options of the same length.
/// Others (names, secrets, statistics) are passed over, however long they are.
const MAX_BLOCK: usize = 2 * MAX_FRAME;
/// Type, length, and the first word behind them, which in a section header is the byte order.
const BLOCK_HEAD: usize = 12;

/// True when a stream begins with a section header.
pub(super) fn recognise(head: &[u8]) -> bool {
    head.starts_with(&SECTION_HEADER.to_le_bytes())
}

/// One interface of the current section.
struct SectionInterface {
    /// `Err` holds a LINKTYPE number that is not decoded.
    link: Result<LinkType, u32>,
    /// Its place among all interfaces of the source.
    index: u16,
    /// 0: no limit.
    snap_len: u32,
    ticks: Ticks,
}

/// A pcapng stream.
pub(super) struct Ng {
    big_endian: bool,
    section: Vec<SectionInterface>,
    /// The stamp of the last packet that had one: simple packets have none.
    last: Nanos,
}

/// One packet, whatever kind of block it stood in.
struct Packet<'a> {
    interface: u32,
    /// `None`: the block has no stamp.
    ticks: Option<u64>,
    bytes: &'a [u8],
    original_len: u32,
}

impl Ng {
    /// A stream whose first block, a section header, has not been read yet.
    pub(super) fn new() -> Ng {
        Ng { big_endian: false, section: Vec::new(), last: Nanos::ZERO }
    }

    /// Gives up to [`BATCH`] frames to `sink`.
    pub(super) fn batch(
        &mut self,
        window: &mut Window,
        interfaces: &mut Interfaces,
        statistics: &mut SourceStatistics,
        sink: &mut impl FnMut(RawFrame<'_>),
    ) -> Result<Step, Fault> {
        for given in 0..BATCH {
            if window.bytes().len() < BLOCK_HEAD {
                // What there is goes on before a read that may wait (a pipe).
                if given > 0 {
                    return Ok(Step::More);
                }
                window.fill(BLOCK_HEAD)?;
            }
            if window.bytes().is_empty() {
                return Ok(Step::End);
            }
            let (kind, len) = self.block_head(window)?;
            match kind {
                SECTION_HEADER
                | INTERFACE_DESCRIPTION
                | OBSOLETE_PACKET
                | SIMPLE_PACKET
                | ENHANCED_PACKET => {
                    let block = whole_block(window, len)?;
                    self.take_block(kind, block, interfaces, statistics, sink)
                        .map_err(|fault| fault.at(window.offset()))?;
                    window.consume(len as usize);
                }
                _ => self.pass_over(window, len)?,
            }
        }
        Ok(Step::More)
    }

    /// Type and length of the block that begins here; a section header sets the byte order.
    fn block_head(&mut self, window: &Window) -> Result<(u32, u32), Fault> {
        let Some(head) = window.bytes().first_chunk::<BLOCK_HEAD>() else {
            let here = window.bytes().len();
            return Err(Fault::cut_off(window, format!("a block, of which {here} bytes are there")));
        };
        let word = |at: usize| [head[at], head[at + 1], head[at + 2], head[at + 3]];
        if u32::from_le_bytes(word(0)) == SECTION_HEADER {
            self.big_endian = match u32::from_le_bytes(word(8)) {
                BYTE_ORDER => false,
                order if order.swap_bytes() == BYTE_ORDER => true,
                order => {
                    let what = format!("a section with an unknown byte order ({order:#010x})");
                    return Err(Fault::corrupt(window, what));
                }
            };
        }
        let (kind, len) = (self.word(word(0)), self.word(word(4)));
        if len < BLOCK_HEAD as u32 || len % 4 != 0 {
            return Err(Fault::corrupt(window, format!("a block of {len} bytes")));
        }
        Ok((kind, len))
    }

    fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// Takes one block of a known kind apart. Offsets of its faults are filled in by the caller.
    fn take_block(
        &mut self,
        kind: u32,
        block: &[u8],
        interfaces: &mut Interfaces,
        statistics: &mut SourceStatistics,
        sink: &mut impl FnMut(RawFrame<'_>),
    ) -> Result<(), Fault> {
        match kind {
            SECTION_HEADER => {
                parse_sectionheaderblock(block).map_err(|_| corrupt("a section header"))?;
                self.section.clear();
                Ok(())
            }
            INTERFACE_DESCRIPTION => {
                let parse = if self.big_endian {
                    parse_interfacedescriptionblock_be
                } else {
                    parse_interfacedescriptionblock_le
                };
                let (_, interface) = parse(block).map_err(|_| corrupt("an interface description"))?;
                self.add_interface(&interface, interfaces)
            }
            ENHANCED_PACKET => {
                let parse =
                    if self.big_endian { parse_enhancedpacketblock_be } else { parse_enhancedpacketblock_le };
                let (_, packet) = parse(block).map_err(|_| corrupt("an enhanced packet block"))?;
                self.give(&enhanced(&packet)?, statistics, sink)
            }
            SIMPLE_PACKET => {
                let parse =
                    if self.big_endian { parse_simplepacketblock_be } else { parse_simplepacketblock_le };
                let (_, packet) = parse(block).map_err(|_| corrupt("a simple packet block"))?;
                self.give(&self.simple(&packet), statistics, sink)
            }
            _ => {
                let packet = self.obsolete(block).ok_or_else(|| corrupt("a packet block"))?;
                self.give(&packet, statistics, sink)
            }
        }
    }

    fn add_interface(
        &mut self,
        block: &InterfaceDescriptionBlock<'_>,
        interfaces: &mut Interfaces,
    ) -> Result<(), Fault> {
        let number = self.section.len();
        let name = block.if_name().and_then(Result::ok).map(|name| name.trim_end_matches('\0'));
        let index = match name {
            _ if number >= MAX_INTERFACES => None,
            Some(name) if !name.is_empty() => interfaces.index_of(name),
            _ => interfaces.index_of_unnamed(number),
        };
        let Some(index) = index else {
            return Err(corrupt(&format!("a file with over {MAX_INTERFACES} interfaces")));
        };
        let link = u32::try_from(block.linktype.0).unwrap_or(u32::MAX);
        let offset = if self.big_endian { block.if_tsoffset.swap_bytes() } else { block.if_tsoffset };
        self.section.push(SectionInterface {
            link: LinkType::from_number(link).ok_or(link),
            index,
            snap_len: block.snaplen,
            ticks: Ticks::new(block.if_tsresol, offset),
        });
        Ok(())
    }

    /// Gives one packet to the sink, or counts it when its interface's link layer is unknown.
    fn give(
        &mut self,
        packet: &Packet<'_>,
        statistics: &mut SourceStatistics,
        sink: &mut impl FnMut(RawFrame<'_>),
    ) -> Result<(), Fault> {
        let Some(interface) = self.section.get(packet.interface as usize) else {
            return Err(corrupt(&format!(
                "a packet of interface {}, which no block describes",
                packet.interface
            )));
        };
        if packet.bytes.len() > MAX_FRAME {
            let len = packet.bytes.len();
            return Err(corrupt(&format!("a frame of {len} bytes, where {MAX_FRAME} is the most")));
        }
        let at = packet.ticks.map_or(self.last, |ticks| interface.ticks.moment(ticks));
        self.last = at;
        match interface.link {
            Ok(link) => {
                statistics.count(packet.bytes.len(), packet.original_len);
                let (interface, bytes, original_len) = (interface.index, packet.bytes, packet.original_len);
                sink(RawFrame { at, link, interface, bytes, original_len });
                Ok(())
            }
            Err(number) if self.section.iter().all(|interface| interface.link.is_err()) => {
                Err(Fault::UnknownLink(number))
            }
            Err(_) => {
                statistics.unknown_link += 1;
                Ok(())
            }
        }
    }

    /// A simple packet: interface 0's, without a stamp, cut by the interface's snap length.
    fn simple<'a>(&self, block: &SimplePacketBlock<'a>) -> Packet<'a> {
        let snap_len = self.section.first().map_or(0, |interface| interface.snap_len);
        let limit = if snap_len == 0 { u32::MAX } else { snap_len };
        let captured = block.data.len().min(block.origlen.min(limit) as usize);
        Packet { interface: 0, ticks: None, bytes: &block.data[..captured], original_len: block.origlen }
    }

    /// The packet block of old files (draft-ietf-opsawg-pcapng, appendix A), which `pcap-parser` does
    /// not know: interface and drop count in 16 bits each, then as an enhanced packet.
    fn obsolete<'a>(&self, block: &'a [u8]) -> Option<Packet<'a>> {
        let header: &[u8; 28] = block.first_chunk()?;
        let word = |at: usize| self.word([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let interface = [header[8], header[9]];
        let interface =
            if self.big_endian { u16::from_be_bytes(interface) } else { u16::from_le_bytes(interface) };
        let data = &block[28..block.len().checked_sub(4)?.max(28)];
        Some(Packet {
            interface: u32::from(interface),
            ticks: Some(u64::from(word(12)) << 32 | u64::from(word(16))),
            bytes: data.get(..word(20) as usize)?,
            original_len: word(24),
        })
    }

    /// Passes over a block that says nothing about frames, in whatever pieces it arrives.
    fn pass_over(&self, window: &mut Window, len: u32) -> Result<(), Fault> {
        let offset = window.offset();
        let body = u64::from(len) - 4;
        let here = window.skip(body)?;
        window.fill(4)?;
        let Some(trailer) = window.bytes().first_chunk::<4>() else {
            let here = here + window.bytes().len() as u64;
            let what = format!("a block of {len} bytes, of which {here} are there");
            return Err(Fault::CutOff { offset, what });
        };
        let trailer = self.word(*trailer);
        if trailer != len {
            let what = format!("a block of {len} bytes whose end says {trailer}");
            return Err(Fault::Corrupt { offset, what });
        }
        window.consume(4);
        Ok(())
    }
}

/// Reads the rest of the block of `len` bytes that begins here.
fn whole_block(window: &mut Window, len: u32) -> Result<&[u8], Fault> {
    let wanted = len as usize;
    if wanted > MAX_BLOCK {
        return Err(Fault::corrupt(window, format!("a block of {len} bytes, where {MAX_BLOCK} is the most")));
    }
    window.fill(wanted)?;
    let here = window.bytes().len();
    if here < wanted {
        return Err(Fault::cut_off(window, format!("a block of {len} bytes, of which {here} are there")));
    }
    Ok(&window.bytes()[..wanted])
}

fn enhanced<'a>(block: &EnhancedPacketBlock<'a>) -> Result<Packet<'a>, Fault> {
    let bytes = block.data.get(..block.caplen as usize).ok_or_else(|| corrupt("an enhanced packet block"))?;
    let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
    Ok(Packet { interface: block.if_id, ticks: Some(ticks), bytes, original_len: block.origlen })
}

/// A fault of the block at hand; where it begins is filled in by [`Fault::at`].
fn corrupt(what: &str) -> Fault {
    Fault::Corrupt { offset: 0, what: what.to_owned() }
}
