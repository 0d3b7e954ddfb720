//! The profiles of cards and CPUs: those in the program, and a folder's, which stand before them.

use std::path::Path;

use super::cpu::{self, CpuProfile};
use super::nic::{self, NicProfile};
use crate::config::{ConfigError, Fault};

/// The cards' profiles in the program.
const NICS: [(&str, &str); 10] = [
    ("bnxt_en", include_str!("../../../../hw-profiles/nic/bnxt_en.toml")),
    ("ena", include_str!("../../../../hw-profiles/nic/ena.toml")),
    ("hv_netvsc", include_str!("../../../../hw-profiles/nic/hv_netvsc.toml")),
    ("i40e", include_str!("../../../../hw-profiles/nic/i40e.toml")),
    ("ice", include_str!("../../../../hw-profiles/nic/ice.toml")),
    ("ixgbe", include_str!("../../../../hw-profiles/nic/ixgbe.toml")),
    ("mlx5_core", include_str!("../../../../hw-profiles/nic/mlx5_core.toml")),
    ("veth", include_str!("../../../../hw-profiles/nic/veth.toml")),
    ("virtio_net", include_str!("../../../../hw-profiles/nic/virtio_net.toml")),
    ("vmxnet3", include_str!("../../../../hw-profiles/nic/vmxnet3.toml")),
];

/// The CPUs' profiles in the program.
const CPUS: [(&str, &str); 2] = [
    ("amd", include_str!("../../../../hw-profiles/cpu/amd.toml")),
    ("intel", include_str!("../../../../hw-profiles/cpu/intel.toml")),
];

/// All profiles that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    nics: Vec<NicProfile>,
    cpus: Vec<CpuProfile>,
}

impl Library {
    /// The program's own, behind those of a folder (`nic/*.toml` and `cpu/*.toml` in it).
    ///
    /// # Errors
    /// When the folder cannot be read, or a file of it holds faults.
    ///
    /// # Panics
    /// When the program's own hold faults, which the tests rule out.
    pub fn load(folder: Option<&Path>) -> Result<Library, ConfigError> {
        let mut library = Library { nics: Vec::new(), cpus: Vec::new() };
        if let Some(folder) = folder {
            library.nics = read_folder(&folder.join("nic"), nic::parse)?;
            library.cpus = read_folder(&folder.join("cpu"), cpu::parse)?;
        }
        let own = |name: &str, faults: &[Fault]| -> ! { panic!("the profile {name}: {faults:?}") };
        let nics = NICS.iter().map(|(name, text)| nic::parse(text).unwrap_or_else(|f| own(name, &f)));
        library.nics.extend(nics);
        let cpus = CPUS.iter().map(|(name, text)| cpu::parse(text).unwrap_or_else(|f| own(name, &f)));
        library.cpus.extend(cpus);
        Ok(library)
    }

    /// The card's profile of that name.
    pub fn nic(&self, name: &str) -> Option<&NicProfile> {
        self.nics.iter().find(|nic| nic.name == name)
    }

    /// The profile for a driver and, if it has one, its device's PCI id: one that names the id stands before
    /// one that names the driver alone.
    pub fn nic_for(&self, driver: &str, pci: Option<&str>) -> Option<&NicProfile> {
        let of_driver = || self.nics.iter().filter(|nic| nic.driver == driver);
        let names = |nic: &&NicProfile| {
            let ids = nic.pci.as_ref().map_or(&[][..], |ids| &ids.figure[..]);
            pci.is_some_and(|pci| ids.iter().any(|id| id == pci))
        };
        of_driver().find(names).or_else(|| of_driver().next())
    }

    /// The profile of a CPU.
    pub fn cpu_for(&self, vendor: &str, family: Option<u64>) -> Option<&CpuProfile> {
        let of_vendor = || self.cpus.iter().filter(|cpu| cpu.vendor == vendor);
        let exact = of_vendor().find(|cpu| cpu.family.is_some() && cpu.family == family);
        exact.or_else(|| of_vendor().find(|cpu| cpu.family.is_none()))
    }
}

/// The profiles of a folder, in order of their names; none where there is no such folder.
fn read_folder<T>(
    folder: &Path,
    parse: impl Fn(&str) -> Result<T, Vec<Fault>>,
) -> Result<Vec<T>, ConfigError> {
    let unreadable = |path: &Path, error: std::io::Error| {
        ConfigError::Unreadable(format!("cannot read the profiles in {}: {error}", path.display()))
    };
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        parse(&text).map_err(|faults| ConfigError::Faults(path, faults))
    };
    paths.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::host;
    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hw-profiles")
    }

    /// The names of a folder's files, without `.toml`.
    fn names(part: &str) -> Vec<String> {
        let entries = std::fs::read_dir(folder().join(part)).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<String> =
            entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn every_profile_of_the_repository_is_in_the_program_and_named_as_its_file() {
        let library = Library::load(None).unwrap();
        let nics: Vec<_> = library.nics.iter().map(|nic| nic.name.clone()).collect();
        assert_eq!(nics, names("nic"));
        let cpus: Vec<_> = library.cpus.iter().map(|cpu| cpu.name.clone()).collect();
        assert_eq!(cpus, names("cpu"));
    }

    #[test]
    fn every_host_profile_of_the_repository_is_read() {
        let library = Library::load(None).unwrap();
        let names = names("host");
        assert!(!names.is_empty());
        for name in names {
            let profile = host::load(&folder().join("host").join(format!("{name}.toml"))).unwrap();
            assert_eq!(profile.name, name);
            for interface in &profile.interfaces {
                assert!(interface.nic.as_ref().is_none_or(|nic| library.nic(nic).is_some()), "{interface:?}");
            }
        }
    }

    #[test]
    fn only_what_runs_on_a_developers_machine_is_called_measured() {
        let library = Library::load(None).unwrap();
        for nic in library.nics.iter().filter(|nic| nic.name != "veth" && nic.name != "virtio_net") {
            let measured = |basis| basis == nic::Basis::Measured;
            let origins = [
                nic.pci.as_ref().map(|s| s.origin.basis),
                nic.queues.as_ref().map(|s| s.origin.basis),
                nic.xdp.as_ref().map(|s| s.origin.basis),
                nic.rss.as_ref().map(|s| s.origin.basis),
                nic.counters.as_ref().map(|s| s.origin.basis),
            ];
            assert!(!origins.into_iter().flatten().any(measured), "{}", nic.name);
        }
    }

    #[test]
    fn a_folders_profile_stands_before_the_programs() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("nic")).unwrap();
        let text = "name = \"mine\"\ntitle = \"Mine\"\ndriver = \"veth\"\n";
        std::fs::write(folder.path().join("nic/mine.toml"), text).unwrap();
        let library = Library::load(Some(folder.path())).unwrap();
        assert_eq!(library.nic_for("veth", None).unwrap().name, "mine");
        assert_eq!(library.nic_for("ixgbe", Some("8086:10fb")).unwrap().name, "ixgbe");
    }
}
