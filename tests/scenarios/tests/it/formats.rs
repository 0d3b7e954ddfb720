//! Recordings in other forms: Opus as ffmpeg hears it, and one channel for both parties.

use nightjar_agent::args::{Channels, Format, Stereo};
use nightjar_scenarios::{Faults, Setting, replay_scenario, replayed};

use crate::heard;

#[test]
fn opus_has_the_tones_the_channels_the_silence_and_the_length() {
    let mut faults = Faults::default();
    for name in ["answered", "bye-by-callee", "early-media", "forked", "hold-twice", "loss", "dtx", "pcmu"] {
        faults.scope(name);
        let scenario = replay_scenario(name, Setting { format: Format::Opus, ..Setting::default() });
        heard::check(&mut faults, name, &scenario, &heard::OPUS);
    }
    faults.finish();
}

/// Coupled stereo predicts one channel from the other: some of a steady tone is on the wrong side.
#[test]
fn coupled_stereo_has_each_tone_on_its_side_above_all() {
    let setting = Setting { format: Format::Opus, stereo: Some(Stereo::Coupled), ..Setting::default() };
    let scenario = replay_scenario("answered", setting);
    let (recording, sound) = scenario.replayed.sound(&scenario.replayed.calls[0]).expect("a recording");
    assert_eq!((recording.channels, sound.channels.len()), (Some(2), 2));
    for second in 2..9 {
        for (channel, tone, other) in [(0, 400, 450), (1, 450, 400)] {
            let level = |hz| sound.channels[channel].tone(hz, second * 1000, second * 1000 + 500);
            assert!(
                level(tone) > 5_000.0 && level(other) < level(tone) / 3.0,
                "channel {channel}, {second} s"
            );
        }
    }
}

#[test]
fn one_channel_holds_both_parties() {
    for format in [Format::Wav, Format::Opus] {
        let setting = Setting { format, channels: Channels::Mono, ..Setting::default() };
        let scenario = replay_scenario("answered", setting);
        let call = &scenario.replayed.calls[0];
        let (recording, sound) = scenario.replayed.sound(call).expect("a recording");
        assert_eq!((recording.channels, sound.channels.len()), (Some(1), 1));
        assert_eq!(recording.channel_legs, [vec![0, 1]]);
        let channel = &sound.channels[0];
        for second in 1..9 {
            let levels = [400, 450].map(|tone| channel.tone(tone, second * 1000, second * 1000 + 500));
            assert!(levels.iter().all(|level| *level > 4_000.0), "{format:?}, {second} s: {levels:?}");
        }
    }
}

#[test]
fn a_call_that_was_held_for_an_hour_is_an_hour_long_in_opus_too() {
    let scenario = replay_scenario("hold-60-minutes", Setting { format: Format::Opus, ..Setting::default() });
    let call = &scenario.replayed.calls[0];
    let (_, sound) = scenario.replayed.sound(call).expect("a recording");
    let wav = &replayed("hold-60-minutes").replayed;
    let (_, exact) = wav.sound(&wav.calls[0]).expect("a recording");
    assert_eq!(sound.duration_ms(), exact.duration_ms());
    assert!((3_610_000..3_610_100).contains(&sound.duration_ms()), "{} ms", sound.duration_ms());
}
