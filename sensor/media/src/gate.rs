//! The activity gate in front of an encoder: silence costs neither CPU nor bytes.

/// Mean square of a frame's samples above which it is sound: -60 dB of full scale.
const THRESHOLD: u64 = 32 * 32;

/// Frames that are still encoded after the last one with sound: 200 ms.
const HANGOVER: u32 = 10;

/// One encoder's gate; closed at first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    /// Frames for which it stays open.
    open_for: u32,
}

/// What the gate says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Sound after silence.
    Opens,
    /// Sound, or the time after it.
    Open,
    /// Silence.
    Closed,
}

impl Gate {
    /// A gate that stays open for so many frames.
    pub(crate) fn opened_for(open_for: u32) -> Gate {
        Gate { open_for }
    }

    /// For how many frames it stays open.
    pub(crate) fn open_for(&self) -> u32 {
        self.open_for
    }

    /// Whether it lets the next frame through, silent or not.
    pub(crate) fn is_open(&self) -> bool {
        self.open_for > 0
    }

    /// Judges the next frame.
    pub(crate) fn judge(&mut self, sound: bool) -> Activity {
        let was_open = self.open_for > 0;
        self.open_for = if sound { HANGOVER + 1 } else { self.open_for.saturating_sub(1) };
        match (was_open, self.open_for > 0) {
            (_, false) => Activity::Closed,
            (false, true) => Activity::Opens,
            (true, true) => Activity::Open,
        }
    }
}

/// Whether samples are louder than the noise of an idle line.
pub(crate) fn is_sound(samples: &[i16]) -> bool {
    let energy: u64 = samples.iter().map(|&sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    energy > THRESHOLD * samples.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_ten_frames_after_the_sound() {
        let mut gate = Gate::default();
        assert_eq!(gate.judge(false), Activity::Closed);
        assert_eq!(gate.judge(true), Activity::Opens);
        assert_eq!(gate.judge(true), Activity::Open);
        for _ in 0..10 {
            assert_eq!(gate.judge(false), Activity::Open);
        }
        assert_eq!(gate.judge(false), Activity::Closed);
        assert_eq!(gate.judge(true), Activity::Opens);
    }

    #[test]
    fn idle_codes_of_both_laws_are_silence() {
        assert!(!is_sound(&[8; 160]));
        assert!(!is_sound(&[0; 160]));
        assert!(is_sound(&[100; 160]));
        assert!(!is_sound(&[]));
    }
}
