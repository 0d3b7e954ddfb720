//! The named scenarios, by group: each shows one behaviour that the sensor has to get right.

mod media;
mod mid_call;
mod networks;
mod partial;
mod places;
mod set_up;
mod spelling;

use crate::plan::CallPlan;
use crate::scenario::Scenario;

/// A named scenario.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    build: Build,
}

#[derive(Clone, Copy, Debug)]
enum Build {
    /// One call that differs from the plain one.
    One(fn(&mut CallPlan)),
    /// Several calls or noise, added to an empty scenario.
    Many(fn(Scenario) -> Scenario),
}

impl Entry {
    const fn one(name: &'static str, about: &'static str, vary: fn(&mut CallPlan)) -> Entry {
        Entry { name, about, build: Build::One(vary) }
    }

    const fn many(name: &'static str, about: &'static str, build: fn(Scenario) -> Scenario) -> Entry {
        Entry { name, about, build: Build::Many(build) }
    }

    /// The scenario of a seed.
    pub fn scenario(&self, seed: u64) -> Scenario {
        let mut scenario = Scenario::new(self.name, seed);
        match self.build {
            Build::One(vary) => {
                let mut plan = scenario.plain();
                vary(&mut plan);
                scenario.call(nightjar_wire::Nanos::ZERO, plan);
                scenario
            }
            Build::Many(build) => build(scenario),
        }
    }
}

/// Every named scenario.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    let groups = [
        set_up::SCENARIOS,
        mid_call::SCENARIOS,
        partial::SCENARIOS,
        places::SCENARIOS,
        spelling::SCENARIOS,
        media::SCENARIOS,
        networks::SCENARIOS,
    ];
    groups.into_iter().flatten()
}

/// The scenario of that name, if there is one.
pub fn find(name: &str, seed: u64) -> Option<Scenario> {
    all().find(|entry| entry.name == name).map(|entry| entry.scenario(seed))
}

/// The scenario of that name, for tests.
///
/// # Panics
/// When there is none.
pub fn by_name(name: &str, seed: u64) -> Scenario {
    find(name, seed).unwrap_or_else(|| panic!("no scenario is called {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<&str> = all().map(|entry| entry.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(names.iter().all(|name| find(name, 1).is_some_and(|scenario| scenario.name() == *name)));
        assert!(find("no-such-scenario", 1).is_none());
    }
}
