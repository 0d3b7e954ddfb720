//! Which call a stream joins, in small networks.

use super::*;
use nightjar_wire::Realm;
use std::net::{IpAddr, Ipv4Addr};

fn endpoint(host: u8, port: u16) -> Endpoint {
    Endpoint::new(Realm(0), IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)), port)
}

fn binding(call: u32, dialog: u16, receiver: u16, at: Endpoint, remote: Option<Endpoint>) -> Binding {
    Binding {
        endpoint: at,
        from: Nanos::from_secs(u64::from(call)),
        call: CallKey(call),
        dialog,
        receiver,
        speaker: Some(1 - receiver),
        media_line: 0,
        kind: MediaKind::Audio,
        remote,
        rtcp: at.with_port(at.port + 1),
        formats: Vec::new(),
    }
}

fn send(table: &mut FlowTable, millis: u64, src: Endpoint, dst: Endpoint, ssrc: u8, seq: u16) -> Placement {
    let mut bytes = [0u8; 172];
    bytes[0] = 0x80;
    bytes[2..4].copy_from_slice(&seq.to_be_bytes());
    bytes[4..8].copy_from_slice(&(u32::from(seq) * 160).to_be_bytes());
    bytes[11] = ssrc;
    let rtp = RtpView::parse(&bytes).unwrap();
    table.handle_rtp(Nanos::from_millis(millis), FlowKey::new(src, dst), &rtp, Some(seq))
}

fn call_of(table: &FlowTable, id: u32) -> Membership {
    table.stream(id).unwrap().membership.unwrap()
}

const OPEN: Limits = Limits { streams: 100, plausible_after: 3 };

#[test]
fn both_directions_of_an_answered_call_know_their_speaker() {
    let mut table = FlowTable::new(OPEN);
    let (a, b) = (endpoint(1, 4000), endpoint(2, 6000));
    table.bind(binding(1, 0, 0, a, Some(b)));
    table.bind(binding(1, 0, 1, b, Some(a)));
    assert!(matches!(send(&mut table, 2_000, a, b, 1, 1), Placement::Bound { stream: 0, opened: true, .. }));
    assert!(matches!(send(&mut table, 2_000, b, a, 2, 1), Placement::Bound { stream: 1, opened: true, .. }));
    assert_eq!((call_of(&table, 0).speaker, call_of(&table, 1).speaker), (Some(0), Some(1)));
}

#[test]
fn media_that_waited_joins_when_a_binding_explains_it() {
    let mut table = FlowTable::new(OPEN);
    let (a, b) = (endpoint(1, 4000), endpoint(2, 6000));
    assert!(matches!(send(&mut table, 0, b, a, 2, 1), Placement::Waiting { stream: 0, opened: true }));
    assert_eq!(table.bind(binding(0, 0, 0, a, None)).joined, [0]);
    assert!(matches!(send(&mut table, 20, b, a, 2, 2), Placement::Bound { stream: 0, opened: false, .. }));
}

#[test]
fn behind_nat_the_unnamed_peer_speaks_and_hears() {
    let mut table = FlowTable::new(OPEN);
    let (private, public, b) = (endpoint(1, 4000), endpoint(9, 50_000), endpoint(2, 6000));
    table.bind(binding(1, 0, 0, private, Some(b)));
    table.bind(binding(1, 0, 1, b, Some(private)));
    send(&mut table, 2_000, public, b, 1, 1);
    send(&mut table, 2_000, b, public, 2, 1);
    assert_eq!((call_of(&table, 0).speaker, call_of(&table, 1).speaker), (Some(0), Some(1)));
}

#[test]
fn music_from_a_third_address_joins_without_a_speaker() {
    let mut table = FlowTable::new(OPEN);
    let (a, b, music) = (endpoint(1, 4000), endpoint(2, 6000), endpoint(3, 7000));
    table.bind(binding(1, 0, 0, a, Some(b)));
    table.bind(binding(1, 0, 1, b, Some(a)));
    send(&mut table, 2_000, b, a, 2, 1);
    send(&mut table, 2_100, music, a, 3, 1);
    let member = call_of(&table, 1);
    assert_eq!((member.speaker, member.receiver), (None, Some(0)));
}

