//! From a frame to the datagram that it is about: through the tunnels around it.

use crate::frame::{Frame, FrameError, LinkType, Transport, decode_envelope, decode_ip, decode_transport};
use crate::tunnel::{Carries, Inside, TunnelKind, VxlanPorts, behind_gre, behind_vxlan};

/// Decodes one captured frame; what is in a tunnel instead of its envelope, VXLAN on IANA's port.
///
/// # Errors
/// As [`decode_frame_through`].
#[inline]
pub fn decode_frame(link: LinkType, bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    decode_frame_through(link, bytes, &VxlanPorts::USUAL)
}

/// Decodes one captured frame; what is in a tunnel instead of its envelope.
///
/// # Errors
/// [`FrameError`] names what stops the decoder, outside or within the tunnel; the frame is then counted
/// under that reason.
#[inline]
pub fn decode_frame_through<'a>(
    link: LinkType,
    bytes: &'a [u8],
    vxlan: &VxlanPorts,
) -> Result<Frame<'a>, FrameError> {
    let decoded = decode_envelope(link, bytes);
    match &decoded {
        Ok(frame) if frame.may_be_tunnel(vxlan) => through_tunnels(link, bytes, vxlan),
        _ => decoded,
    }
}

/// Decodes once more, so that a frame without a tunnel need not lie in memory to be handed over.
#[cold]
#[inline(never)]
fn through_tunnels<'a>(link: LinkType, bytes: &'a [u8], vxlan: &VxlanPorts) -> Result<Frame<'a>, FrameError> {
    decode_envelope(link, bytes)?.see_through(vxlan)
}

impl<'a> Frame<'a> {
    /// What a tunnel carries whose datagram came in fragments: `payload` is the whole datagram's, of
    /// which this frame was the last to come.
    ///
    /// # Errors
    /// As [`decode_frame_through`].
    pub fn made_whole<'b>(
        &self,
        protocol: u8,
        payload: &'b [u8],
        vxlan: &VxlanPorts,
    ) -> Result<Frame<'b>, FrameError> {
        let transport = decode_transport(protocol, payload)?;
        let Frame { vlan, inner_vlan, tunnels, network, .. } = *self;
        Frame { vlan, inner_vlan, tunnels, network, transport }.see_through(vxlan)
    }

    /// Looks into the tunnel that this frame is, and into one within it; a frame that is none stays as
    /// it is, as does a third tunnel and one whose content is not known.
    ///
    /// # Errors
    /// As [`decode_frame_through`].
    pub fn see_through(&self, vxlan: &VxlanPorts) -> Result<Frame<'a>, FrameError> {
        let mut frame = *self;
        while let Some((bytes, inside)) = frame.inside(vxlan)? {
            let Some(depth) = frame.tunnels.iter().position(Option::is_none) else { break };
            let mut tunnels = frame.tunnels;
            tunnels[depth] = Some(inside.tunnel);
            frame = match inside.carries {
                Carries::Ethernet => decode_envelope(LinkType::Ethernet, bytes)?,
                Carries::Ip => decode_ip(bytes, None)?,
            };
            frame.tunnels = tunnels;
            // A tag of VLAN 0 is for priority alone (IEEE 802.1Q, 9.6).
            if inside.vlan != 0 && frame.vlan.is_none_or(|vlan| vlan == 0) {
                frame.vlan = Some(inside.vlan);
            }
        }
        Ok(frame)
    }

    /// The kind of tunnel that an envelope is, whether or not its content can be looked into; `None`
    /// for one that is none.
    pub fn outermost_tunnel(&self, vxlan: &VxlanPorts) -> Option<TunnelKind> {
        match (self.inside(vxlan), self.transport) {
            (Ok(Some((_, inside))), _) => Some(inside.tunnel.kind),
            (_, Transport::Gre(_)) => Some(TunnelKind::Gre),
            _ => None,
        }
    }

    /// Whether it is worth a closer look: cheap, and false for nearly every frame.
    #[inline(always)]
    fn may_be_tunnel(&self, vxlan: &VxlanPorts) -> bool {
        match self.transport {
            Transport::Udp { dst_port, .. } => vxlan.has(dst_port),
            Transport::Gre(_) => true,
            _ => false,
        }
    }

    /// What the tunnel carries that this frame is.
    fn inside(&self, vxlan: &VxlanPorts) -> Result<Option<(&'a [u8], Inside)>, FrameError> {
        let (bytes, inside) = match self.transport {
            Transport::Udp { dst_port, payload, truncated, .. } if vxlan.has(dst_port) => {
                let inside = behind_vxlan(payload, 0);
                // Cut off within the header: it is no other datagram for that.
                if inside.is_none() && truncated && payload.first().is_none_or(|flags| flags & 0x08 != 0) {
                    return Err(FrameError::Truncated);
                }
                (payload, inside)
            }
            Transport::Gre(bytes) => (bytes, behind_gre(bytes, 0).map_err(|_| FrameError::Truncated)?),
            _ => return Ok(None),
        };
        let Some(inside) = inside else { return Ok(None) };
        Ok(Some((bytes.get(inside.at..).ok_or(FrameError::Truncated)?, inside)))
    }
}

#[cfg(test)]
mod tests;
