//! Who calls whom, as the row tells it.

use crate::scene::{Dialog, Scene};

#[test]
fn parties_numbers_names_diversions_and_correlation() {
    let mut scene = Scene::with(|config| config.headers = vec!["X-Account".into()]);
    let dialog = Dialog::new("c1");
    let mut invite = dialog
        .invite(1)
        .start("INVITE tel:+49-30-555 SIP/2.0")
        .header("P-Asserted-Identity: \"Alice\" <sip:+49301@core.example>, <tel:+49301>")
        .header("Diversion: <sip:300@b.example>;reason=user-busy")
        .header("Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000")
        .header("Cisco-Guid: 1-2-3-4")
        .header("X-Account: 42");
    invite.to = "sip:bob@b.example;user=phone".into();
    scene.see(&invite);
    scene.see(&dialog.answer(1, 200).header("P-Asserted-Identity: <sip:bob-mobile@b.example>"));
    let row = scene.only_row();
    assert_eq!(row.from.uri.as_deref(), Some("sip:+49301@a.example"));
    assert_eq!((row.from.number.as_deref(), row.from.name.as_deref()), (Some("+49301"), Some("Alice")));
    assert_eq!((row.to.uri.as_deref(), row.to.number), (Some("sip:bob@b.example"), None));
    assert_eq!(
        (row.dialled.uri.as_deref(), row.dialled.number.as_deref()),
        (Some("tel:+49-30-555"), Some("+4930555"))
    );
    assert_eq!(row.legs[0].asserted_uri.as_deref(), Some("sip:+49301@core.example"));
    assert_eq!(row.legs[1].asserted_uri.as_deref(), Some("sip:bob-mobile@b.example"));
    assert_eq!(row.diversions[0].number.as_deref(), Some("300"));
    assert_eq!(row.headers["X-Account"], ["42"]);
    let kinds: Vec<_> = row.correlation.iter().map(|c| c.kind.as_str()).collect();
    assert_eq!(kinds, ["session_id", "cisco_guid"]);
    assert_eq!(row.legs[0].uri, row.from.uri);
}

#[test]
fn latin_1_names_come_out_as_utf_8() {
    let mut scene = Scene::new();
    let text = Dialog::new("c1").invite(1).text().replace("Alice", "J@rgen");
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'@' { 0xfc } else { byte }).collect();
    // Every @ became ü: the URIs too, which is no reason to lose the call.
    scene.see_bytes("10.0.0.1:5060", "10.0.0.2:5060", &bytes).unwrap();
    let row = scene.only_row();
    assert_eq!(row.from.name.as_deref(), Some("Jürgen"));
    assert!(serde_json::to_string(&row).is_ok());
}

#[test]
fn bare_line_feeds_compact_and_folded_headers_are_read() {
    let mut scene = Scene::new();
    let text = "\r\n\r\nINVITE sip:200@b SIP/2.0\nv: SIP/2.0/UDP a;branch=z9hG4bK1,\n  SIP/2.0/UDP b;branch=z9hG4bK2\n\
                f: \"Al\\\"ice\"\n <sip:100@a>\n ;tag=x\nt: <sip:200@b>\ni: c1\nCSeq: 1\n INVITE\nc: application/sdp\n\n\
                v=0\nc=IN IP4 10.0.0.1\nm=audio 4000 RTP/AVP 0\n";
    scene.see_bytes("10.0.0.1:5060", "10.0.0.2:5060", text.as_bytes()).unwrap();
    assert!(scene.is_bound("10.0.0.1:4000"));
    let row = scene.only_row();
    assert_eq!((row.from.number.as_deref(), row.from.name.as_deref()), (Some("100"), Some("Al\"ice")));
    assert_eq!(row.dialogs[0].from_tag.as_deref(), Some("x"));
}
