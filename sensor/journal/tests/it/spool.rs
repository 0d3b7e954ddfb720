//! The spool against a model of it, over restarts and crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nightjar_journal::{Spool, SpoolDirectory, SpoolDropReason, SpoolRecovery};
use nightjar_wire::Nanos;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Clone, Debug)]
enum Step {
    Append(u128, Vec<u8>),
    /// Behind all of the call's pages, or behind what there was some appends ago.
    Save(u128, Vec<u8>, usize),
    Commit,
    Forget(u128),
    Restart,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..6_u128, vec(any::<u8>(), 0..20_000)).prop_map(|(call, pages)| Step::Append(call, pages)),
        4 => (0..6_u128, vec(any::<u8>(), 1..40), 0..3_usize)
            .prop_map(|(call, state, ago)| Step::Save(call, state, ago)),
        3 => Just(Step::Commit),
        1 => (0..6_u128).prop_map(Step::Forget),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

/// What a call should look like.
#[derive(Clone, Debug, Default, PartialEq)]
struct Expected {
    pages: Vec<u8>,
    /// Where its appends end.
    ends: Vec<usize>,
    /// What was saved last: behind how many bytes, the state, through when.
    saved: Option<(usize, Vec<u8>, u64)>,
}

impl Expected {
    /// What a crash leaves of it.
    fn cut_back(&mut self) {
        let at = self.saved.as_ref().map_or(0, |saved| saved.0);
        self.pages.truncate(at);
        self.ends.retain(|end| *end <= at);
    }
}

fn adopt_all(directory: &SpoolDirectory, recovery: SpoolRecovery) -> Spool {
    let mut spool = directory.spool();
    for (call, spooled) in recovery.calls {
        spool.adopt(call, spooled);
    }
    spool
}

fn check(spool: &Spool, expected: &BTreeMap<u128, Expected>) {
    for call in 0..6 {
        let mut pages = Vec::new();
        let bytes = spool.assemble(call, &mut pages).unwrap();
        assert_eq!(bytes, pages.len() as u64);
        let want = expected.get(&call);
        assert_eq!(spool.call(call).is_some(), want.is_some(), "call {call}");
        assert!(want.map_or(&[][..], |want| &want.pages) == pages, "call {call}");
        if let (Some(have), Some((_, _, through))) = (spool.call(call), want.and_then(|w| w.saved.as_ref())) {
            assert_eq!(have.encoded_through.0, *through);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_spool_holds_what_was_appended_and_committed(steps in vec(step(), 1..60)) {
        let path = tempfile::tempdir().unwrap();
        let (mut directory, recovery) = SpoolDirectory::open(path.path()).unwrap();
        let mut spool = adopt_all(&directory, recovery);
        let (mut now, mut committed) = (BTreeMap::<u128, Expected>::new(), BTreeMap::new());
        let mut forgotten = BTreeSet::new();
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append(call, pages) => {
                    // An id is not used again.
                    if forgotten.contains(&call) || pages.is_empty() {
                        continue;
                    }
                    spool.append(call, &pages).unwrap();
                    let expected = now.entry(call).or_default();
                    expected.pages.extend(pages);
                    expected.ends.push(expected.pages.len());
                }
                Step::Save(call, state, ago) => {
                    if forgotten.contains(&call) {
                        continue;
                    }
                    let expected = now.entry(call).or_default();
                    let last = expected.saved.as_ref().map_or(0, |saved| saved.0);
                    let behind = expected.ends.iter().rev().nth(ago).copied().unwrap_or(0).max(last);
                    spool.save(call, behind as u64, Nanos(at as u64), &state).unwrap();
                    expected.saved = Some((behind, state, at as u64));
                }
                Step::Commit => {
                    spool.commit().unwrap();
                    committed = now.clone();
                }
                Step::Forget(call) => {
                    spool.forget(call);
                    forgotten.insert(call);
                    now.remove(&call);
                    committed.remove(&call);
                }
                Step::Restart | Step::Crash => {
                    if matches!(step, Step::Restart) {
                        committed = now.clone();
                        drop(spool);
                    } else {
                        std::mem::forget(spool);
                    }
                    committed.values_mut().for_each(Expected::cut_back);
                    now = committed.clone();
                    let (again, recovery) = SpoolDirectory::open(path.path()).unwrap();
                    prop_assert!(recovery.dropped.is_empty(), "{:?}", recovery.dropped);
                    for (call, spooled) in &recovery.calls {
                        let saved = now[call].saved.as_ref().map(|saved| saved.1.clone());
                        prop_assert_eq!(&spooled.resume_state, &saved.unwrap_or_default());
                    }
                    directory = again;
                    spool = adopt_all(&directory, recovery);
                }
            }
            check(&spool, &now);
        }
        for call in 0..6 {
            spool.forget(call);
        }
        drop(spool);
        drop(directory);
        SpoolDirectory::open(path.path()).unwrap();
        prop_assert_eq!(fs::read_dir(path.path()).unwrap().count(), 0);
    }

    /// Damage costs the calls that it hits their end, and is said; it changes no byte.
    #[test]
    fn a_damaged_spool_yields_a_prefix_of_each_call(
        at in any::<Index>(),
        bits in 1..=255_u8,
        cut in any::<bool>(),
    ) {
        let path = tempfile::tempdir().unwrap();
        let (directory, _) = SpoolDirectory::open(path.path()).unwrap();
        let mut spool = directory.spool();
        let mut expected = BTreeMap::<u128, Vec<u8>>::new();
        for part in 0..30_u8 {
            let call = u128::from(part % 3);
            let pages = vec![part; 500 + usize::from(part)];
            spool.append(call, &pages).unwrap();
            let expected = expected.entry(call).or_default();
            expected.extend(pages);
            spool.save(call, expected.len() as u64, Nanos(u64::from(part)), &[part]).unwrap();
        }
        drop(spool);
        let file = fs::read_dir(path.path()).unwrap().next().unwrap().unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= bits }
        fs::write(&file, &bytes).unwrap();

        let (directory, recovery) = SpoolDirectory::open(path.path()).unwrap();
        let said = !recovery.dropped.is_empty();
        let spool = adopt_all(&directory, recovery);
        for (call, whole) in &expected {
            let mut pages = Vec::new();
            spool.assemble(*call, &mut pages).unwrap();
            prop_assert!(whole.starts_with(&pages));
            // A cut between two records looks like an end, and a set mark like a forgotten call.
            let unsaid = pages.is_empty() || (cut && pages.len() % 500 < 500);
            prop_assert!(pages.len() == whole.len() || said || unsaid);
        }
    }
}

