//! The call flows of RFC 3665, 4916 and 3515 as they are printed there, every hop of them seen.

use std::collections::BTreeMap;

use nightjar_schema::{Call as Row, CallEventKind, CallState};

use crate::captures::folder;
use crate::scene::{Scene, events};

/// Messages of a file: blocks that begin with `- |+`, indented by two spaces.
fn messages(text: &str) -> Vec<String> {
    let unindent = |block: &str| {
        let lines: Vec<&str> =
            block.lines().skip(1).map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
        let text = lines.join("\r\n");
        format!("{}\r\n\r\n", text.trim_end())
    };
    text.split("- |+")
        .skip(1)
        .map(|block| unindent(&format!("\n{}", block.trim_start_matches('\n'))))
        .collect()
}

/// Gives each host of a flow an address, and each transaction its two ends.
#[derive(Default)]
struct Hosts {
    known: BTreeMap<String, usize>,
    receivers: BTreeMap<String, String>,
}

impl Hosts {
    fn address(&mut self, host: &str) -> String {
        let next = self.known.len() + 1;
        format!("10.9.0.{}:5060", self.known.entry(host.to_owned()).or_insert(next))
    }

    /// Who sends a message to whom: the topmost Via names a request's sender. Its receiver is not
    /// in it; the branch's own name stands for one, which is as good: a host per hop.
    fn ends(&mut self, message: &str) -> (String, String) {
        let via = message.lines().find(|line| line.starts_with("Via:")).unwrap();
        let sender = via.split_whitespace().nth(2).unwrap().split([';', ':']).next().unwrap().to_owned();
        let branch = via.split("branch=").nth(1).unwrap().split(';').next().unwrap().to_owned();
        let route = message.lines().find_map(|line| line.strip_prefix("Route: <sip:"));
        let next = match (route, message.split_whitespace().nth(1)) {
            (Some(route), _) => route.split([';', '>']).next().unwrap().to_owned(),
            (None, Some(uri)) => uri.rsplit('@').next().unwrap().to_owned(),
            (None, None) => branch.clone(),
        };
        let receiver = self.receivers.entry(branch).or_insert(next).clone();
        let (sender, receiver) = (self.address(&sender), self.address(&receiver));
        if message.starts_with("SIP/2.0") { (receiver, sender) } else { (sender, receiver) }
    }
}

fn rows(name: &str) -> Option<Vec<Row>> {
    let text = std::fs::read_to_string(
        folder()?.join(format!("malformed/php-sip__tests__fixtures__misc__{name}.yaml")),
    );
    let messages = messages(&text.unwrap());
    assert!(messages.len() >= 2);
    let (mut scene, mut hosts) = (Scene::new(), Hosts::default());
    for message in &messages {
        let (src, dst) = hosts.ends(message);
        scene.see_bytes(&src, &dst, message.as_bytes()).unwrap();
    }
    scene.end_capture();
    Some(scene.closed().into_iter().cloned().collect())
}

/// The only call of a flow.
fn row(name: &str) -> Option<Row> {
    let rows = rows(name)?;
    assert_eq!(rows.len(), 1, "{name}");
    rows.into_iter().next()
}

#[test]
fn a_session_through_two_proxies_is_one_call() {
    let Some(row) = row("rfc3665__3.02_session-establishment-through-two-proxies") else { return };
    assert_eq!((row.state, row.status), (CallState::Completed, Some(200)));
    assert_eq!(events(&row), [(CallEventKind::Ring, 1), (CallEventKind::Answer, 1)]);
    assert_eq!((row.dialogs.len(), row.legs.len()), (1, 2));
    assert_eq!((row.from.name.as_deref(), row.to.name.as_deref()), (Some("Alice"), Some("Bob")));
}

#[test]
fn after_a_proxy_failure_a_second_call_is_placed() {
    let Some(rows) = rows("rfc3665__3.04_successful-session-with-proxy-failure") else { return };
    let short: Vec<_> = rows.iter().map(|row| (row.state, row.status)).collect();
    assert_eq!(short.len(), 2);
    assert!(short.contains(&(CallState::Failed, None)));
    assert!(short.contains(&(CallState::Completed, Some(200))));
}

#[test]
fn a_redirected_session_with_its_description_in_the_ack_is_one_call() {
    let name = "rfc3665__3.06_session-via-redirect-and-proxy-servers-with-sdp-in-ack";
    let Some(row) = row(name) else { return };
    assert_eq!((row.state, row.status), (CallState::Completed, Some(200)));
    assert_eq!(row.dialled.uri.as_deref(), Some("sip:bob@biloxi.example.com"));
    assert_eq!(row.end.unwrap().leg, Some(1), "Bob hangs up");
}

#[test]
fn a_call_that_is_given_up_behind_two_proxies_is_cancelled() {
    let Some(row) = row("rfc3665__3.08_unsuccessful-no-answer") else { return };
    assert_eq!((row.state, row.status), (CallState::Cancelled, Some(487)));
}

#[test]
fn a_callee_that_never_answers_is_refused_by_the_proxy() {
    let Some(row) = row("rfc3665__3.10_unsuccessful-no-response-from-user-agent") else { return };
    assert_eq!((row.state, row.status), (CallState::Rejected, Some(480)));
}

#[test]
fn an_update_of_the_callees_identity_stays_within_the_call() {
    let Some(row) = row("rfc4916__5.1_sending-connected-identity-after-answering-a-call") else { return };
    assert_eq!((row.state, row.status, row.dialogs.len()), (CallState::Incomplete, Some(200), 1));
}

#[test]
fn registrations_and_a_bare_refer_are_no_calls() {
    for name in [
        "rfc3665__2.01_sip-client-new-registration",
        "rfc3665__2.03_request-for-current-contact-list",
        "rfc3665__2.05_unsuccessful-registration",
        "rfc3327__5.5.1_example-of-mechanism-in-register-transaction",
        "rfc3515__4.1_prototypical-refer-callflow",
        "rfc5626__9.2_registration",
    ] {
        let Some(rows) = rows(name) else { return };
        assert!(rows.is_empty(), "{name}");
    }
}