#[test]
fn late_packets_stay_with_the_old_call_and_a_new_ssrc_takes_the_new_one() {
    let mut table = FlowTable::new(OPEN);
    let (a, b) = (endpoint(1, 4000), endpoint(2, 6000));
    table.bind(binding(1, 0, 0, a, Some(b)));
    send(&mut table, 1_500, b, a, 1, 10);
    table.end_call(CallKey(1));
    table.unbind(CallKey(1), 0, a, Nanos::from_millis(1_900));
    table.bind(binding(2, 0, 0, a, Some(b)));
    assert!(matches!(send(&mut table, 2_100, b, a, 1, 11), Placement::Bound { call: CallKey(1), .. }));
    assert!(matches!(send(&mut table, 2_100, b, a, 2, 500), Placement::Bound { call: CallKey(2), .. }));
    assert!(
        matches!(
            send(&mut table, 2_200, b, a, 1, 30_000),
            Placement::Bound { call: CallKey(2), opened: true, .. }
        ),
        "the same SSRC with other numbers is the next call's"
    );
    assert_eq!(table.close_call(CallKey(1)).len(), 1);
    assert!(matches!(send(&mut table, 2_300, b, a, 1, 30_001), Placement::Bound { call: CallKey(2), .. }));
}

#[test]
fn the_remote_source_picks_the_fork() {
    let mut table = FlowTable::new(OPEN);
    let (a, first, second) = (endpoint(1, 4000), endpoint(2, 6000), endpoint(3, 6000));
    table.bind(binding(1, 0, 0, a, Some(first)));
    table.bind(binding(1, 1, 0, a, Some(second)));
    send(&mut table, 2_000, second, a, 2, 1);
    send(&mut table, 2_000, first, a, 1, 1);
    assert_eq!((call_of(&table, 0).dialog, call_of(&table, 1).dialog), (Some(1), Some(0)));
}

#[test]
fn a_relays_other_side_is_a_copy() {
    let mut table = FlowTable::new(OPEN);
    let (a, relay_in, relay_out, b) =
        (endpoint(1, 4000), endpoint(8, 5000), endpoint(8, 5002), endpoint(2, 6000));
    table.bind(binding(1, 0, 1, relay_in, Some(a)));
    table.bind(binding(1, 0, 1, b, Some(relay_out)));
    send(&mut table, 2_000, a, relay_in, 1, 7);
    send(&mut table, 2_001, relay_out, b, 1, 7);
    assert_eq!(table.stream(1).unwrap().copy_of, Some(0));
}

#[test]
fn a_stream_that_moves_to_other_ports_is_no_copy() {
    let mut table = FlowTable::new(OPEN);
    let (a, b, moved) = (endpoint(1, 4000), endpoint(2, 6000), endpoint(1, 4004));
    table.bind(binding(1, 0, 0, a, Some(b)));
    send(&mut table, 2_000, b, a, 2, 1);
    send(&mut table, 2_020, b, a, 2, 2);
    table.bind(binding(1, 0, 0, moved, Some(b)));
    send(&mut table, 2_040, b, moved, 2, 3);
    let stream = table.stream(1).unwrap();
    assert_eq!((stream.copy_of, stream.continues), (None, Some(0)));
    // One that waited for its binding has some packets already.
    let early = endpoint(1, 4008);
    for seq in 4..7 {
        send(&mut table, 2_060, endpoint(2, 6010), early, 2, seq);
    }
    table.bind(binding(1, 0, 0, early, None));
    let stream = table.stream(2).unwrap();
    assert_eq!((stream.copy_of, stream.continues), (None, Some(1)));
}

#[test]
fn a_stream_that_returns_has_not_lost_what_went_elsewhere() {
    let mut table = FlowTable::new(OPEN);
    let (a, b, moved) = (endpoint(1, 4000), endpoint(2, 6000), endpoint(1, 4004));
    let lost = |table: &FlowTable, id: u32| table.stream(id).unwrap().figures.lost();
    table.bind(binding(1, 0, 0, a, Some(b)));
    for seq in 1..=10 {
        send(&mut table, 2_000 + 20 * u64::from(seq), b, a, 2, seq);
    }
    // To a port that is seen; 11 is lost on the way there.
    table.bind(binding(1, 0, 0, moved, Some(b)));
    for seq in 12..=100 {
        send(&mut table, 2_000 + 20 * u64::from(seq), b, moved, 2, seq);
    }
    let back = send(&mut table, 4_020, b, a, 2, 101);
    assert!(matches!(back, Placement::Bound { stream: 0, returned: Some(1), .. }), "{back:?}");
    assert_eq!((lost(&table, 0), lost(&table, 1)), (1, 0));
    // To one that is not: signalling withdrew this one meanwhile.
    table.unbind(CallKey(1), 0, a, Nanos::from_millis(4_100));
    table.bind(binding(1, 0, 0, a, Some(b)));
    assert!(matches!(send(&mut table, 6_040, b, a, 2, 202), Placement::Bound { returned: Some(0), .. }));
    assert_eq!(lost(&table, 0), 1);
    // A hold in which the sender counted on.
    table.handle_resume(CallKey(1));
    send(&mut table, 9_040, b, a, 2, 352);
    assert_eq!(lost(&table, 0), 1);
    // Loss is loss, also right after a hold that the sender talked through.
    assert!(matches!(send(&mut table, 9_100, b, a, 2, 355), Placement::Bound { returned: None, .. }));
    table.handle_resume(CallKey(1));
    send(&mut table, 9_160, b, a, 2, 358);
    assert_eq!(lost(&table, 0), 5);
}

