//! Tunnels are what tshark takes them for, and the sensor's decoder sees in them what tshark sees.

use std::path::Path;
use std::process::Command;

use nightjar_load::{Envelope, Frame, GreOptions, LinkOptions, PcapOptions, scenarios};
use nightjar_wire::{LinkType, Transport, TunnelKind, decode_frame};

/// Every kind, with what its header may hold.
fn envelopes() -> Vec<Vec<Envelope>> {
    let gre = |checksum, key, sequence| GreOptions { checksum, key, sequence };
    let singles = [
        Envelope::Vxlan { port: 4789, vni: 0x01_0203 },
        Envelope::GreEthernet(gre(false, None, None)),
        Envelope::GreEthernet(gre(true, Some(0x0102_0304), Some(9))),
        Envelope::GreIp(gre(false, None, None)),
        Envelope::GreIp(gre(true, None, None)),
        Envelope::GreIp(gre(false, Some(7), Some(1))),
        Envelope::Erspan1,
        Envelope::Erspan2 { session: 0x2ff, vlan: 7 },
        Envelope::Erspan3 { session: 0x3fe, vlan: 8, platform: false },
        Envelope::Erspan3 { session: 1, vlan: 0, platform: true },
    ];
    let within = |outer: Envelope| vec![Envelope::Vxlan { port: 4789, vni: 5 }, outer];
    let twice = [within(singles[1]), within(singles[7]), within(Envelope::Vxlan { port: 4789, vni: 6 })];
    singles.map(|single| vec![single]).into_iter().chain(twice).collect()
}

/// What is compared of a frame, as text.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    src: String,
    ports: String,
    /// VXLAN's, GRE's, ERSPAN's, each from the outermost in.
    ids: [Vec<u32>; 3],
}

fn by_tshark(path: &Path) -> Vec<Seen> {
    let fields = ["ip.src", "udp.srcport", "udp.dstport", "vxlan.vni", "gre.key", "erspan.spanid"];
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "ip.check_checksum:TRUE", "-T", "fields", "-r"]).arg(path);
    fields.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    let output = command.output().expect("tshark (package tshark) runs");
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers = |text: &str| -> Vec<u32> {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).unwrap(),
            None => text.parse().unwrap(),
        };
        text.split(',').filter(|text| !text.is_empty()).map(number).collect()
    };
    let last = |text: &str| text.rsplit(',').next().unwrap_or_default().to_owned();
    let seen = |line: &str| {
        let [src, from, to, vni, key, session] =
            line.split('\t').collect::<Vec<_>>().try_into().expect("six fields");
        let ids = [numbers(vni), numbers(key), numbers(session)];
        Seen { src: last(src), ports: format!("{} {}", last(from), last(to)), ids }
    };
    text.lines().map(seen).collect()
}

fn by_us(bytes: &[u8]) -> Seen {
    let frame = decode_frame(LinkType::Ethernet, bytes).unwrap();
    let Transport::Udp { src_port, dst_port, .. } = frame.transport else { panic!("{frame:?}") };
    let ids = [TunnelKind::Vxlan, TunnelKind::Gre, TunnelKind::Erspan].map(|kind| {
        let of_kind = frame.tunnels.iter().flatten().filter(|tunnel| tunnel.kind == kind);
        of_kind.map(|tunnel| tunnel.id).filter(|id| *id != nightjar_wire::Tunnel::UNNUMBERED).collect()
    });
    Seen { src: frame.network.src.to_string(), ports: format!("{src_port} {dst_port}"), ids }
}

#[test]
fn tshark_and_the_decoder_see_the_same_in_every_tunnel() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture.pcap");
    for envelopes in envelopes() {
        let link = LinkOptions { envelopes: envelopes.clone(), ..LinkOptions::default() };
        let options = PcapOptions { link: link.clone(), ..PcapOptions::default() };
        let scenario = scenarios::by_name("answered", 3);
        scenario.write_pcap(&path, &options).unwrap();
        let theirs = by_tshark(&path);
        let (mut stream, mut frame, mut ours) = (scenario.frames_on(link), Frame::empty(), Vec::new());
        while stream.next_into(&mut frame) {
            ours.push(by_us(&frame.bytes));
        }
        assert!(ours.len() > 100 && ours.iter().any(|seen| seen.ports == "5060 5060"), "{envelopes:?}");
        assert_eq!(ours.len(), theirs.len(), "{envelopes:?}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{envelopes:?}");
        }
    }
}

#[test]
fn tshark_puts_the_pieces_of_a_tunnel_together() {
    use nightjar_load::{CaptureFormat, Compression, PcapWriter};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture.pcap");
    let scenario = scenarios::by_name("answered", 3);
    let mut writer =
        PcapWriter::create(&path, CaptureFormat::PcapMicros, Compression::None, LinkType::Ethernet).unwrap();
    let (mut stream, mut frame, mut whole) = (scenario.frames(), Frame::empty(), Vec::new());
    let mut id = 0;
    while stream.next_into(&mut frame) {
        id += 1;
        whole.push(by_us(&frame.bytes));
        for piece in (Envelope::Vxlan { port: 4789, vni: 5 }).wrap_in_pieces(&frame.bytes, 200, id) {
            let original_len = piece.len() as u32;
            writer.write(&Frame { bytes: piece, original_len, ..frame.clone() }).unwrap();
        }
    }
    writer.finish().unwrap();
    let theirs = by_tshark(&path);
    let theirs: Vec<&Seen> = theirs.iter().filter(|seen| seen.ids[0] == [5]).collect();
    assert_eq!(theirs.len(), whole.len());
    assert!(theirs.iter().zip(&whole).all(|(theirs, ours)| theirs.ports == ours.ports));
}
