//! A small writer of pcap and pcapng images, for what no tool on the machine writes.

/// Byte order of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, value: u16) -> [u8; 2] {
        if self == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u64(self, value: u64) -> [u8; 8] {
        if self == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }
}

/// A classic pcap image.
pub struct Pcap {
    order: Order,
    pub image: Vec<u8>,
}

impl Pcap {
    pub fn new(order: Order, magic: u32, link: u32) -> Pcap {
        let mut image = Vec::new();
        image.extend(order.u32(magic));
        image.extend(order.u16(2));
        image.extend(order.u16(4));
        image.extend([0; 8]);
        image.extend(order.u32(262_144));
        image.extend(order.u32(link));
        Pcap { order, image }
    }

    /// Microseconds, little-endian, Ethernet.
    pub fn usual() -> Pcap {
        Pcap::new(Order::Little, 0xa1b2_c3d4, 1)
    }

    pub fn record(&mut self, secs: u32, fraction: u32, frame: &[u8], original_len: u32) -> &mut Pcap {
        for word in [secs, fraction, frame.len() as u32, original_len] {
            self.image.extend(self.order.u32(word));
        }
        self.image.extend(frame);
        self
    }

    pub fn frames(&mut self, count: u32) -> &mut Pcap {
        for number in 0..count {
            let frame = frame(number);
            self.record(1_700_000_000 + number, number, &frame, frame.len() as u32);
        }
        self
    }
}

/// The frame of a number: its length and bytes depend on it.
pub fn frame(number: u32) -> Vec<u8> {
    (0..60 + number % 200).map(|i| (i ^ number) as u8).collect()
}

/// A pcapng image.
pub struct PcapNg {
    order: Order,
    pub image: Vec<u8>,
}

/// A pcapng option: its code and value.
pub type NgOption<'a> = (u16, &'a [u8]);

impl PcapNg {
    /// An image that begins with a section.
    pub fn new(order: Order) -> PcapNg {
        let mut file = PcapNg { order, image: Vec::new() };
        file.section(order);
        file
    }

    pub fn section(&mut self, order: Order) -> &mut PcapNg {
        self.order = order;
        let mut body = Vec::new();
        body.extend(order.u32(0x1a2b_3c4d));
        body.extend(order.u16(1));
        body.extend(order.u16(0));
        body.extend(order.u64(u64::MAX));
        self.block(0x0a0d_0d0a, &body)
    }

    pub fn interface(&mut self, link: u16, snap_len: u32, options: &[NgOption<'_>]) -> &mut PcapNg {
        let mut body = Vec::new();
        body.extend(self.order.u16(link));
        body.extend([0; 2]);
        body.extend(self.order.u32(snap_len));
        body.extend(self.options(options));
        self.block(1, &body)
    }

    pub fn enhanced(&mut self, interface: u32, ticks: u64, frame: &[u8], original_len: u32) -> &mut PcapNg {
        self.enhanced_with(interface, ticks, frame, original_len, &[])
    }

    pub fn enhanced_with(
        &mut self,
        interface: u32,
        ticks: u64,
        frame: &[u8],
        original_len: u32,
        options: &[NgOption<'_>],
    ) -> &mut PcapNg {
        let mut body = Vec::new();
        let words = [interface, (ticks >> 32) as u32, ticks as u32, frame.len() as u32, original_len];
        for word in words {
            body.extend(self.order.u32(word));
        }
        body.extend(padded(frame));
        body.extend(self.options(options));
        self.block(6, &body)
    }

    pub fn simple(&mut self, frame: &[u8], original_len: u32) -> &mut PcapNg {
        let mut body = self.order.u32(original_len).to_vec();
        body.extend(padded(frame));
        self.block(3, &body)
    }

    pub fn obsolete(&mut self, interface: u16, ticks: u64, frame: &[u8]) -> &mut PcapNg {
        let mut body = Vec::new();
        body.extend(self.order.u16(interface));
        body.extend(self.order.u16(0xffff));
        for word in [(ticks >> 32) as u32, ticks as u32, frame.len() as u32, frame.len() as u32] {
            body.extend(self.order.u32(word));
        }
        body.extend(padded(frame));
        self.block(2, &body)
    }

    /// Any block; `body` must be a multiple of 4 long.
    pub fn block(&mut self, kind: u32, body: &[u8]) -> &mut PcapNg {
        let len = body.len() as u32 + 12;
        self.image.extend(self.order.u32(kind));
        self.image.extend(self.order.u32(len));
        self.image.extend(body);
        self.image.extend(self.order.u32(len));
        self
    }

    fn options(&self, options: &[NgOption<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        for (code, value) in options {
            out.extend(self.order.u16(*code));
            out.extend(self.order.u16(value.len() as u16));
            out.extend(padded(value));
        }
        if !options.is_empty() {
            out.extend([0; 4]);
        }
        out
    }

    /// `if_tsoffset` in this image's byte order.
    pub fn offset_value(&self, secs: i64) -> [u8; 8] {
        self.order.u64(secs as u64)
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().next_multiple_of(4), 0);
    out
}
