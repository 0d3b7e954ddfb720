//! What `run` takes of the host's profile: which CPU does what, and how large the card's rings are.

use std::path::Path;

use super::compare;
use super::cores::Work;
use super::host::{self, HostProfile};
use super::library::Library;
use super::machine::Machine;
use super::port::Port;

/// Read where the configuration names no other, if it is there.
pub const DEFAULT_PATH: &str = "/etc/nightjar/host.toml";

/// The CPU of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureCpu {
    /// The interface.
    pub interface: String,
    /// Its queue.
    pub queue: u32,
    /// The CPU that captures it.
    pub cpu: u32,
}

/// Who does what. All of it is empty where there is no profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPlan {
    /// The CPUs of the captured interfaces' queues, in the profile's order.
    pub capture: Vec<CaptureCpu>,
    /// The media workers' CPUs, one worker each.
    pub workers: Vec<u32>,
    /// The largest receive ring of the captured interfaces, in descriptors.
    pub receive_ring: u32,
}

impl HostPlan {
    /// Reads the profile that the configuration names, or the usual one if there is one; says what was taken,
    /// and warns where an interface is not set as the profile has it.
    ///
    /// # Errors
    /// When it cannot be read, holds faults, or is another machine's.
    pub fn take(named: Option<&Path>, interfaces: &[String]) -> Result<HostPlan, String> {
        let usual = Path::new(DEFAULT_PATH);
        let path = match named {
            Some(path) => path,
            None if usual.exists() => usual,
            None => return Ok(HostPlan::default()),
        };
        let profile = host::load(path).map_err(|error| error.to_string())?;
        let ports: Vec<Port> = interfaces.iter().filter_map(|name| Port::read(name).ok()).collect();
        refuse_another_machines(path, &profile, &Machine::read(Path::new("/")), &ports)?;
        let plan = HostPlan::of(&profile, interfaces);
        tracing::info!("host profile {}: {}", path.display(), plan.sentence());
        warn_of_settings(path, &profile, &ports);
        Ok(plan)
    }

    /// What a profile says of these interfaces.
    fn of(profile: &HostProfile, interfaces: &[String]) -> HostPlan {
        let mut plan = HostPlan::default();
        for core in &profile.work {
            match &core.work {
                Work::Media => plan.workers.push(core.cpu),
                Work::Capture { interface, queue } if interfaces.contains(interface) => {
                    let interface = interface.clone();
                    plan.capture.push(CaptureCpu { interface, queue: *queue, cpu: core.cpu });
                }
                Work::Capture { .. } => {}
            }
        }
        let captured = profile.interfaces.iter().filter(|known| interfaces.contains(&known.name));
        plan.receive_ring = captured.filter_map(|known| known.receive_ring).max().unwrap_or(0);
        plan
    }

    /// Media workers: one for each CPU that the profile gives them; 0 where it gives none.
    pub fn worker_count(&self) -> u16 {
        u16::try_from(self.workers.len()).unwrap_or(u16::MAX)
    }

    fn sentence(&self) -> String {
        let cpus: Vec<u32> = self.capture.iter().map(|capture| capture.cpu).collect();
        let (capture, media) = (list(&cpus), list(&self.workers));
        let rings = match self.receive_ring {
            0 => String::new(),
            ring => format!(", receive rings of {ring}"),
        };
        format!("CPUs for capture: {capture}; for media, a worker each: {media}{rings}")
    }
}

