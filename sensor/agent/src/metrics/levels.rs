//! The ledger's levels: which count is called what, and what it says.

use std::fmt::Write as _;
use std::sync::Arc;

use nightjar_capture::{SocketCounts, SourceStatistics, XdpCounts};
use nightjar_pipeline::{AudioLedger, Ledger, SharedAudioLedger};
use nightjar_wire::xdp::{Counter, RedirectError};

use super::exposition::{Exposition, Kind};
use super::families::CORE;
use crate::cards::CardCounts;
use crate::summary::socket_name;

/// Level 1.
pub(super) fn write_cards(text: &mut Exposition, cards: &[CardCounts]) {
    if cards.is_empty() {
        return;
    }
    let mut each = |name, help, counters: fn(&CardCounts) -> &[(String, u64)]| {
        let mut family = text.family(name, Kind::Counter, help);
        for card in cards {
            for (counter, count) in counters(card) {
                family.sample(&[("interface", &card.interface), ("counter", counter.trim())], count);
            }
        }
    };
    let help =
        "Frames that the interface's card lost before they could be captured, by the driver's counter.";
    each("nightjar_card_missed_total", help, |card| &card.missed);
    let help = "What explains a loss, by the driver's counter; repeats other counts, no term of the ledger.";
    each("nightjar_card_explains_total", help, |card| &card.explains);
}

/// Levels 2 and 3.
pub(super) fn write_xdp(text: &mut Exposition, interfaces: &[XdpCounts]) {
    if interfaces.is_empty() {
        return;
    }
    for counter in Counter::ALL {
        let mut family = text.family(xdp_name(counter), Kind::Counter, counter.help());
        for counts in interfaces {
            family.sample(&[("interface", &counts.interface)], counts.of(counter));
        }
    }
    let mut each = |name, kind, help, value: &dyn Fn(&XdpCounts) -> i64| {
        let mut family = text.family(name, kind, help);
        for counts in interfaces {
            family.sample(&[("interface", &counts.interface)], value(counts));
        }
    };
    let help = "Frames that the XDP program saw less those whose fate it counted: 0 when no frame comes.";
    each("nightjar_xdp_program_residual", Kind::Gauge, help, &XdpCounts::program_residual);
    let help = "Redirected frames less those whose fate is counted: on their way; 0 when no frame comes.";
    each("nightjar_xdp_redirect_residual", Kind::Gauge, help, &XdpCounts::redirect_residual);
    let help = "Endpoints that found the XDP program's map full: their media is told by its shape.";
    let full = |counts: &XdpCounts| counts.endpoints_full as i64;
    each("nightjar_xdp_endpoints_full_total", Kind::Counter, help, &full);
    let help = "Redirects that the kernel says have failed: failed: no other count has it; ring_full, no_room: \
                the sockets count these too, so they are no terms of the ledger.";
    let mut family = text.family("nightjar_xdp_redirect_errors_total", Kind::Counter, help);
    for counts in interfaces {
        for error in RedirectError::ALL {
            let labels = [("interface", counts.interface.as_str()), ("reason", error.name())];
            family.sample(&labels, counts.redirect_errors[error as usize]);
        }
    }
    write_sockets(text, interfaces);
}

/// One socket's count, by name.
type SocketFigure = (&'static str, Kind, &'static str, fn(&SocketCounts) -> u64);

fn write_sockets(text: &mut Exposition, interfaces: &[XdpCounts]) {
    let figures: [SocketFigure; 5] = [
        ("nightjar_xdp_socket_received_total", Kind::Counter, "Frames taken from the socket's ring.", |s| {
            s.received
        }),
        ("nightjar_xdp_socket_waiting", Kind::Gauge, "Frames that wait in the socket's ring.", |s| s.waiting),
        (
            "nightjar_xdp_socket_ring_full_total",
            Kind::Counter,
            "Frames lost: the socket's ring was full.",
            |s| s.ring_full,
        ),
        (
            "nightjar_xdp_socket_dropped_total",
            Kind::Counter,
            "Frames lost: no free chunk, or too long.",
            |s| s.dropped,
        ),
        (
            "nightjar_xdp_socket_fill_empty_total",
            Kind::Counter,
            "Times that the fill ring was empty; explains dropped, no term of the ledger.",
            |s| s.fill_empty,
        ),
    ];
    for (name, kind, help, value) in figures {
        let mut family = text.family(name, kind, help);
        for counts in interfaces {
            for socket in &counts.sockets {
                let queue = socket.queue.to_string();
                let kind = socket_name(socket.kind);
                let labels = [("interface", counts.interface.as_str()), ("queue", &queue), ("socket", kind)];
                family.sample(&labels, value(socket));
            }
        }
    }
}