#[test]
fn an_rtcp_datagram_that_the_mirror_shows_twice_is_a_copy() {
    let mut table = FlowTable::new(OPEN);
    let (a, b) = (endpoint(1, 4000), endpoint(2, 6000));
    table.bind(binding(1, 0, 0, a, Some(b)));
    let flow = FlowKey::new(b.with_port(6001), a.with_port(4001));
    let mut see = |at: u64, id, bytes: &[u8]| table.handle_rtcp(Nanos(at), flow, bytes, id);
    let bound = RtcpPlacement::Bound(CallKey(1));
    assert_eq!(see(2_000_000_000, Some(7), &[0x80, 200, 0, 0]), bound);
    assert_eq!(see(2_000_040_000, Some(7), &[0x80, 200, 0, 0]), RtcpPlacement::MirrorCopy);
    assert_eq!(see(2_000_080_000, Some(8), &[0x80, 200, 0, 0]), bound, "sent again by the sender");
    assert_eq!(see(2_000_090_000, Some(8), &[0x80, 200, 0, 1]), bound);
    assert_eq!(see(2_000_100_000, None, &[0x80, 201, 0, 0]), bound);
    assert_eq!(see(2_000_140_000, None, &[0x80, 201, 0, 0]), RtcpPlacement::MirrorCopy);
    assert_eq!(see(2_100_000_000, None, &[0x80, 201, 0, 0]), bound);
    let elsewhere = FlowKey::new(endpoint(8, 8), endpoint(9, 9));
    let nobody = table.handle_rtcp(Nanos(2_000_000_000), elsewhere, &[0x80, 200], None);
    assert_eq!(nobody, RtcpPlacement::Unknown);
}

#[test]
fn a_full_table_says_so_and_a_removed_stream_makes_room() {
    let mut table = FlowTable::new(Limits { streams: 1, ..OPEN });
    let (a, b) = (endpoint(1, 4000), endpoint(2, 6000));
    send(&mut table, 0, a, b, 1, 1);
    assert_eq!(send(&mut table, 0, a, b, 2, 1), Placement::TableFull);
    table.remove_waiting(0);
    assert!(table.is_empty() && table.waiting.is_empty());
    assert!(matches!(send(&mut table, 0, a, b, 2, 1), Placement::Waiting { .. }));
}

#[test]
fn what_a_restored_call_does_not_know_is_forgotten_until_it_is_told_again() {
    let mut table = FlowTable::new(OPEN);
    let (a, b) = (endpoint(1, 4000), endpoint(2, 6000));
    table.bind(binding(1, 0, 0, a, Some(b)));
    let fork = Binding { receiver: 2, speaker: Some(0), ..binding(1, 1, 1, b, Some(a)) };
    table.bind(fork.clone());
    send(&mut table, 2_000, a, b, 1, 1);
    send(&mut table, 2_000, b, a, 2, 1);
    let place = |table: &FlowTable, id| {
        let Membership { dialog, speaker, receiver, .. } = call_of(table, id);
        (dialog, speaker, receiver)
    };
    assert_eq!(place(&table, 0), (Some(1), Some(0), Some(2)));
    assert_eq!(table.forget_unknown(CallKey(1), 3, 2), []);
    // The state is of the time before the fork.
    assert_eq!(table.forget_unknown(CallKey(1), 2, 1), [0]);
    assert_eq!((place(&table, 0), place(&table, 1).0), ((None, Some(0), None), Some(0)));
    assert_eq!(table.bind(fork).changed, [0]);
    assert_eq!(place(&table, 0), (Some(1), Some(0), Some(2)));
}
