//! Features of an interface: its offloads, by the kernel's names (`net/ethtool/common.c`).

use std::io;

use super::{Ethtool, Request};

const GFEATURES: u32 = 0x3a;
const SFEATURES: u32 = 0x3b;
/// The set of strings that name the features (`ETH_SS_FEATURES`).
const FEATURE_NAMES: u32 = 4;
/// The kernel did less than was asked (`ETHTOOL_F_UNSUPPORTED | ETHTOOL_F_WISH`).
const NOT_ALL_DONE: u32 = 3;

/// One feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The kernel's name, such as `rx-vlan-hw-parse`.
    pub name: String,
    /// It works now.
    pub active: bool,
    /// It is wanted, which may differ from what works.
    pub wanted: bool,
    /// It can be switched.
    pub changeable: bool,
}

impl Ethtool {
    /// All features that this kernel knows, in its order.
    ///
    /// # Errors
    /// The kernel's: there is no such interface.
    pub fn features(&self) -> io::Result<Vec<Feature>> {
        let names = self.names(FEATURE_NAMES)?;
        let blocks = names.len().div_ceil(32);
        let mut request = Request::new(GFEATURES, 8 + blocks * 16);
        request.put_u32(4, blocks as u32);
        self.ask(&mut request)?;
        // Four words per block: available, requested, active, never changed.
        let bit = |index: usize, word: usize| {
            request.u32_at(8 + index / 32 * 16 + word * 4) >> (index % 32) & 1 == 1
        };
        let feature = |(index, name)| Feature {
            name,
            active: bit(index, 2),
            wanted: bit(index, 1),
            changeable: bit(index, 0) && !bit(index, 3),
        };
        let named = names.into_iter().enumerate().filter(|(_, name)| !name.is_empty());
        Ok(named.map(feature).collect())
    }

    /// Switches features on or off.
    ///
    /// # Errors
    /// The kernel's; `EOPNOTSUPP` when it knows a name not, or left one as it was.
    pub fn set_features(&self, wanted: &[(&str, bool)]) -> io::Result<()> {
        let unsupported = || io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        let names = self.names(FEATURE_NAMES)?;
        let blocks = names.len().div_ceil(32);
        let mut request = Request::new(SFEATURES, 8 + blocks * 8);
        request.put_u32(4, blocks as u32);
        for (name, on) in wanted {
            let index = names.iter().position(|known| known == name).ok_or_else(unsupported)?;
            let (at, bit) = (8 + index / 32 * 8, 1 << (index % 32));
            request.put_u32(at, request.u32_at(at) | bit);
            if *on {
                request.put_u32(at + 4, request.u32_at(at + 4) | bit);
            }
        }
        let done = self.ask(&mut request)?;
        if done & NOT_ALL_DONE == 0 { Ok(()) } else { Err(unsupported()) }
    }
}
