//! Session descriptions (RFC 8866) of offers and answers (RFC 3264).

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::g711::Codec;

/// Payload type of telephone-event (RFC 4733) here.
pub(crate) const EVENT_PAYLOAD_TYPE: u8 = 101;
/// Payload type of comfort noise (RFC 3389).
pub(crate) const NOISE_PAYLOAD_TYPE: u8 = 13;
/// Payload type of video here.
pub(crate) const VIDEO_PAYLOAD_TYPE: u8 = 96;

/// Who sends on a media line (RFC 8866, 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaDirection {
    /// Both.
    SendRecv,
    /// Only who says so.
    SendOnly,
    /// Only the other.
    RecvOnly,
    /// Nobody.
    Inactive,
}

/// One side's description.
#[derive(Clone, Debug)]
pub(crate) struct Sdp {
    /// Where the side says that it receives audio.
    pub audio: SocketAddr,
    /// Codecs by preference.
    pub codecs: Vec<Codec>,
    pub ptime_ms: u16,
    pub direction: MediaDirection,
    /// The old way to hold: connection address 0.0.0.0 (RFC 3264, 8.4).
    pub zero_address: bool,
    /// RTCP on the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// A port for video.
    pub video_port: Option<u16>,
    /// `o=`: the session's number and version.
    pub session: u64,
    pub version: u64,
    /// Bytes of attributes that only make the message long.
    pub ballast: usize,
}

impl Sdp {
    /// The body.
    pub fn render(&self) -> String {
        let family = if self.audio.is_ipv6() { "IP6" } else { "IP4" };
        let addr = self.audio.ip();
        let connection = if self.zero_address { "0.0.0.0".to_owned() } else { addr.to_string() };
        let mut text = format!(
            "v=0\r\no=- {} {} IN {family} {addr}\r\ns=-\r\nc=IN {family} {connection}\r\nt=0 0\r\n",
            self.session, self.version
        );
        self.render_audio(&mut text);
        if let Some(port) = self.video_port {
            text.push_str(&format!(
                "m=video {port} RTP/AVP {VIDEO_PAYLOAD_TYPE}\r\na=rtpmap:{VIDEO_PAYLOAD_TYPE} H264/90000\r\n"
            ));
        }
        text
    }

    fn render_audio(&self, text: &mut String) {
        let types: Vec<String> = self.codecs.iter().map(|codec| codec.payload_type().to_string()).collect();
        text.push_str(&format!(
            "m=audio {} RTP/AVP {} {NOISE_PAYLOAD_TYPE} {EVENT_PAYLOAD_TYPE}\r\n",
            self.audio.port(),
            types.join(" ")
        ));
        for codec in &self.codecs {
            text.push_str(&format!("a=rtpmap:{} {}/8000\r\n", codec.payload_type(), codec.name()));
        }
        text.push_str(&format!(
            "a=rtpmap:{NOISE_PAYLOAD_TYPE} CN/8000\r\na=rtpmap:{EVENT_PAYLOAD_TYPE} telephone-event/8000\r\n\
             a=fmtp:{EVENT_PAYLOAD_TYPE} 0-15\r\na=ptime:{}\r\n",
            self.ptime_ms
        ));
        let direction = match self.direction {
            MediaDirection::SendRecv => "sendrecv",
            MediaDirection::SendOnly => "sendonly",
            MediaDirection::RecvOnly => "recvonly",
            MediaDirection::Inactive => "inactive",
        };
        text.push_str(&format!("a={direction}\r\n"));
        if self.rtcp_mux {
            text.push_str("a=rtcp-mux\r\n");
        }
        for line in 0..self.ballast.div_ceil(80) {
            text.push_str(&format!("a=x-ballast:{line:04} {}\r\n", "0123456789".repeat(6)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hold_by_zero_address_keeps_the_origin() {
        let sdp = Sdp {
            audio: "198.18.0.1:4000".parse().unwrap(),
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            ptime_ms: 20,
            direction: MediaDirection::SendOnly,
            zero_address: true,
            rtcp_mux: true,
            video_port: Some(4002),
            session: 1,
            version: 2,
            ballast: 0,
        };
        let text = sdp.render();
        assert!(text.contains("o=- 1 2 IN IP4 198.18.0.1\r\n") && text.contains("c=IN IP4 0.0.0.0\r\n"));
        assert!(
            text.contains("m=audio 4000 RTP/AVP 8 0 13 101\r\n")
                && text.contains("a=sendonly\r\na=rtcp-mux\r\n")
        );
        assert!(text.contains("m=video 4002 RTP/AVP 96\r\n"));
    }
}
