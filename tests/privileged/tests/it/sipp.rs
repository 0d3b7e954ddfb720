//! A real SIP peer: what sipp says and sends is what the sensor writes down and records.

use std::collections::BTreeSet;
use std::time::Duration;

use nightjar_privileged::privilege::is_root;
use nightjar_privileged::recordings::listen;
use nightjar_privileged::rows::residual;
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::sipp::{
    BRIDGE, CALLEE_ADDRESS, CALLEE_TONE, CALLER_ADDRESS, CALLER_TONE, Site, write_pcaps,
};
use nightjar_schema::{Call, CallState, EndCause, StreamUse};

const CALLS: u32 = 5;

#[test]
fn calls_between_sipp_and_sipp_are_recorded() {
    if !is_root("calls_between_sipp_and_sipp_are_recorded") {
        return;
    }
    let site = Site::new();
    // WAV: Opus takes a while to learn some pairs of pure tones.
    let mut place = Place::new(&[BRIDGE]).with("[recording]\nformat = \"wav\"\n");
    let folder = place.folder().to_owned();
    let packets = write_pcaps(&folder);
    let sensor = place.start(&site.switch);
    let before = site.frames();
    let peers = [
        site.answer(&folder, "callee", 5060, CALLS),
        site.answer(&folder, "callee-busy", 5070, 2),
        site.answer(&folder, "callee-ringing", 5080, 2),
        site.call(&folder, "caller", 5060, "+15550100300", CALLS),
        site.call(&folder, "caller-rejected", 5070, "+15550100400", 2),
        site.call(&folder, "caller-cancelled", 5080, "+15550100500", 2),
    ];
    for peer in peers {
        let ended = peer.wait(Duration::from_secs(40));
        assert!(ended.status.success(), "{ended:?}");
    }
    place.wait_for_rows(CALLS as usize + 4);
    let frames = site.frames() - before;
    assert!(stop(sensor).status.success());

    let (rows, summary) = (place.rows(), place.summary());
    assert_eq!(rows.len(), CALLS as usize + 4, "{rows:#?}");
    assert_eq!(summary["packets"]["received"], frames, "{summary:#}");
    assert_eq!(residual(&summary["packets"]), 0, "{summary:#}");
    let sent = u64::from(CALLS) * packets.iter().sum::<u64>();
    assert_eq!(summary["packets"]["recorded"], sent, "{summary:#}");

    let to = |number: &'static str| rows.iter().filter(move |row| row.to.number.as_deref() == Some(number));
    let callers: BTreeSet<_> = to("+15550100300").map(|row| row.from.number.clone()).collect();
    let dialled = (1..=CALLS).map(|call| Some(format!("+1555010020{call}"))).collect();
    assert_eq!(callers, dialled);
    to("+15550100300").for_each(|row| assert_talk(&place, row, packets));
    let states = |number| to(number).map(|row| (row.state, row.status)).collect::<Vec<_>>();
    assert_eq!(states("+15550100400"), [(CallState::Rejected, Some(486)); 2]);
    assert_eq!(states("+15550100500"), [(CallState::Cancelled, Some(487)); 2]);
}

/// An answered call: both streams as sipp sent them, each party on its channel.
fn assert_talk(place: &Place, row: &Call, packets: [u64; 2]) {
    assert_eq!((row.state, row.status), (CallState::Completed, Some(200)), "{row:?}");
    assert_eq!(row.end.as_ref().map(|end| (end.cause, end.leg)), Some((EndCause::Bye, Some(0))), "{row:?}");
    assert_eq!(row.streams.len(), 2, "{row:?}");
    assert!(row.marks.is_empty(), "{row:?}");
    for (leg, address) in [CALLER_ADDRESS, CALLEE_ADDRESS].into_iter().enumerate() {
        let stream = row.streams.iter().find(|stream| stream.src.starts_with(&format!("{address}:")));
        let stream = stream.unwrap_or_else(|| panic!("nothing from {address}: {row:?}"));
        assert_eq!(stream.leg, Some(leg as u16), "{row:?}");
        assert_eq!(
            (stream.packets, stream.lost, stream.use_),
            (packets[leg], 0, StreamUse::Mixed),
            "{row:?}"
        );
        assert_eq!((stream.payload_type, stream.codec.as_deref()), (Some(8), Some("PCMA")), "{row:?}");
    }
    let sound = listen(&place.data(), row);
    assert_eq!(sound.channels.len(), 2);
    for (channel, hz) in [CALLER_TONE, CALLEE_TONE].into_iter().enumerate() {
        let share = sound.share_of_tone(channel, hz);
        assert!(share > 0.9, "{}: {hz} Hz is {share:.2} of channel {channel}", row.id);
    }
}
