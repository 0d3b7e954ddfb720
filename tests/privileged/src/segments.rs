//! Journal segments as bytes on the disk, read without the journal's own code: where the blocks
//! are, to damage one.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nightjar_load::Random;

/// Bytes before the first block.
const HEADER: usize = 4096;
/// Bytes of a block's header.
const BLOCK_HEADER: usize = 64;

/// Where a block lies.
#[derive(Clone, Copy, Debug)]
pub struct BlockPlace {
    /// Its header's first byte.
    pub offset: usize,
    /// Bytes of its payload.
    pub payload: usize,
}

/// The newest segment below a data folder.
///
/// # Panics
/// When there is none.
pub fn newest(data: &Path) -> PathBuf {
    let folder = fs::read_dir(data.join("journal")).expect("the journal has a folder");
    let paths = folder.map(|entry| entry.expect("the folder can be read").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .max()
        .expect("a segment")
}

/// The blocks of a segment, in order.
pub fn blocks(segment: &Path) -> Vec<BlockPlace> {
    let bytes = fs::read(segment).expect("the segment can be read");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let (mut blocks, mut offset) = (Vec::new(), HEADER);
    while bytes.get(offset..offset + 4) == Some(b"NJBL") {
        blocks.push(BlockPlace { offset, payload: word(offset + 8) });
        offset += word(offset + 12);
    }
    blocks
}

/// One of the last blocks, of the last quarter.
pub fn any_late_block(segment: &Path, random: &mut Random) -> BlockPlace {
    let blocks = blocks(segment);
    assert!(blocks.len() >= 8, "{} blocks are too few to damage one", blocks.len());
    let last_quarter = &blocks[blocks.len() * 3 / 4..];
    last_quarter[random.below(last_quarter.len() as u64) as usize]
}

fn open(segment: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(segment).expect("the segment can be opened")
}

/// Ends a segment at a random byte of a block.
pub fn cut(segment: &Path, block: BlockPlace, random: &mut Random) {
    let within = random.between(1, (BLOCK_HEADER + block.payload) as u64 - 1);
    open(segment).set_len(block.offset as u64 + within).expect("the segment can be cut");
}

/// Changes one random bit of a block.
pub fn corrupt(segment: &Path, block: BlockPlace, random: &mut Random) {
    let at = block.offset as u64 + random.below((BLOCK_HEADER + block.payload) as u64);
    let file = open(segment);
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("the segment can be read");
    byte[0] ^= 1 << random.below(8);
    file.write_all_at(&byte, at).expect("the segment can be written");
}
