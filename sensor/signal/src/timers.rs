//! When a call's next time-out falls due and what it then does. All moments here are the
//! directory's clock, which never goes back; what a call's row says is kept apart from them.

use nightjar_schema::{EndCause, Protocol};
use nightjar_wire::Nanos;
use serde::{Deserialize, Serialize};

use crate::call::{Call, Effects, Ending};
use crate::config::SignalConfig;

/// How long a BYE waits for its answer: it may be challenged, and then it was none.
const BYE_TIMEOUT: Nanos = Nanos::from_secs(2);
/// 64 × T1 (RFC 3261, 17.1.1.2): an answer to a CANCEL, or the caller's own after every fork has
/// refused, is awaited no longer.
const TRANSACTION_TIMEOUT: Nanos = Nanos::from_secs(32);
/// How long a dialog that began before the capture may keep quiet about itself while its media
/// is not known.
const UNANNOUNCED_TIMEOUT: Nanos = Nanos::from_secs(2);

/// The moments that a call's time-outs count from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clocks {
    /// The last INVITE or provisional answer.
    pub(crate) setup: Nanos,
    /// The answer, the last re-INVITE or UPDATE that was accepted, the end of a hold.
    pub(crate) talk: Nanos,
    /// The last media.
    pub(crate) media: Option<Nanos>,
    /// A refusal that the caller may answer by another INVITE.
    pub(crate) retry: Option<Nanos>,
    /// The caller's CANCEL.
    pub(crate) cancelled: Option<Nanos>,
    /// Every fork has refused, the caller does not know yet.
    pub(crate) settled: Option<Nanos>,
    /// Since when the call waits to be announced.
    pub(crate) unannounced: Option<Nanos>,
    /// The end.
    pub(crate) closing: Option<Nanos>,
}

impl Clocks {
    pub(crate) fn starting(now: Nanos) -> Clocks {
        Clocks {
            setup: now,
            talk: now,
            media: None,
            retry: None,
            cancelled: None,
            settled: None,
            unannounced: Some(now),
            closing: None,
        }
    }

    /// Time that does not count.
    fn shift(&mut self, by: Nanos) {
        self.setup = self.setup + by;
        self.talk = self.talk + by;
        let moments = [
            &mut self.media,
            &mut self.retry,
            &mut self.cancelled,
            &mut self.settled,
            &mut self.unannounced,
            &mut self.closing,
        ];
        for moment in moments {
            *moment = moment.map(|at| at + by);
        }
    }
}

/// What falls due. Of two at the same moment the earlier named one comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Close,
    Announce,
    Bye(usize),
    SessionTimer,
    MediaTimeout,
    Retry,
    Cancelled,
    Settled,
    Setup,
}

/// Whether a call goes on after a time-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Closes,
}

impl Call {
    /// The next time-out.
    pub(crate) fn due(&self, config: &SignalConfig) -> (Nanos, Due) {
        let clocks = &self.clocks;
        if let Some(closing) = clocks.closing {
            return (closing + config.linger, Due::Close);
        }
        let byes =
            self.dialogs.iter().enumerate().filter(|(_, dialog)| dialog.live()).filter_map(|(at, dialog)| {
                dialog.bye.as_ref().map(|bye| (bye.since + BYE_TIMEOUT, Due::Bye(at)))
            });
        let announce = clocks.unannounced.map(|since| (since + UNANNOUNCED_TIMEOUT, Due::Announce));
        let none = (Nanos::MAX, Due::MediaTimeout);
        let talking = self.answered_by.is_some() || self.protocol == Protocol::None;
        let state = if talking { self.due_in_talk(config) } else { Some(self.due_in_setup(config)) };
        byes.chain(announce).chain(state).min_by_key(|(at, _)| *at).unwrap_or(none)
    }

