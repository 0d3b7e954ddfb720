//! What RTP streams do by themselves, and what shares their ports.

use nightjar_wire::Nanos;

use super::Entry;
use crate::audio::Audio;
use crate::g711::Codec;
use crate::party::Side;
use crate::plan::{CallPlan, Extra, ExtraKind, RtcpPlan, RtpChange};

pub(super) const SCENARIOS: &[Entry] = &[
    Entry::one("pcmu", "µ-law from the beginning", |call| call.codec = Codec::Pcmu),
    Entry::one("ptime-10", "10 ms packets", |call| call.ptime_ms = 10),
    Entry::one("ptime-30", "30 ms packets", |call| call.ptime_ms = 30),
    Entry::one("ptime-60", "60 ms packets", |call| call.ptime_ms = 60),
    Entry::one("ptime-changes", "the caller's packets change from 20 to 40 ms without a re-INVITE", |call| {
        caller(call, 5000, RtpChange::Ptime(40));
    }),
    Entry::one("law-switch", "the caller switches between the laws without a re-INVITE", |call| {
        call.accept_both_laws = true;
        caller(call, 4000, RtpChange::Codec(Codec::Pcmu));
        caller(call, 7000, RtpChange::Codec(Codec::Pcma));
    }),
    Entry::one("ssrc-change", "the caller changes SSRC, sequence and timestamp at 5 s", |call| {
        caller(call, 5000, RtpChange::NewSsrc);
    }),
    Entry::one("ssrc-change-lossy", "the caller changes SSRC twice, and 4 % are lost", |call| {
        caller(call, 4000, RtpChange::NewSsrc);
        caller(call, 7000, RtpChange::NewSsrc);
        call.legs[0].impairment.loss_percent = 4.0;
    }),
    Entry::one("sequence-wrap", "both sequences wrap", |call| {
        call.legs[0].first_sequence = Some(65_500);
        call.legs[1].first_sequence = Some(65_300);
    }),
    Entry::one("timestamp-wrap", "both timestamps wrap", |call| {
        call.legs[0].first_timestamp = Some(u32::MAX - 30_000);
        call.legs[1].first_timestamp = Some(u32::MAX - 40_123);
    }),
    Entry::one("dtx", "the caller sends nothing for 2 s: timestamps jump, sequence goes on", |call| {
        caller(call, 4000, RtpChange::Silence(Nanos::from_secs(2)));
    }),
    Entry::one("comfort-noise", "the same, announced by a comfort-noise packet", |call| {
        caller(call, 4000, RtpChange::ComfortNoise(Nanos::from_secs(2)));
    }),
    Entry::one("timestamp-reset", "the caller's timestamp jumps at random, the sequence goes on", |call| {
        caller(call, 5000, RtpChange::TimestampReset);
    }),
    Entry::one("timestamp-frozen", "the caller's timestamp stands still for 2 s", |call| {
        caller(call, 4000, RtpChange::TimestampFrozen(Nanos::from_secs(2)));
    }),
    Entry::one("digits", "the caller dials 159#, the callee 0D", |call| {
        for (number, digit) in "159#".chars().enumerate() {
            caller(call, 2000 + 500 * number as u64, RtpChange::Digit(digit, Nanos::from_millis(120)));
        }
        for (number, digit) in "0D".chars().enumerate() {
            let at = Nanos::from_millis(6000 + 800 * number as u64);
            call.legs[1].changes.push((at, RtpChange::Digit(digit, Nanos::from_millis(250))));
        }
    }),
    Entry::one("rtcp-apart", "RTCP on the next port", |call| call.rtcp = RtcpPlan::Apart),
    Entry::one("rtcp-mux", "RTCP on the media port", |call| call.rtcp = RtcpPlan::Mux),
    Entry::one("shared-port", "STUN, DTLS and keep-alives on the media ports", |call| {
        call.rtcp = RtcpPlan::Mux;
        for (number, kind) in [ExtraKind::Stun, ExtraKind::Dtls, ExtraKind::KeepAlive].into_iter().enumerate()
        {
            for repeat in 0..=number as u64 {
                let at = Nanos::from_millis(1005 + 1700 * repeat + 100 * number as u64);
                let by = if repeat % 2 == 0 { Side::Caller } else { Side::Callee };
                call.extras.push(Extra { at, by, kind });
            }
        }
    }),
    Entry::one("malformed-rtp", "five packets on a media port contradict themselves", |call| {
        for number in 0..5 {
            let at = Nanos::from_millis(2003 + 900 * number);
            call.extras.push(Extra { at, by: Side::Caller, kind: ExtraKind::MalformedRtp });
        }
    }),
    Entry::one("video", "a video line and streams beside the audio", |call| call.video = true),
    Entry::one("speech", "speech-like sound in turns for 30 s", |call| {
        call.talk = Nanos::from_secs(30);
        call.legs[0].audio = Audio::Turns(1);
        call.legs[1].audio = Audio::Turns(6);
    }),
];

fn caller(call: &mut CallPlan, at_ms: u64, change: RtpChange) {
    call.legs[0].changes.push((Nanos::from_millis(at_ms), change));
}
