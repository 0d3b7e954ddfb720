//! What the kernel says of an interface now.

use std::collections::BTreeMap;
use std::io;

use nightjar_capture::ethtool::{
    Channels, Coalescing, DriverInfo, Ethtool, Feature, FlowKind, FlowRule, HashFields, Rings, Rss,
};

/// An interface's settings. What its driver does not have is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub interface: String,
    /// Its driver.
    pub driver: DriverInfo,
    /// Its queues.
    pub channels: Option<Channels>,
    /// Its rings.
    pub rings: Option<Rings>,
    /// When it interrupts.
    pub coalescing: Option<Coalescing>,
    /// Its features.
    pub features: Vec<Feature>,
    /// How hashes go to queues.
    pub rss: Option<Rss>,
    /// What is hashed.
    pub hash_fields: BTreeMap<FlowKind, HashFields>,
    /// Rules, by their places; `None` where the driver takes none.
    pub rules: Option<Vec<(u32, Option<FlowRule>)>>,
    /// The driver's counters.
    pub statistics: Vec<(String, u64)>,
}

impl Port {
    /// Asks the kernel.
    ///
    /// # Errors
    /// When there is no such interface, or its driver does not say what it is.
    pub fn read(interface: &str) -> io::Result<Port> {
        let ethtool = Ethtool::open(interface)?;
        let fields = |flow| Some((flow, ethtool.hash_fields(flow).ok()?));
        let rules = ethtool.rule_places().ok().map(|places| {
            places.into_iter().map(|place| (place, ethtool.rule(place).ok().flatten())).collect()
        });
        Ok(Port {
            interface: interface.to_owned(),
            driver: ethtool.driver()?,
            channels: ethtool.channels().ok(),
            rings: ethtool.rings().ok(),
            coalescing: ethtool.coalescing().ok(),
            features: ethtool.features().unwrap_or_default(),
            rss: ethtool.rss().ok(),
            hash_fields: FlowKind::ALL.into_iter().filter_map(fields).collect(),
            rules,
            statistics: ethtool.statistics().unwrap_or_default(),
        })
    }

    /// Receive queues now; 1 where the driver does not say.
    pub fn queues(&self) -> u32 {
        self.channels.map_or(1, |channels| (channels.now.combined + channels.now.receive).max(1))
    }

    /// The most receive queues.
    pub fn most_queues(&self) -> u32 {
        self.channels.map_or(1, |channels| channels.most.combined.max(channels.most.receive).max(1))
    }

    /// A feature by the kernel's name.
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.name == name)
    }
}
