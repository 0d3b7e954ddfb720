//! A tap with a port per direction is recorded as an interface that sees both is: real SIP peers,
//! whose ACK follows the 200 within a millisecond, watched by two sensors at once.

use std::time::Duration;

use nightjar_privileged::privilege::is_root;
use nightjar_privileged::recordings::{Sound, listen};
use nightjar_privileged::rows::{residual, without_times};
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::sipp::{BRIDGE, PORTS, Site, write_pcaps};
use nightjar_schema::{Call, CallState};

const CALLS: u32 = 12;
/// Samples of a packet.
const PACKET: usize = 160;
/// Samples by which a leg may lie elsewhere in the other's recording: 2 ms.
const APART: usize = 16;

#[test]
fn a_tap_of_two_ports_gives_the_calls_of_one_interface() {
    if !is_root("a_tap_of_two_ports_gives_the_calls_of_one_interface") {
        return;
    }
    let site = Site::new();
    let wav = "[recording]\nformat = \"wav\"\n";
    let mut places = [Place::new(&[BRIDGE]).with(wav), Place::new(&PORTS).with(wav)];
    let folder = places[0].folder().to_owned();
    write_pcaps(&folder);
    let sensors = places.each_mut().map(|place| place.start(&site.switch));
    let peers = [
        site.answer(&folder, "callee", 5060, CALLS),
        site.answer(&folder, "callee-ringing", 5080, 2),
        site.call(&folder, "caller", 5060, "+15550100300", CALLS),
        site.call(&folder, "caller-cancelled", 5080, "+15550100500", 2),
    ];
    for peer in peers {
        let ended = peer.wait(Duration::from_secs(40));
        assert!(ended.status.success(), "{ended:?}");
    }
    for sensor in sensors {
        assert!(stop(sensor).status.success());
    }

    let [whole, split] = places.each_ref().map(rows);
    let completed = |row: &&Call| (row.state, row.status) == (CallState::Completed, Some(200));
    assert_eq!(split.iter().filter(completed).count(), CALLS as usize, "{split:#?}");
    let said = |rows: &[Call]| rows.iter().map(without_times).collect::<Vec<_>>();
    assert_eq!(said(&split), said(&whole));
    for (one, other) in whole.iter().zip(&split).filter(|(one, _)| completed(one)) {
        let [one, other] =
            [(&places[0], one), (&places[1], other)].map(|(place, row)| listen(&place.data(), row));
        assert_same_samples(&one, &other);
        assert_same_samples(&other, &one);
    }
    for place in &places {
        let summary = place.summary();
        assert_eq!(residual(&summary["packets"]), 0, "{summary:#}");
        assert_eq!(
            (&summary["source"]["out_of_order"], &summary["source"]["ring_full"]),
            (&0.into(), &0.into())
        );
    }
}

/// A place's rows in order of their Call-IDs.
fn rows(place: &Place) -> Vec<Call> {
    let mut rows = place.rows();
    rows.sort_by(|one, other| one.call_ids.cmp(&other.call_ids));
    rows
}

/// Every packet's worth of sound in `one` is in `other`, sample by sample, at most [`APART`] away. The
/// first and the last may lie across an end of the other.
fn assert_same_samples(one: &Sound, other: &Sound) {
    assert_eq!(one.channels.len(), other.channels.len());
    for (channel, (one, other)) in one.channels.iter().zip(&other.channels).enumerate() {
        let packets = one.len() / PACKET;
        assert!(
            packets > 100 && one.len().abs_diff(other.len()) <= APART,
            "{} and {}",
            one.len(),
            other.len()
        );
        let differ: Vec<usize> =
            (1..packets - 1).filter(|number| !is_in(one, other, number * PACKET)).collect();
        assert!(differ.is_empty(), "of channel {channel} packets {differ:?} are not in the other recording");
    }
}

/// Whether the packet that begins at a sample of `one` is in `other` too.
fn is_in(one: &[f64], other: &[f64], at: usize) -> bool {
    let from = (at - APART).min(other.len());
    let there = &other[from..(at + PACKET + APART).min(other.len())];
    there.windows(PACKET).any(|window| window == &one[at..at + PACKET])
}
