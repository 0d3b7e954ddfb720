//! Findings about media: directions, signalling that is missing, encryption, codecs, queues.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use nightjar_codec::Codec;
use nightjar_wire::{FlowKey, Format, MediaKind, PayloadType};

use super::collector::Collector;
use super::finding::{CodecPackets, Finding};
use super::host::HostChanges;
use super::media::{Flow, Queue};
use super::signalling::{Call, Described};

/// Fewer flows than this on one queue may be chance.
const FLOWS: u64 = 8;

/// Judges the media seen.
pub fn judge(seen: &Collector, host: &HostChanges, found: &mut Vec<Finding>) {
    directions(seen, found);
    found.extend(without_signalling(seen));
    found.extend(encryption(seen));
    codecs(seen, found);
    queues(seen, host, found);
    let tagged_apart = |(flow, reverse): &(&Flow, &Flow)| flow.vlan.is_some() != reverse.vlan.is_some();
    let pairs = pairs(seen).filter(tagged_apart).count() as u64;
    if pairs > 0 {
        found.push(Finding::VlanTagsOneWay { pairs });
    }
}

/// What a socket's owner said of it, where it did.
fn described(seen: &Collector, addr: IpAddr, port: u16) -> Option<&Described> {
    seen.signalling.sockets.get(&SocketAddr::new(addr, port))
}

/// Flows whose other direction is here, and those where it is not although it should be.
fn directions(seen: &Collector, found: &mut Vec<Finding>) {
    // By hosts, not by ports: media may leave from other ports than they arrive at.
    let hosts: BTreeSet<(IpAddr, IpAddr)> =
        seen.media.believed().map(|(key, _)| (key.src, key.dst)).collect();
    let unanswered = unanswered(seen);
    let meant = |key: &FlowKey| {
        [SocketAddr::new(key.src, key.src_port), SocketAddr::new(key.dst, key.dst_port)].iter().any(
            |socket| {
                let described = seen.signalling.sockets.get(socket);
                described.is_some_and(|described| described.one_way) || unanswered.contains(socket)
            },
        )
    };
    let answerable = seen.media.believed().filter(|(_, flow)| flow.is_answerable());
    let (both, alone): (Vec<_>, Vec<_>) =
        answerable.partition(|(key, _)| hosts.contains(&(key.dst, key.src)));
    let both = both.len() as u64;
    let one_way = alone.iter().filter(|(key, _)| !meant(key)).count() as u64;
    // A fault of the mirror is no exception; music and announcements from elsewhere are.
    if one_way > both {
        found.push(Finding::OneDirectionMedia { one_way, flows: both + one_way });
    }
    if both > 0 {
        found.push(Finding::BothDirections { flows: both });
    }
}

/// Sockets of calls that nobody has answered, as far as both sides of their signalling are here: they
/// hear announcements and say nothing.
fn unanswered(seen: &Collector) -> BTreeSet<SocketAddr> {
    let sockets = |calls: &mut dyn Iterator<Item = &Call>| -> BTreeSet<SocketAddr> {
        calls.flat_map(|call| call.sockets.iter().copied()).collect()
    };
    let waits = |call: &&Call| call.answered.is_none() && call.asked_and_told == (true, true);
    let calls = || seen.signalling.calls.values();
    &sockets(&mut calls().filter(waits)) - &sockets(&mut calls().filter(|call| !waits(call)))
}

/// Media, and no readable signalling at all. With some, media may be of calls that began before.
fn without_signalling(seen: &Collector) -> Option<Finding> {
    let flows = seen.media.believed().count() as u64;
    let signalling = &seen.signalling;
    (flows > 0 && signalling.messages == 0).then_some(Finding::MediaWithoutSignalling {
        flows,
        tcp_segments: signalling.tcp_segments,
        tls_segments: signalling.tls_segments,
    })
}

fn encryption(seen: &Collector) -> Option<Finding> {
    // DTLS and ZRTP elsewhere are no concern of ours.
    let of_media = |key: &&FlowKey| {
        seen.media.flows.contains_key(key)
            || seen.media.flows.contains_key(&key.reversed())
            || described(seen, key.src, key.src_port).is_some()
            || described(seen, key.dst, key.dst_port).is_some()
    };
    let calls = seen.signalling.calls.values().filter(|call| call.encrypted).count() as u64;
    let dtls_flows = seen.media.dtls.iter().filter(of_media).count() as u64;
    let zrtp_flows = seen.media.zrtp.iter().filter(of_media).count() as u64;
    (calls + dtls_flows + zrtp_flows > 0).then_some(Finding::EncryptedMedia { calls, dtls_flows, zrtp_flows })
}