fn list(cpus: &[u32]) -> String {
    if cpus.is_empty() {
        return "none".to_owned();
    }
    let mut cpus = cpus.to_vec();
    cpus.sort_unstable();
    cpus.dedup();
    cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// A profile that was copied from another machine would put work on the wrong CPUs.
fn refuse_another_machines(
    path: &Path,
    profile: &HostProfile,
    machine: &Machine,
    ports: &[Port],
) -> Result<(), String> {
    let mut found = compare::identity(profile, machine);
    for port in ports {
        let known = profile.interfaces.iter().find(|known| known.name == port.interface);
        if let Some(known) = known.filter(|known| known.driver != port.driver.driver) {
            let (name, driver) = (&port.interface, &port.driver.driver);
            found.push(format!("the driver of {name} is {driver}, the profile says {}", known.driver));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let interfaces: Vec<String> =
        ports.iter().map(|port| format!(" --interface {}", port.interface)).collect();
    Err(format!(
        "{} is the profile of another machine:\n  {}\n  write one of this machine: \
         nightjar-sensor profile detect{} --out {}",
        path.display(),
        found.join("\n  "),
        interfaces.concat(),
        path.display()
    ))
}

/// Says how many settings differ: `run` captures all the same, and changes none.
fn warn_of_settings(path: &Path, profile: &HostProfile, ports: &[Port]) {
    let Ok(library) = Library::load(None) else { return };
    for port in ports {
        let Some(wanted) = profile.interfaces.iter().find(|known| known.name == port.interface) else {
            tracing::warn!("host profile {}: it does not know {}", path.display(), port.interface);
            continue;
        };
        let nic = wanted.nic.as_deref().and_then(|name| library.nic(name));
        let differences = compare::interface(wanted, nic, port);
        let count = differences.steps.len() + differences.unmendable.len();
        if count > 0 {
            let (name, path) = (&port.interface, path.display());
            tracing::warn!(
                "{name}: {count} settings are not as in {path}: see `nightjar-sensor profile check {path}`"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use nightjar_capture::ethtool::DriverInfo;

    use super::super::machine::Cpu;
    use super::*;

    const TEXT: &str = "name = \"h\"\nbasis = \"measured\"\nsource = \"a test\"\n[cpu]\nmodel = \"X\"\ncores = 4\n\
        [[interface]]\nname = \"eth1\"\ndriver = \"ixgbe\"\nqueues = 2\nreceive_ring = 4096\n\
        [[interface]]\nname = \"eth2\"\ndriver = \"ice\"\nqueues = 1\nreceive_ring = 8160\n\
        [[core]]\ncpu = 1\ndoes = \"capture\"\ninterface = \"eth1\"\nqueue = 0\n\
        [[core]]\ncpu = 2\ndoes = \"capture\"\ninterface = \"eth1\"\nqueue = 1\n\
        [[core]]\ncpu = 2\ndoes = \"capture\"\ninterface = \"eth2\"\nqueue = 0\n\
        [[core]]\ncpu = 3\ndoes = \"worker\"\n[[core]]\ncpu = 0\ndoes = \"worker\"\n";

    fn machine() -> Machine {
        let cpus = (0..4).map(|number| Cpu { number, node: 0, core: number }).collect();
        Machine { cpus, model: "X".into(), ..Machine::default() }
    }

    fn port(driver: &str) -> Port {
        let driver = DriverInfo { driver: driver.into(), ..DriverInfo::default() };
        Port { interface: "eth1".into(), driver, ..Port::default() }
    }

    #[test]
    fn a_run_takes_what_concerns_its_interfaces() {
        let plan = HostPlan::of(&host::parse(TEXT).unwrap(), &["eth1".into()]);
        let capture: Vec<_> =
            plan.capture.iter().map(|one| (one.interface.as_str(), one.queue, one.cpu)).collect();
        assert_eq!(capture, [("eth1", 0, 1), ("eth1", 1, 2)]);
        assert_eq!((&plan.workers[..], plan.worker_count(), plan.receive_ring), (&[3, 0][..], 2, 4096));
        assert_eq!(
            plan.sentence(),
            "CPUs for capture: 1, 2; for media, a worker each: 0, 3, receive rings of 4096"
        );
    }

    #[test]
    fn the_profile_of_another_machine_is_refused_with_all_that_shows_it() {
        let path = Path::new("host.toml");
        let profile = host::parse(TEXT).unwrap();
        assert_eq!(refuse_another_machines(path, &profile, &machine(), &[port("ixgbe")]), Ok(()));
        let mut other = machine();
        other.cpus.pop();
        other.model = "Y".into();
        let message = refuse_another_machines(path, &profile, &other, &[port("ice")]).unwrap_err();
        for part in [
            "host.toml is the profile of another machine",
            "3 CPUs",
            "\"Y\"",
            "CPU 3 is not online",
            "the driver of eth1 is ice",
            "profile detect --interface eth1 --out host.toml",
        ] {
            assert!(message.contains(part), "no {part:?} in {message}");
        }
    }

    #[test]
    fn without_a_profile_nothing_is_planned_and_one_that_is_named_must_be_there() {
        if !Path::new(DEFAULT_PATH).exists() {
            assert_eq!(HostPlan::take(None, &[]), Ok(HostPlan::default()));
        }
        let message = HostPlan::take(Some(Path::new("nowhere/host.toml")), &[]).unwrap_err();
        assert!(message.contains("nowhere/host.toml"), "{message}");
    }
}
