//! A call as the row of `calls.jsonl` that it will be, as far as signalling knows it.

use nightjar_schema::{
    Call as Row, CallEvent, CallState, Decision, DecisionAction, Dialog as DialogRow, End, EndCause,
    Leg as LegRow, Protocol, SCHEMA, Source, SourceKind, Timestamp,
};
use nightjar_wire::Nanos;

use crate::call::{Call, Leg};
use crate::config::SignalConfig;
use crate::dialog::Dialog;
use crate::text::decode_some;

impl Call {
    /// The row; streams, recordings and gaps are others' to add.
    pub(crate) fn row(&self, config: &SignalConfig) -> Row {
        let parties = &self.parties;
        Row {
            schema: SCHEMA,
            revision: self.revision,
            id: self.id,
            protocol: self.protocol,
            call_ids: decode_some(&self.call_id).into_iter().collect(),
            source: Source {
                kind: SourceKind::Mirror,
                sensor: config.sensor.clone(),
                interfaces: config.interfaces.clone(),
                realm: self.realm.0,
            },
            direction: config.direction,
            from: parties.from.clone(),
            to: parties.to.clone(),
            dialled: parties.dialled.clone(),
            diversions: parties.diversions.clone(),
            headers: parties.headers.clone(),
            state: self.state(),
            status: self.status,
            started_at: stamp(self.started_at),
            answered_at: self.answered_at.map(stamp),
            ended_at: self.ending.as_ref().map(|ending| stamp(ending.at)),
            end: self.ending.as_ref().map(|ending| End {
                cause: ending.cause,
                leg: ending.leg,
                reason: ending.reason.clone(),
            }),
            begun_before_capture: self.begun_before_capture,
            decision: Decision { action: DecisionAction::Record, rule: None, reason: None },
            marks: self.marks(),
            correlation: parties.correlation.clone(),
            legs: self.legs.iter().map(leg_row).collect(),
            dialogs: self.dialogs.iter().map(|dialog| self.dialog_row(dialog)).collect(),
            streams: Vec::new(),
            recordings: Vec::new(),
            gaps: Vec::new(),
            events: self.events(),
            links: Vec::new(),
        }
    }

    fn state(&self) -> CallState {
        let Some(ending) = &self.ending else { return CallState::Active };
        if self.answered_by.is_some() {
            return if ending.cause == EndCause::Bye { CallState::Completed } else { CallState::Incomplete };
        }
        if self.protocol == Protocol::None {
            return CallState::Incomplete;
        }
        match (ending.cause, self.status) {
            // A BYE before the answer gives up as a CANCEL does.
            (EndCause::Cancel | EndCause::Bye, _) => CallState::Cancelled,
            (EndCause::Rejected, Some(487)) => CallState::Cancelled,
            (EndCause::Rejected, Some(300..=407 | 409..=499 | 600..=699)) => CallState::Rejected,
            _ => CallState::Failed,
        }
    }

    fn marks(&self) -> Vec<String> {
        let marks = [("no_signalling", self.protocol == Protocol::None), ("clock_jump", self.clock_jumped)];
        marks.into_iter().filter(|(_, holds)| *holds).map(|(mark, _)| mark.to_owned()).collect()
    }

    fn dialog_row(&self, dialog: &Dialog) -> DialogRow {
        DialogRow {
            call_id: decode_some(&self.call_id),
            from_tag: decode_some(&self.caller_tag),
            to_tag: dialog.callee_tag.as_deref().and_then(decode_some),
            purpose: "communication".to_owned(),
            legs: dialog.legs.to_vec(),
            src: Some(dialog.src.socket_addr().to_string()),
            dst: Some(dialog.dst.socket_addr().to_string()),
            transport: Some("udp".to_owned()),
            started_at: Some(stamp(dialog.started_at)),
            answered_at: dialog.answered_at.map(stamp),
            ended_at: dialog.ended_at.map(stamp),
            status: dialog.status,
        }
    }

    fn events(&self) -> Vec<CallEvent> {
        let event = |at: Nanos, kind, leg| CallEvent {
            at: stamp(at),
            kind,
            leg: Some(leg),
            stream: None,
            by: None,
            detail: None,
        };
        self.happenings.iter().map(|happening| event(happening.at, happening.kind, happening.leg)).collect()
    }
}

fn leg_row(leg: &Leg) -> LegRow {
    LegRow {
        uri: leg.party.uri.clone(),
        number: leg.party.number.clone(),
        name: leg.party.name.clone(),
        asserted_uri: leg.asserted_uri.clone(),
        device: None,
        address: leg.address.map(|address| address.to_string()),
        mac: None,
        line: None,
        role: leg.role,
        joined_at: leg.joined_at.map(stamp),
        left_at: leg.left_at.map(stamp),
    }
}

fn stamp(at: Nanos) -> Timestamp {
    Timestamp::from_nanos(at.0)
}