#[test]
fn a_long_call_does_not_keep_other_calls_space() {
    use std::os::unix::fs::MetadataExt;
    let path = tempfile::tempdir().unwrap();
    let (directory, _) = SpoolDirectory::open(path.path()).unwrap();
    let mut spool = directory.spool();
    for minute in 0..20 {
        spool.append(1, &[1; 1_000]).unwrap();
        spool.save(1, (minute + 1) * 1_000, Nanos(minute), b"state").unwrap();
        spool.append(u128::from(minute) + 2, &[2; 200_000]).unwrap();
        spool.commit().unwrap();
    }
    let blocks = || -> u64 {
        fs::read_dir(path.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().blocks() * 512).sum()
    };
    let before = blocks();
    for call in 2..22 {
        spool.forget(call);
    }
    assert!(before > 4_000_000, "{before}");
    assert!(blocks() < 400_000, "{}", blocks());
    let (_, recovery) = SpoolDirectory::open(path.path()).unwrap();
    assert_eq!(recovery.calls.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(recovery.calls[&1].bytes, 20_000);
    assert!(recovery.dropped.is_empty());
}

#[test]
fn a_file_that_is_not_ours_is_named_and_left() {
    let path = tempfile::tempdir().unwrap();
    fs::write(path.path().join("00000004.pages"), b"something else entirely").unwrap();
    let (directory, recovery) = SpoolDirectory::open(path.path()).unwrap();
    assert_eq!(recovery.dropped.len(), 1);
    assert_eq!(recovery.dropped[0].reason, SpoolDropReason::FileHeader);
    assert_eq!(recovery.dropped[0].bytes, 23);
    let mut spool = directory.spool();
    spool.append(1, b"pages").unwrap();
    assert!(path.path().join("00000005.pages").exists());
    assert!(path.path().join("00000004.pages").exists());
}

#[test]
fn a_call_that_nobody_goes_on_with_is_let_go() {
    let path = tempfile::tempdir().unwrap();
    let (directory, _) = SpoolDirectory::open(path.path()).unwrap();
    let mut spool = directory.spool();
    spool.append(1, b"pages").unwrap();
    spool.save(1, 5, Nanos(1), b"state").unwrap();
    drop(spool);
    let (_, mut recovery) = SpoolDirectory::open(path.path()).unwrap();
    recovery.discard(1);
    assert_eq!(fs::read_dir(path.path()).unwrap().count(), 0);
}
