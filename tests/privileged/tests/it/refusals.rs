//! What cannot be used is said in one clear message, and the sensor ends with an error.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nightjar_privileged::namespace::{Namespace, run};
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::program;
use nightjar_privileged::sensor::{Place, stop};

/// Runs a sensor that must refuse, and returns its message, without the log.
fn refusal(place: &mut Place, command: &mut Command) -> String {
    let ended = place.launch(command).wait(Duration::from_secs(20));
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "", "{ended:?}");
    let (errors, log): (Vec<&str>, Vec<&str>) =
        ended.stderr.lines().partition(|line| line.starts_with("error: ") || line.starts_with("  "));
    assert!(log.iter().all(|line| line.contains(" INFO ")), "{ended:?}");
    let starts = errors.iter().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(starts, 1, "one message: {ended:?}");
    errors.join("\n")
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message:?}");
    }
}

#[test]
fn an_unknown_interface_is_refused() {
    if !is_root("an_unknown_interface_is_refused") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near", "nowhere0"]);
    let mut command = place.command(&namespace);
    assert_says(&refusal(&mut place, &mut command), &["nowhere0", "no network interface", "near"]);
}

#[test]
fn every_fault_of_a_configuration_is_told_at_once() {
    if !is_root("every_fault_of_a_configuration_is_told_at_once") {
        return;
    }
    let namespace = Namespace::new();
    let mut place = Place::new(&["near"]);
    let mut command = place.command(&namespace);
    let path = place.write_config();
    let text = "nmae = \"s1\"\ndata_dir = \"/nonexistent\"\n[capture]\ninterfaces = []\n\
                [recording]\nformat = \"mp3\"\n[journal]\nlimit_mib = 1\n";
    fs::write(&path, text).unwrap();
    let message = refusal(&mut place, &mut command);
    let at = |line: u32| format!("{}:{line}: ", path.display());
    // The name is missing, and what stands there instead is no setting.
    assert_says(
        &message,
        &["5 faults", &at(1), &at(4), &at(6), &at(8), "name is missing", "\"opus\" or \"wav\""],
    );
}

#[test]
fn a_missing_configuration_is_named() {
    if !is_root("a_missing_configuration_is_named") {
        return;
    }
    let mut place = Place::new(&["near"]);
    let mut command = Command::new(program::path("nightjar-sensor"));
    command.args(["run", "--config", "/nonexistent/sensor.toml"]);
    assert_says(&refusal(&mut place, &mut command), &["/nonexistent/sensor.toml", "No such file"]);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_refused() {
    if !is_root("a_data_folder_that_cannot_be_written_is_refused") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]);
    let data = place.data();
    fs::create_dir(&data).unwrap();
    let folder = data.to_str().unwrap();
    // Root may write everywhere, but not without its capabilities.
    run(Command::new("chmod").args(["a-w", folder]));
    run(Command::new("chown").args(["nobody", folder]));
    let mut command = namespace.command("setpriv");
    command.args(["--bounding-set", "-dac_override,-dac_read_search,-fowner"]);
    command.arg(program::path("nightjar-sensor")).args(["run", "--config"]).arg(place.write_config());
    assert_says(&refusal(&mut place, &mut command), &[folder, "Permission denied"]);

    fs::remove_dir(&data).unwrap();
    fs::write(&data, "a file").unwrap();
    let mut command = place.command(&namespace);
    assert_says(&refusal(&mut place, &mut command), &[folder]);
}

#[test]
fn a_data_folder_in_use_is_refused_and_its_owner_goes_on() {
    if !is_root("a_data_folder_in_use_is_refused_and_its_owner_goes_on") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]);
    let mut first = place.start(&namespace);
    let data = place.data();
    let mut command = place.command(&namespace);
    let message = refusal(&mut place, &mut command);
    assert_says(&message, &[data.to_str().unwrap(), "in use by another sensor"]);
    assert!(first.is_running());
    assert!(stop(first).status.success());
}

#[test]
fn a_missing_capability_is_explained() {
    if !is_root("a_missing_capability_is_explained") {
        return;
    }
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]);
    let mut command = namespace.command("setpriv");
    command.args(["--bounding-set", "-net_raw,-net_admin"]);
    command.arg(program::path("nightjar-sensor")).args(["run", "--config"]).arg(place.write_config());
    assert_says(&refusal(&mut place, &mut command), &["CAP_NET_RAW", "near"]);
}
