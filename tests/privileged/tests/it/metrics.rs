//! What a running sensor's `/metrics` says is what its summary says.

use std::collections::BTreeMap;
use std::time::Duration;

use nightjar_load::{BulkPlan, BulkSound, Scenario};
use nightjar_privileged::moments;
use nightjar_privileged::namespace::{Namespace, run};
use nightjar_privileged::privilege::is_root;
use nightjar_privileged::rows::assert_ledger;
use nightjar_privileged::scrape::{SETTINGS, Scrape};
use nightjar_privileged::sensor::{Place, stop};
use nightjar_privileged::traffic::Traffic;
use nightjar_wire::Nanos;
use serde_json::Value;

#[test]
fn the_metrics_of_a_running_sensor_are_its_summary() {
    if !is_root("the_metrics_of_a_running_sensor_are_its_summary") {
        return;
    }
    std::thread::scope(|scope| {
        for method in ["af_xdp", "af_packet"] {
            scope.spawn(move || assert_metrics(method));
        }
    });
}

fn assert_metrics(method: &str) {
    let namespace = Namespace::with_veth();
    let mut place = Place::new(&["near"]).by(method).with(SETTINGS);
    let (before, sent_before) = (kernels_counters(&namespace), sent_by_the_peer(&namespace));
    let sensor = place.start(&namespace);
    let plan = BulkPlan { sound: BulkSound::Tones, ..BulkPlan::busy_office(4) };
    let office = Scenario::bulk("office", moments::random("metrics").next_u64(), plan);
    let expected = Traffic::start(&namespace, "far", office, Some(Nanos::from_secs(5))).finish().expected;
    place.wait_for_rows(expected.calls.len());
    let ledger = &expected.ledger;
    let mut scrape = Scrape::of(&namespace);
    let settled = moments::wait_until(Duration::from_secs(10), || {
        scrape = Scrape::of(&namespace);
        let decided = scrape.value("nightjar_packets_recorded_total{}") == ledger.media() as f64;
        decided && scrape.sum("nightjar_audio_packets_total") == ledger.media() as f64
    });
    assert!(settled, "{}", scrape.text);
    assert!(stop(sensor).status.success());
    let summary = place.summary();
    assert_ledger(&summary, &expected);

    assert_packets(&scrape, &summary);
    assert_audio(&scrape, &summary["audio_packets"]);
    assert_xdp(&scrape, &summary["xdp"], method);
    if method == "af_xdp" {
        let seen = scrape.value("nightjar_xdp_seen_total{interface=near}");
        let sent = sent_by_the_peer(&namespace) - sent_before;
        assert_eq!(sent, scrape.sum("nightjar_card_missed_total{") + seen, "sent = missed + seen");
    }
    assert_card(&scrape, &summary, &before, &kernels_counters(&namespace));
    let value = |sample: &str| scrape.value(sample);
    assert_eq!(value("nightjar_source_received_total{core=0}"), number(&summary["source"]["received"]));
    assert_eq!(value("nightjar_capture_batch_frames_sum{core=0}"), number(&summary["packets"]["received"]));
    let batches = value("nightjar_capture_batch_frames_count{core=0}");
    assert_eq!(batches, value("nightjar_capture_batch_frames_bucket{core=0,le=+Inf}"));
    assert_eq!(batches, value("nightjar_capture_latency_seconds_count{core=0}"));
    assert!(value("nightjar_capture_latency_seconds_sum{core=0}") > 0.0);
    assert!(value("nightjar_journal_written_bytes_total{}") > 0.0);
    assert!(value("nightjar_journal_fdatasync_seconds_count{}") > 0.0);
    assert_eq!(scrape.sum("nightjar_calls_total{"), number(&summary["calls"]));
    assert!(value("process_resident_memory_bytes{}") > 1e6 && value("process_cpu_seconds_total{}") > 0.0);
    for call in &expected.calls {
        for party in [&call.from_number, &call.to_number].into_iter().flatten() {
            assert!(!scrape.text.contains(party.as_str()), "a phone number in {}", scrape.text);
        }
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The level of the sensor's own decisions: each count, and their sum.
fn assert_packets(scrape: &Scrape, summary: &Value) {
    let packets = &summary["packets"];
    let mut decided = scrape.value("nightjar_packets_held{}");
    for class in ["signalling", "recorded"] {
        let count = scrape.value(&format!("nightjar_packets_{class}_total{{}}"));
        assert_eq!(count, number(&packets[class]), "{class}");
        decided += count;
    }
    for class in ["ignored", "dropped"] {
        let begins = format!("nightjar_packets_{class}_total{{");
        for (sample, count) in scrape.samples.iter().filter(|(sample, _)| sample.starts_with(&begins)) {
            let reason = sample.split(['=', '}']).nth(1).expect("a reason");
            assert_eq!(*count, packets[class][reason].as_f64().unwrap_or(0.0), "{sample}");
        }
        decided += scrape.sum(&begins);
    }
    assert_eq!(scrape.value("nightjar_packets_received_total{}"), decided);
    assert_eq!(decided, number(&packets["received"]));
    assert_eq!(scrape.value("nightjar_packets_residual{}"), 0.0);
}

fn assert_audio(scrape: &Scrape, audio: &Value) {
    for (fate, count) in audio.as_object().expect("audio was recorded") {
        let Some(count) = count.as_f64() else { continue };
        assert_eq!(sum_of_fate(scrape, fate), count, "{fate}");
    }
    for (reason, count) in audio["discarded"].as_object().expect("a table of reasons") {
        assert_eq!(sum_of_fate(scrape, reason), number(count), "{reason}");
    }
}

/// Over all workers.
fn sum_of_fate(scrape: &Scrape, fate: &str) -> f64 {
    let begins = format!("nightjar_audio_packets_total{{fate={fate},");
    scrape.sum(&begins)
}

/// What left the other end of the wire, by the kernel's count.
fn sent_by_the_peer(namespace: &Namespace) -> f64 {
    let text = run(namespace.command("cat").arg("/sys/class/net/far/statistics/tx_packets"));
    text.trim().parse().expect("a count")
}

/// The driver's counters, as `ethtool` tells them.
fn kernels_counters(namespace: &Namespace) -> BTreeMap<String, f64> {
    let text = run(namespace.command("ethtool").args(["-S", "near"]));
    let counter = |line: &str| {
        let (name, count) = line.trim().rsplit_once(": ")?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(counter).collect()
}

/// The card's level: a veth misses nothing of its own, and what its driver counts explains alone.
fn assert_card(
    scrape: &Scrape,
    summary: &Value,
    before: &BTreeMap<String, f64>,
    after: &BTreeMap<String, f64>,
) {
    let card = &summary["cards"][0];
    assert_eq!(
        (&card["interface"], &card["driver"], &card["profile"]),
        (&"near".into(), &"veth".into(), &"veth".into())
    );
    assert_eq!(card["missed"], serde_json::json!([["rx_missed_errors", 0]]));
    assert_eq!(scrape.value("nightjar_card_missed_total{counter=rx_missed_errors,interface=near}"), 0.0);
    for counter in ["rx_queue_0_drops", "rx_queue_0_xdp_drops"] {
        let sample = format!("nightjar_card_explains_total{{counter={counter},interface=near}}");
        assert_eq!(scrape.value(&sample), after[counter] - before[counter], "{sample}");
    }
}

/// The levels of the XDP program and of its sockets.
fn assert_xdp(scrape: &Scrape, interfaces: &Value, method: &str) {
    let interfaces = interfaces.as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(interfaces.len(), usize::from(method == "af_xdp"), "{interfaces:?}");
    for interface in interfaces {
        for (counter, count) in interface["program"].as_object().expect("a table of counters") {
            let sample = match counter.as_str() {
                "seen_bytes" => "nightjar_xdp_seen_bytes_total{interface=near}".to_owned(),
                counter => format!("nightjar_xdp_{counter}_total{{interface=near}}"),
            };
            assert_eq!(scrape.value(&sample), number(count), "{sample}");
        }
        let program =
            |counter: &str| scrape.value(&format!("nightjar_xdp_{counter}_total{{interface=near}}"));
        let redirected = program("signalling") + program("media");
        let others =
            ["dropped_never", "dropped_cut", "dropped_unwanted", "passed_unwanted", "passed_no_socket"];
        let others: f64 = others.into_iter().map(program).sum();
        assert_eq!(program("seen"), redirected + others + program("aborted"));
        for socket in interface["sockets"].as_array().expect("a list of sockets") {
            let (queue, kind) = (&socket["queue"], socket["kind"].as_str().expect("a kind"));
            for figure in ["received", "ring_full", "dropped"] {
                let labels = format!("interface=near,queue={queue},socket={kind}");
                let sample = format!("nightjar_xdp_socket_{figure}_total{{{labels}}}");
                assert_eq!(scrape.value(&sample), number(&socket[figure]), "{sample}");
            }
        }
        let known = scrape.sum("nightjar_xdp_socket_received_total")
            + scrape.sum("nightjar_xdp_socket_waiting")
            + scrape.sum("nightjar_xdp_socket_ring_full_total")
            + scrape.sum("nightjar_xdp_socket_dropped_total");
        let error = |reason: &str| {
            scrape.value(&format!("nightjar_xdp_redirect_errors_total{{interface=near,reason={reason}}}"))
        };
        assert_eq!(redirected, known + error("failed"));
        assert_eq!(error("ring_full"), scrape.sum("nightjar_xdp_socket_ring_full_total"));
        assert_eq!(scrape.value("nightjar_xdp_redirect_residual{interface=near}"), 0.0);
        assert!(redirected > 0.0 && program("by_endpoint") > 0.0, "{}", scrape.text);
    }
}
