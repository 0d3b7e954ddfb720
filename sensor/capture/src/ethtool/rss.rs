//! Receive-side scaling: the hash's key and the table that says which queue a hash goes to.

use std::io;

use super::{Ethtool, Request};

const GRSSH: u32 = 0x46;
const SRSSH: u32 = 0x47;
/// Bytes of `struct ethtool_rxfh` before its table.
const HEADER: usize = 24;
/// Where it says what the card does to its input before it hashes.
const INPUT: usize = 17;
/// Leave the table alone (`ETH_RXFH_INDIR_NO_CHANGE`).
const SAME_TABLE: u32 = u32::MAX;
/// More entries or bytes than any card has.
const MAX_SIZE: u32 = 1 << 16;

/// How hashes go to queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rss {
    /// The hash's key; empty where the card has none.
    pub key: Vec<u8>,
    /// The queue of each remainder of the hash; empty where there is no table.
    pub table: Vec<u32>,
}

impl Ethtool {
    /// Key and table.
    ///
    /// # Errors
    /// The kernel's; `EOPNOTSUPP` where the driver has none.
    pub fn rss(&self) -> io::Result<Rss> {
        let request = self.rss_request()?;
        let entries = request.u32_at(8) as usize;
        let table = (0..entries).map(|entry| request.u32_at(HEADER + entry * 4)).collect();
        Ok(Rss { key: request.bytes[HEADER + entries * 4..].to_vec(), table })
    }

    /// Sets the key, the table, or both: what is empty stays.
    ///
    /// # Errors
    /// The kernel's; `EINVAL` when the length is not the card's or a queue does not exist.
    pub fn set_rss(&self, rss: &Rss) -> io::Result<()> {
        let now = self.rss_request()?;
        self.ask(&mut set_request(rss, now.bytes[INPUT])).map(drop)
    }

    /// The kernel's answer, with table and key behind the header.
    fn rss_request(&self) -> io::Result<Request> {
        let mut sizes = Request::new(GRSSH, HEADER);
        self.ask(&mut sizes)?;
        let (entries, key) = (sizes.u32_at(8), sizes.u32_at(12));
        if entries > MAX_SIZE || key > MAX_SIZE || entries + key == 0 {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        let mut request = Request::new(GRSSH, HEADER + entries as usize * 4 + key as usize);
        request.put_u32(8, entries);
        request.put_u32(12, key);
        self.ask(&mut request)?;
        Ok(request)
    }
}

/// The request that sets what is not empty. The function stays (0); what the card does to its input must be
/// said again to stay.
fn set_request(rss: &Rss, input: u8) -> Request {
    let mut request = Request::new(SRSSH, HEADER + rss.table.len() * 4 + rss.key.len());
    request.put_u32(8, if rss.table.is_empty() { SAME_TABLE } else { rss.table.len() as u32 });
    request.put_u32(12, rss.key.len() as u32);
    request.put(INPUT, &[input]);
    for (at, queue) in (HEADER..).step_by(4).zip(&rss.table) {
        request.put_u32(at, *queue);
    }
    request.put(HEADER + rss.table.len() * 4, &rss.key);
    request
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    /// What the `ethtool` program (6.1) hands to the kernel for a card of eight entries and four bytes of key,
    /// caught at its ioctl.
    #[test]
    fn keys_and_tables_are_set_with_the_bytes_of_the_ethtool_program() {
        let key = Rss { key: vec![0x6d, 0x5a, 0x6d, 0x5a], table: Vec::new() };
        let sent = b"\x47\0\0\0\0\0\0\0\xff\xff\xff\xff\x04\0\0\0\0\0\0\0\0\0\0\0\x6d\x5a\x6d\x5a";
        assert_eq!(set_request(&key, 0).bytes, sent);
        let table = Rss { key: Vec::new(), table: vec![0, 1, 0, 1, 0, 1, 0, 1] };
        let mut sent = b"\x47\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        sent.extend(b"\0\0\0\0\x01\0\0\0".repeat(4));
        assert_eq!(set_request(&table, 0).bytes, sent);
    }
}
