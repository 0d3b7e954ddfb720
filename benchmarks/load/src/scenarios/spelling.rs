//! How SIP may be written.

use super::Entry;
use crate::party::UriForm;
use crate::plan::Attempt;
use crate::plan::SignallingPath;

pub(super) const SCENARIOS: &[Entry] = &[
    Entry::one("compact-headers", "compact header names", |call| call.style.compact = true),
    Entry::one("folded-headers", "From and To folded over two lines", |call| {
        call.style.folded = true;
    }),
    Entry::one("bare-lf", "lines end with LF alone", |call| call.style.bare_lf = true),
    Entry::one("joined-vias", "several Vias a line, through a proxy", |call| {
        call.style.joined = true;
        call.path = SignallingPath::BothSidesOfProxy;
    }),
    Entry::one("tel-uris", "both parties are tel: URIs", |call| {
        call.parties.iter_mut().for_each(|party| party.form = UriForm::Tel);
    }),
    Entry::one("latin1-name", "the caller's name in ISO 8859-1", |call| {
        call.parties[0].name = Some("Jörg Müßig".to_owned());
        call.style.latin1 = true;
    }),
    Entry::one("utf8-name", "the caller's name in UTF-8", |call| {
        call.parties[0].name = Some("Zoë Příklad".to_owned());
    }),
    Entry::one("no-names", "no display names", |call| {
        call.parties.iter_mut().for_each(|party| party.name = None);
    }),
    Entry::one(
        "spelt-every-way",
        "compact, folded, bare LF, joined and Latin-1 at once, and a challenge",
        |call| {
            call.prelude = vec![Attempt::Challenged(407)];
            call.parties[0].name = Some("Jörg Müßig".to_owned());
            call.path = SignallingPath::BothSidesOfProxy;
            let style = &mut call.style;
            (style.compact, style.folded, style.bare_lf) = (true, true, true);
            (style.joined, style.latin1) = (true, true);
        },
    ),
];
