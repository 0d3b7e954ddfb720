//! Files of the spool, as a crash or a broken disk may leave them. The first byte says how: bit 0 puts the
//! checksums right, bit 1 makes two files of it.

use nightjar_journal::SpoolDirectory;

use crate::image::{self, SPOOL_HEADER};

pub(super) fn run(bytes: &[u8]) {
    let [shape, rest @ ..] = bytes else { return };
    let folder = image::empty_folder("spool");
    let halves = if shape & 2 == 0 { (rest, &[][..]) } else { rest.split_at(rest.len() / 2) };
    for (number, part) in [halves.0, halves.1].into_iter().enumerate() {
        let mut image = [&SPOOL_HEADER[..], part].concat();
        if shape & 1 == 0 {
            image = part.to_vec();
        } else {
            image::repair_spool(&mut image);
        }
        std::fs::write(folder.join(format!("{number:08}.pages")), &image).expect("a spool file is written");
    }
    let (directory, mut found) = SpoolDirectory::open(&folder).expect("the folder is there");
    let mut spool = directory.without_sync().spool();
    let calls: Vec<u128> = found.calls.keys().copied().collect();
    for (index, call) in calls.into_iter().enumerate() {
        if index % 2 == 1 {
            found.discard(call);
            continue;
        }
        let spooled = found.calls.remove(&call).expect("a call that was listed");
        let expected = spooled.bytes;
        spool.adopt(call, spooled);
        let mut pages = Vec::new();
        let len = spool.assemble(call, &mut pages).expect("a call's pages were checked");
        assert_eq!((len, pages.len() as u64), (expected, expected));
        assert!(pages.len() <= rest.len());
        spool.append(call, b"more pages").expect("room for more");
        spool.save(call, expected, nightjar_wire::Nanos(1), b"state").expect("room for a state");
        spool.commit().expect("a commit");
        pages.clear();
        spool.assemble(call, &mut pages).expect("a call's pages");
        assert_eq!(pages.len() as u64, expected + 10);
        spool.forget(call);
    }
    for dropped in &found.dropped {
        assert!(dropped.offset + dropped.bytes <= bytes.len() as u64 + 16);
    }
}
