//! Memory that was filled with zeros and is not written again goes back to the system.

use std::sync::LazyLock;

/// How large a page of memory is, in bytes.
pub(crate) fn page_bytes() -> usize {
    static BYTES: LazyLock<usize> = LazyLock::new(|| {
        // SAFETY: it takes a number and returns one.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
    });
    *BYTES
}

/// Gives those pages of `size` bytes from `start` back that hold nothing but zeros. They are read as
/// zeros as before, and take memory again when something else is written to them. Costs a look at
/// each byte and a system call for each run of such pages.
///
/// # Safety
/// The bytes were written to, and nobody but the caller uses them. They lie in private anonymous
/// memory, as a heap does.
pub(crate) unsafe fn give_back(start: *mut u8, size: usize) {
    let page = page_bytes();
    let first = start.align_offset(page).min(size);
    let end = first + (size - first) / page * page;
    // Where the zeros begin that go up to `at`.
    let mut zeros = first;
    for at in (first..=end).step_by(page) {
        // SAFETY: behind the end nothing is looked at; before it the caller owns the bytes.
        if at < end && is_zero(unsafe { std::slice::from_raw_parts(start.add(at), page) }) {
            continue;
        }
        if zeros < at {
            // SAFETY: whole pages, which the caller owns and which keep their contents. What is no
            // private anonymous memory after all (huge pages, locked ones) is refused and stays.
            unsafe { libc::madvise(start.add(zeros).cast(), at - zeros, libc::MADV_DONTNEED) };
        }
        zeros = at + page;
    }
}

/// Without a way out in the midst it is done 32 bytes at a time.
fn is_zero(page: &[u8]) -> bool {
    page.iter().fold(0, |any, byte| any | byte) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::{Layout, alloc, dealloc};

    /// Bytes of the pages between these that take memory now, by the kernel's own account.
    fn resident_bytes(start: *mut u8, size: usize) -> usize {
        let (page, before) = (page_bytes(), start as usize % page_bytes());
        let mut pages = vec![0u8; (before + size).div_ceil(page)];
        // SAFETY: from the page's start on; a byte is written for each page.
        let code =
            unsafe { libc::mincore(start.sub(before).cast(), before + size, pages.as_mut_ptr().cast()) };
        assert_eq!(code, 0, "{}", std::io::Error::last_os_error());
        pages.iter().filter(|resident| **resident & 1 != 0).count() * page
    }

    /// Eight pages of zeros, but for those bytes, after they were given back: what is resident, and what
    /// is read.
    fn after_giving_back(from: usize, others: &[usize]) -> (Vec<bool>, Vec<u8>) {
        let page = page_bytes();
        let layout = Layout::from_size_align(8 * page, page).unwrap();
        // SAFETY: the layout is not empty; all of it is written before it is read, and freed at last.
        unsafe {
            let start = alloc(layout);
            start.write_bytes(0, 8 * page);
            others.iter().for_each(|at| start.add(*at).write(7));
            give_back(start.add(from), 8 * page - from);
            let resident = (0..8).map(|at| resident_bytes(start.add(at * page), page) > 0).collect();
            let read = std::slice::from_raw_parts(start, 8 * page).to_vec();
            dealloc(start, layout);
            (resident, read)
        }
    }

    #[test]
    fn pages_of_zeros_take_no_memory_and_are_read_as_zeros() {
        let page = page_bytes();
        let others = [0, 3 * page - 1, 5 * page];
        let (resident, read) = after_giving_back(0, &others);
        assert_eq!(resident, [true, false, true, false, false, true, false, false]);
        let ones: Vec<usize> = (0..read.len()).filter(|at| read[*at] != 0).collect();
        assert_eq!(ones, others);
    }

    #[test]
    fn a_page_that_belongs_to_somebody_else_in_part_stays() {
        let (resident, _) = after_giving_back(16, &[]);
        assert_eq!(resident, [true, false, false, false, false, false, false, false]);
        let (resident, _) = after_giving_back(page_bytes() * 8 - 16, &[]);
        assert_eq!(resident, [true; 8]);
    }
}
