//! How often one may try to sign in: per client address, and more loosely per user name, so that one address cannot
//! lock a user out. Bounded: keys that have recovered are dropped.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Keys kept before those that have recovered are dropped.
const TABLE: usize = 10_000;
/// A user name may be tried so many times as often as one address may try.
const NAME_FACTOR: u32 = 3;

/// The limits on signing in.
pub struct Throttle {
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    names: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

impl Throttle {
    /// So many attempts a minute from one address, all of them at once if need be.
    pub fn new(per_minute: u32) -> Throttle {
        let addresses = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        let names = addresses.saturating_mul(NonZeroU32::new(NAME_FACTOR).unwrap_or(NonZeroU32::MIN));
        Throttle {
            addresses: RateLimiter::keyed(Quota::per_minute(addresses)),
            names: RateLimiter::keyed(Quota::per_minute(names)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    ///
    /// How long to wait, where it is one too many.
    pub fn attempt(&self, address: IpAddr, username: &str) -> Result<(), Duration> {
        if self.addresses.len() > TABLE {
            self.addresses.retain_recent();
        }
        if self.names.len() > TABLE {
            self.names.retain_recent();
        }
        let wait = |over: governor::NotUntil<_>| over.wait_time_from(self.clock.now());
        self.addresses.check_key(&network(address)).map_err(wait)?;
        self.names.check_key(&username.to_lowercase()).map_err(wait)
    }
}

/// One IPv6 client has a whole /64 (RFC 6177): the rest of its address does not count.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_runs_out_before_a_name_does() {
        let throttle = Throttle::new(4);
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        for _ in 0..4 {
            assert!(throttle.attempt(address(1), "admin").is_ok());
        }
        let wait = throttle.attempt(address(1), "admin").expect_err("the fifth is one too many");
        assert!(wait <= Duration::from_secs(15), "{wait:?}");
        assert!(throttle.attempt(address(2), "Admin").is_ok(), "another address still may");
        // 12 in all, whatever their addresses.
        for n in 3..10 {
            assert!(throttle.attempt(address(n), "admin").is_ok());
        }
        assert!(throttle.attempt(address(11), "ADMIN").is_err());
    }

    #[test]
    fn an_ipv6_client_counts_as_its_network() {
        let [a, b, c] =
            ["2001:db8::1", "2001:db8::2:3", "2001:db8:0:1::1"].map(|text| network(text.parse().unwrap()));
        assert_eq!(a, b);
        assert_ne!(a, c);
    }
}