/// Packets by codec, as far as it is known which codec they are of.
fn codecs(seen: &Collector, found: &mut Vec<Finding>) {
    let (mut good, mut bad) = (BTreeMap::new(), BTreeMap::new());
    for (key, flow) in seen.media.believed() {
        for (&payload_type, &packets) in &flow.payload_types {
            let Some(format) = format(seen, key, payload_type) else { continue };
            let known = Codec::from_sdp(&format.codec, format.clock_rate, format.channels).is_some();
            let codecs: &mut BTreeMap<String, u64> = if known { &mut good } else { &mut bad };
            *codecs.entry(format!("{}/{}", format.codec, format.clock_rate)).or_default() += packets;
        }
    }
    let list = |codecs: BTreeMap<String, u64>| -> Vec<CodecPackets> {
        codecs.into_iter().map(|(codec, packets)| CodecPackets { codec, packets }).collect()
    };
    if !bad.is_empty() {
        found.push(Finding::UndecodableCodecs { codecs: list(bad) });
    }
    if !good.is_empty() {
        found.push(Finding::DecodableCodecs { codecs: list(good) });
    }
}

/// The audio format of a payload type on a flow: as its receiver said, else as its sender, else as the
/// type stands for by itself. `None` for events, comfort noise, video and what nobody described.
fn format(seen: &Collector, key: &FlowKey, payload_type: PayloadType) -> Option<Format> {
    let ends = [described(seen, key.dst, key.dst_port), described(seen, key.src, key.src_port)];
    if ends.iter().flatten().any(|end| end.kind != MediaKind::Audio) {
        return None;
    }
    let said = ends.iter().flatten().flat_map(|end| &end.formats);
    let said = said.into_iter().find(|format| format.payload_type == payload_type).cloned();
    let format = said.or_else(|| Format::of_static(payload_type))?;
    let aside = ["telephone-event", "CN", "CelB", "JPEG", "nv", "H261", "MPV", "MP2T", "H263"];
    (!aside.iter().any(|name| format.codec.eq_ignore_ascii_case(name))).then_some(format)
}

/// Both directions of each conversation, once.
fn pairs(seen: &Collector) -> impl Iterator<Item = (&Flow, &Flow)> {
    seen.media.believed().filter_map(|(key, flow)| {
        let reverse = seen.media.flows.get(&key.reversed()).filter(|reverse| reverse.is_media())?;
        (*key < key.reversed()).then_some((flow, reverse))
    })
}

fn queues(seen: &Collector, host: &HostChanges, found: &mut Vec<Finding>) {
    let on_one_interface = |(flow, reverse): (&Flow, &Flow)| -> Option<(Queue, Queue)> {
        let (queue, other) = (flow.queue?, reverse.queue?);
        (queue.0 == other.0).then_some((queue, other))
    };
    let known: Vec<(Queue, Queue)> = pairs(seen).filter_map(on_one_interface).collect();
    let apart = known.iter().filter(|(queue, other)| queue != other).count() as u64;
    if apart > 0 {
        found.push(Finding::DirectionsOnDifferentQueues { pairs: known.len() as u64, apart });
    }
    let mut used: BTreeMap<u16, BTreeMap<u16, u64>> = BTreeMap::new();
    for (interface, queue) in seen.media.believed().filter_map(|(_, flow)| flow.queue) {
        *used.entry(interface).or_default().entry(queue).or_default() += 1;
    }
    for (number, queues) in used {
        let Some(interface) = host.interfaces.get(usize::from(number)) else { continue };
        if let (1, Some((&queue, &flows))) = (queues.len(), queues.first_key_value())
            && interface.queues > 1
            && flows >= FLOWS
        {
            let (name, queues) = (interface.name.clone(), interface.queues);
            found.push(Finding::AllOnOneQueue { interface: name, queues, queue, flows });
        }
    }
}