    fn due_in_talk(&self, config: &SignalConfig) -> Option<(Nanos, Due)> {
        let media_timeout = self.clocks.media.map(|last| last + config.media_timeout);
        let last = self.clocks.talk.max(self.clocks.media.unwrap_or_default());
        let expects_media = self.clocks.media.is_some() && !self.held();
        let span = if expects_media { config.media_timeout } else { config.silent_timeout };
        let silent = Some((last + span, Due::MediaTimeout));
        let timer = self.answered_by.and_then(|at| self.dialogs[usize::from(at)].timer);
        let expiry = timer.map(|timer| {
            let expiry = timer.refreshed + timer.interval + config.session_grace;
            // While media flows the refresh was merely not seen.
            (expiry.max(media_timeout.unwrap_or_default()), Due::SessionTimer)
        });
        expiry.into_iter().chain(silent).min_by_key(|(at, _)| *at)
    }

    fn due_in_setup(&self, config: &SignalConfig) -> (Nanos, Due) {
        let clocks = &self.clocks;
        if let Some(since) = clocks.retry {
            return (since + config.retry_timeout, Due::Retry);
        }
        if let Some(since) = clocks.cancelled {
            return (since + TRANSACTION_TIMEOUT, Due::Cancelled);
        }
        if let Some(since) = clocks.settled {
            return (since + TRANSACTION_TIMEOUT, Due::Settled);
        }
        // A queue's announcement may play for minutes before the answer.
        let media = clocks.media.map(|last| last + config.media_timeout).unwrap_or_default();
        ((clocks.setup + config.setup_timeout).max(media), Due::Setup)
    }

    /// Does what has fallen due at `at`.
    pub(crate) fn expire(&mut self, due: Due, at: Nanos, fx: &mut Effects<'_>) -> Fate {
        match due {
            Due::Close => return Fate::Closes,
            Due::Announce => self.announce(fx),
            Due::Bye(dialog) => self.finish_dialog(dialog, at, fx),
            Due::SessionTimer => self.end_unheard(EndCause::SessionTimer, at, fx),
            Due::MediaTimeout => self.end_unheard(EndCause::MediaTimeout, at, fx),
            Due::Setup => self.end_unheard(EndCause::SetupTimeout, at, fx),
            Due::Retry | Due::Settled | Due::Cancelled => {
                self.end_pending(at, fx);
                // None falls due again, even in a call that could not be ended by it.
                (self.clocks.retry, self.clocks.settled, self.clocks.cancelled) = (None, None, None);
            }
        }
        Fate::Stays
    }

    /// Ends what has ended already but for a message that could have changed it: a BYE before its
    /// answer, a refusal before the next INVITE, a CANCEL before the 487.
    pub(crate) fn end_pending(&mut self, now: Nanos, fx: &mut Effects<'_>) {
        while let Some(dialog) = self.dialogs.iter().position(|dialog| dialog.live() && dialog.bye.is_some())
        {
            self.finish_dialog(dialog, now, fx);
        }
        if self.ending.is_some() || self.answered_by.is_some() {
            return;
        }
        let refused = self.refused_at.filter(|_| self.clocks.retry.or(self.clocks.settled).is_some());
        if let Some(at) = self.cancelled_at {
            let ending =
                Ending { at, cause: EndCause::Cancel, leg: Some(0), reason: self.cancel_reason.clone() };
            self.end(ending, at, now, fx);
        } else if let Some(at) = refused {
            let ending = Ending { at, cause: EndCause::Rejected, leg: None, reason: self.phrase.clone() };
            self.end(ending, at, now, fx);
        }
    }

    /// Leaves out a stretch of time in which nothing could have been seen.
    pub(crate) fn shift_clocks(&mut self, by: Nanos) {
        self.clocks.shift(by);
        for dialog in &mut self.dialogs {
            if let Some(bye) = &mut dialog.bye {
                bye.since = bye.since + by;
            }
            if let Some(timer) = &mut dialog.timer {
                timer.refreshed = timer.refreshed + by;
            }
        }
    }
}
