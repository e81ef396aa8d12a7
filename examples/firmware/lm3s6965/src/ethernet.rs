//! The Ethernet controller of the Stellaris family (LM3S6965 data sheet, chapter 17), as a device for
//! smoltcp, polled. On a board its clock and its pins must be enabled first.

use core::ptr::{read_volatile, write_volatile};

use smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

/// The longest frame, including the header, without the checksum.
const FRAME: usize = 1514;

const BASE: usize = 0x4004_8000;
const RECEIVE_CONTROL: usize = 0x08;
const TRANSMIT_CONTROL: usize = 0x0c;
const DATA: usize = 0x10;
const ADDRESS_0: usize = 0x14;
const ADDRESS_1: usize = 0x18;
const PACKETS: usize = 0x34;
const TRANSMIT: usize = 0x38;

/// Enable, for both directions.
const ENABLE: u32 = 1;
/// Pad short frames, add checksums, send while receiving.
const PAD_CHECKSUM_DUPLEX: u32 = 1 << 1 | 1 << 2 | 1 << 4;

/// The controller and a buffer for one frame in each direction.
pub struct Ethernet {
    received: [u8; FRAME],
    sent: [u8; FRAME],
}

impl Ethernet {
    /// Enables the controller. Only one instance may exist: it owns the registers.
    pub fn new(address: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = address;
        write(ADDRESS_0, u32::from_le_bytes([a, b, c, d]));
        write(ADDRESS_1, u32::from_le_bytes([e, f, 0, 0]));
        write(RECEIVE_CONTROL, ENABLE);
        write(TRANSMIT_CONTROL, ENABLE | PAD_CHECKSUM_DUPLEX);
        Self { received: [0; FRAME], sent: [0; FRAME] }
    }

    /// Reads a frame from the controller: two bytes of length, the frame, four of checksum.
    fn take(&mut self) -> Option<usize> {
        if read(PACKETS) == 0 {
            return None;
        }
        let [low, high, first, second] = read(DATA).to_le_bytes();
        let length = usize::from(u16::from_le_bytes([low, high])).saturating_sub(6);
        let mut places = self.received.iter_mut();
        for octet in [first, second] {
            places.next().into_iter().for_each(|place| *place = octet);
        }
        // Read all of it, however long, or the next frame would begin in the middle of this one.
        for _ in 0..(length + 4).saturating_sub(2).div_ceil(4) {
            for octet in read(DATA).to_le_bytes() {
                places.next().into_iter().for_each(|place| *place = octet);
            }
        }
        meter::RECEIVED.add(length);
        Some(length.min(FRAME))
    }
}

impl phy::Device for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Free<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Free<'_>)> {
        let length = self.take()?;
        Some((Received(self.received.get(..length)?), Free(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Free<'_>> {
        Some(Free(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities.checksum = ChecksumCapabilities::default();
        capabilities
    }
}

/// A received frame.
pub struct Received<'a>(&'a [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// A buffer for a frame to send.
pub struct Free<'a>(&'a mut [u8; FRAME]);

impl phy::TxToken for Free<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let (frame, _) = self.0.split_at_mut(length.min(FRAME));
        let result = f(frame);
        meter::SENT.add(frame.len());
        while read(TRANSMIT) & ENABLE != 0 {}
        // The length without the header of 14 bytes goes in front.
        let [low, high] = (frame.len().saturating_sub(14) as u16).to_le_bytes();
        let mut octets = [low, high].into_iter().chain(frame.iter().copied());
        while let Some(first) = octets.next() {
            let mut next = || octets.next().unwrap_or_default();
            write(DATA, u32::from_le_bytes([first, next(), next(), next()]));
        }
        write(TRANSMIT, ENABLE);
        result
    }
}

fn read(register: usize) -> u32 {
    // SAFETY: a register of this controller, which only this module touches.
    unsafe { read_volatile((BASE + register) as *const u32) }
}

fn write(register: usize, value: u32) {
    // SAFETY: as above.
    unsafe { write_volatile((BASE + register) as *mut u32, value) }
}
