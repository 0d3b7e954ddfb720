//! The live source of a run: AF_XDP where it may and can be, else AF_PACKET, with one line that says why.

use nightjar_capture::{
    AfPacketConfig, AfPacketSource, AfXdpSource, CaptureClock, CopyMode, PacketSource, ProgramMode, RawFrame,
    Received, RingLoad, RingLoss, SourceError, SourceStatistics, Stopped, TunnelMode, XdpCounts, host_use,
};
use nightjar_wire::{Endpoint, Nanos};

use crate::config::{Config, Method};

/// One of the two live sources.
pub(super) enum LiveSource {
    Xdp(AfXdpSource),
    Packet(AfPacketSource),
}

impl LiveSource {
    /// Opens the source that the configuration asks for.
    ///
    /// # Errors
    /// The source's own message.
    pub(super) fn open(
        config: &Config,
        interfaces: &[String],
        clock: CaptureClock,
    ) -> Result<LiveSource, String> {
        let text = |error: SourceError| error.to_string();
        let refused = match config.method {
            Method::AfPacket => None,
            Method::AfXdp => return open_xdp(config, interfaces, clock).map_err(text),
            Method::Auto => match interfaces.iter().find_map(|name| host_use(name).map(|why| (name, why))) {
                Some((name, why)) => Some(format!("{name} is not a mirror port: {why}")),
                None => match open_xdp(config, interfaces, clock) {
                    Ok(source) => return Ok(source),
                    Err(error @ SourceError::NoSuchInterface { .. }) => return Err(text(error)),
                    Err(error) => Some(text(error)),
                },
            },
        };
        if let Some(why) = refused {
            tracing::warn!("capturing by AF_PACKET and not by AF_XDP: {why}");
        }
        open_packet(config, interfaces, clock).map_err(text)
    }
}

fn open_xdp(config: &Config, interfaces: &[String], clock: CaptureClock) -> Result<LiveSource, SourceError> {
    let source = AfXdpSource::open(&config.af_xdp(interfaces), clock)?;
    for modes in source.modes() {
        let program = match modes.program {
            ProgramMode::Native => "native",
            ProgramMode::Generic => "generic",
        };
        let copy = match modes.copy {
            CopyMode::ZeroCopy => "zero-copy",
            CopyMode::Copy => "copy",
        };
        let tunnels = match modes.tunnels {
            TunnelMode::SeenThrough => "",
            TunnelMode::HandedUp => ", every tunnel is handed up",
        };
        tracing::info!(
            "{}: AF_XDP, {program} mode, {copy}, {} queues{tunnels}",
            modes.interface,
            modes.queues
        );
    }
    Ok(LiveSource::Xdp(source))
}

fn open_packet(
    config: &Config,
    interfaces: &[String],
    clock: CaptureClock,
) -> Result<LiveSource, SourceError> {
    let mut capture = AfPacketConfig::new(interfaces);
    capture.promiscuous = config.promiscuous;
    capture.blocks = u32::try_from((config.ring_mib << 20) / u64::from(capture.block_bytes)).unwrap_or(128);
    AfPacketSource::open(&capture, clock).map(LiveSource::Packet)
}

impl PacketSource for LiveSource {
    fn receive(&mut self, sink: &mut impl FnMut(RawFrame<'_>)) -> Result<Received, SourceError> {
        match self {
            LiveSource::Xdp(source) => source.receive(sink),
            LiveSource::Packet(source) => source.receive(sink),
        }
    }

    fn receive_runs(&mut self, sink: &mut impl FnMut(&[RawFrame<'_>])) -> Result<Received, SourceError> {
        match self {
            LiveSource::Xdp(source) => source.receive_runs(sink),
            LiveSource::Packet(source) => source.receive_runs(sink),
        }
    }

    fn stop(&mut self) -> Result<Stopped, SourceError> {
        match self {
            LiveSource::Xdp(source) => source.stop(),
            LiveSource::Packet(source) => source.stop(),
        }
    }

    fn interfaces(&self) -> &[String] {
        match self {
            LiveSource::Xdp(source) => source.interfaces(),
            LiveSource::Packet(source) => source.interfaces(),
        }
    }

    fn statistics(&mut self) -> SourceStatistics {
        match self {
            LiveSource::Xdp(source) => source.statistics(),
            LiveSource::Packet(source) => source.statistics(),
        }
    }

    fn lateness_limit(&self) -> Nanos {
        match self {
            LiveSource::Xdp(source) => source.lateness_limit(),
            LiveSource::Packet(source) => source.lateness_limit(),
        }
    }

    fn learn(&mut self, endpoint: Endpoint) {
        if let LiveSource::Xdp(source) = self {
            source.learn(endpoint);
        }
    }

    fn shed(&mut self, endpoint: Endpoint) {
        if let LiveSource::Xdp(source) = self {
            source.shed(endpoint);
        }
    }

    fn forget(&mut self, endpoint: Endpoint) {
        if let LiveSource::Xdp(source) = self {
            source.forget(endpoint);
        }
    }

    fn ring_load(&mut self) -> RingLoad {
        match self {
            LiveSource::Xdp(source) => source.ring_load(),
            LiveSource::Packet(source) => source.ring_load(),
        }
    }

    fn take_ring_loss(&mut self) -> Option<RingLoss> {
        match self {
            LiveSource::Xdp(source) => source.take_ring_loss(),
            LiveSource::Packet(source) => source.take_ring_loss(),
        }
    }

    fn xdp_counts(&self) -> Vec<XdpCounts> {
        match self {
            LiveSource::Xdp(source) => source.xdp_counts(),
            LiveSource::Packet(source) => source.xdp_counts(),
        }
    }
}