fn xdp_name(counter: Counter) -> &'static str {
    match counter {
        Counter::Seen => "nightjar_xdp_seen_total",
        Counter::SeenBytes => "nightjar_xdp_seen_bytes_total",
        Counter::Signalling => "nightjar_xdp_signalling_total",
        Counter::Media => "nightjar_xdp_media_total",
        Counter::DroppedNever => "nightjar_xdp_dropped_never_total",
        Counter::DroppedCut => "nightjar_xdp_dropped_cut_total",
        Counter::DroppedUnwanted => "nightjar_xdp_dropped_unwanted_total",
        Counter::PassedUnwanted => "nightjar_xdp_passed_unwanted_total",
        Counter::PassedNoSocket => "nightjar_xdp_passed_no_socket_total",
        Counter::Aborted => "nightjar_xdp_aborted_total",
        Counter::ByEndpoint => "nightjar_xdp_by_endpoint_total",
        Counter::ByRange => "nightjar_xdp_by_range_total",
        Counter::ByShape => "nightjar_xdp_by_shape_total",
        Counter::ByTunnel => "nightjar_xdp_by_tunnel_total",
        Counter::Tunnelled => "nightjar_xdp_tunnelled_total",
        Counter::Fragments => "nightjar_xdp_fragments_total",
        Counter::NotIp => "nightjar_xdp_not_ip_total",
        Counter::Damaged => "nightjar_xdp_damaged_total",
    }
}

/// Level 4.
pub(super) fn write_packets(text: &mut Exposition, ledger: &Ledger) {
    text.counter("nightjar_packets_received_total", "Frames from the source.", ledger.received);
    text.counter("nightjar_packets_signalling_total", "Frames of signalling.", ledger.signalling);
    text.counter("nightjar_packets_recorded_total", "Frames appended to the journal.", ledger.recorded);
    let help = help_of_reasons("Frames that concern no call", ledger.ignored_by_reason());
    let mut family = text.family("nightjar_packets_ignored_total", Kind::Counter, &help);
    for (reason, _, frames) in ledger.ignored_by_reason() {
        family.sample(&[("reason", reason)], frames);
    }
    let help = help_of_reasons("Frames that could not be used", ledger.dropped_by_reason());
    let mut family = text.family("nightjar_packets_dropped_total", Kind::Counter, &help);
    for (reason, _, frames) in ledger.dropped_by_reason() {
        family.sample(&[("reason", reason)], frames);
    }
    text.gauge("nightjar_packets_held", "Frames in pre-roll and reassembly.", ledger.held);
    let help = "Received frames less everything that they went to: 0.";
    text.gauge("nightjar_packets_residual", help, ledger.residual());
}

fn help_of_reasons(what: &str, reasons: impl Iterator<Item = (&'static str, &'static str, u64)>) -> String {
    let mut help = format!("{what}, by reason:");
    for (at, (name, of_it, _)) in reasons.enumerate() {
        let _ = write!(help, "{} {name}: {of_it}", if at == 0 { "" } else { ";" });
    }
    help + "."
}

/// Where level 3 ends and level 4 begins, whatever the source is.
pub(super) fn write_source(text: &mut Exposition, counts: &SourceStatistics) {
    let counters = [
        ("nightjar_source_received_total", "Frames that the source gave.", counts.received),
        (
            "nightjar_source_received_bytes_total",
            "Bytes of them, as far as they were captured.",
            counts.bytes,
        ),
        (
            "nightjar_source_truncated_total",
            "Frames of which less was captured than was sent.",
            counts.truncated,
        ),
        ("nightjar_source_unknown_link_total", "Frames of link layers not decoded.", counts.unknown_link),
        ("nightjar_source_out_of_order_total", "Frames given behind a later one.", counts.out_of_order),
        (
            "nightjar_source_ring_full_total",
            "Frames that the kernel dropped: its ring was full.",
            counts.ring_full,
        ),
    ];
    for (name, help, count) in counters {
        text.family(name, Kind::Counter, help).sample(CORE, count);
    }
    text.family("nightjar_source_in_ring", Kind::Gauge, "Frames that wait in the kernel's ring.")
        .sample(CORE, counts.in_ring);
    text.family("nightjar_source_interfaces_down", Kind::Gauge, "Captured interfaces that are down.")
        .sample(CORE, counts.interfaces_down);
}

/// Level 5.
pub(super) fn write_audio(text: &mut Exposition, workers: &[Arc<SharedAudioLedger>]) {
    text.gauge("nightjar_media_workers", "Media workers.", workers.len());
    let help = "What became of the recorded packets of closed calls: encoded; duplicate; late; lost between \
                journal and recording; rtcp; undecodable: no decoder; malformed; copy: of another stream; \
                not_wanted: a fork that was not answered, or outside the call's time.";
    let mut family = text.family("nightjar_audio_packets_total", Kind::Counter, help);
    for (number, ledger) in workers.iter().enumerate() {
        let number = number.to_string();
        let AudioLedger { encoded, duplicate, late, lost, discarded } = ledger.ledger();
        let fates = [
            ("encoded", encoded),
            ("duplicate", duplicate),
            ("late", late),
            ("lost", lost),
            ("rtcp", discarded.rtcp),
            ("undecodable", discarded.undecodable),
            ("malformed", discarded.malformed),
            ("copy", discarded.copy),
            ("not_wanted", discarded.not_wanted),
        ];
        for (fate, packets) in fates {
            family.sample(&[("worker", &number), ("fate", fate)], packets);
        }
    }
}
