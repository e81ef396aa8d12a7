//! The board's Ethernet controller, SMSC LAN9118, as a driver for embassy-net. Data sheet: revision
//! 1.5, §3.12 and §3.13 for the queues, §5 for the registers.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use crate::interrupt::Interrupt;
use crate::register::Register;

/// The number of the controller's interrupt.
pub const INTERRUPT: Interrupt = Interrupt(13);

/// The longest frame without its checksum, in bytes: header and payload.
const FRAME: usize = 14 + 1500;
/// The checksum that the controller leaves on a received frame, in bytes.
const CHECKSUM: usize = 4;

const BASE: usize = 0x4020_0000;
const RX_DATA: Register = Register(BASE);
const TX_DATA: Register = Register(BASE + 0x20);
const RX_STATUS: Register = Register(BASE + 0x40);
const TX_STATUS: Register = Register(BASE + 0x48);
const IRQ_CFG: Register = Register(BASE + 0x54);
const INT_STS: Register = Register(BASE + 0x58);
const INT_EN: Register = Register(BASE + 0x5c);
const FIFO_INT: Register = Register(BASE + 0x68);
const TX_CFG: Register = Register(BASE + 0x70);
const HW_CFG: Register = Register(BASE + 0x74);
const RX_FIFO_INF: Register = Register(BASE + 0x7c);
const TX_FIFO_INF: Register = Register(BASE + 0x80);
const MAC_CSR_CMD: Register = Register(BASE + 0xa4);
const MAC_CSR_DATA: Register = Register(BASE + 0xa8);

/// In [`IRQ_CFG`]: enabled, active high, push-pull, as the board is wired.
const IRQ_ON: u32 = 0x111;
/// In [`INT_STS`]: a frame was received.
const RX_STATUS_LEVEL: u32 = 1 << 3;
/// In [`HW_CFG`]: store and forward, 5 KiB for frames to send.
const STORE_AND_FORWARD: u32 = (1 << 20) | (5 << 16);
const TX_ON: u32 = 1 << 1;

/// The MAC's own registers, accessed through [`MAC_CSR_CMD`].
const MAC_CR: u32 = 1;
const ADDRH: u32 = 2;
const ADDRL: u32 = 3;
const MAC_RX_TX_ON: u32 = (1 << 2) | (1 << 3);
const MAC_BUSY: u32 = 1 << 31;
const MAC_READ: u32 = 1 << 30;

/// The task that waits for a frame.
static WAKER: AtomicWaker = AtomicWaker::new();

/// Handles [`INTERRUPT`].
pub fn on_interrupt() {
    // Stays disabled until the frames are fetched; then `receive` enables it again.
    INT_EN.write(0);
    WAKER.wake();
}

/// The controller. Only one exists.
pub struct Lan9118 {
    address: [u8; 6],
}

impl Lan9118 {
    /// Starts the controller with the address in its EEPROM.
    pub fn new() -> Self {
        HW_CFG.write(STORE_AND_FORWARD);
        FIFO_INT.write(0);
        INT_STS.write(!0);
        IRQ_CFG.write(IRQ_ON);
        // Not before its interrupt line is idle.
        INTERRUPT.unmask();
        TX_CFG.write(TX_ON);
        mac_write(MAC_CR, MAC_RX_TX_ON);
        let ([a, b, c, d], [e, f, ..]) =
            (mac_read(ADDRL).to_le_bytes(), mac_read(ADDRH).to_le_bytes());
        Self { address: [a, b, c, d, e, f] }
    }

    /// Whether a received frame is waiting.
    fn waiting(&self) -> bool {
        (RX_FIFO_INF.read() >> 16) & 0xff > 0
    }
}

impl Driver for Lan9118 {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received, Room)> {
        if !self.waiting() {
            WAKER.register(context.waker());
            INT_STS.write(RX_STATUS_LEVEL);
            INT_EN.write(RX_STATUS_LEVEL);
            if !self.waiting() {
                return None;
            }
        }
        Some((Received, self.transmit(context)?))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Room> {
        // Discards the results of earlier frames; TCP repairs losses.
        while (TX_FIFO_INF.read() >> 16) & 0xff > 0 {
            TX_STATUS.read();
        }
        // Two command words, and up to three bytes of padding in the last word.
        let room = (TX_FIFO_INF.read() & 0xffff) as usize >= FRAME + 12;
        if !room {
            // The queue drains at wire speed.
            context.waker().wake_by_ref();
        }
        room.then_some(Room)
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A received frame in the controller.
pub struct Received;

impl RxToken for Received {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, read: F) -> R {
        let length = ((RX_STATUS.read() >> 16) & 0x3fff) as usize;
        meter::RECEIVED.add(length.saturating_sub(CHECKSUM));
        let mut words = [[0; 4]; (FRAME + CHECKSUM).div_ceil(4)];
        let mut rest = words.iter_mut();
        for _ in 0..length.div_ceil(4) {
            let word = RX_DATA.read();
            if let Some(next) = rest.next() {
                *next = word.to_le_bytes();
            }
        }
        let octets = words.as_flattened_mut();
        let end = length.saturating_sub(CHECKSUM).min(octets.len());
        read(octets.get_mut(..end).unwrap_or_default())
    }
}

/// Space for a frame in the controller.
pub struct Room;

impl TxToken for Room {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut words = [[0; 4]; FRAME.div_ceil(4)];
        let length = length.min(FRAME);
        let result = write(words.as_flattened_mut().get_mut(..length).unwrap_or_default());
        meter::SENT.add(length);
        // First and last segment in one; then the length of the whole frame again.
        TX_DATA.write((1 << 13) | (1 << 12) | length as u32);
        TX_DATA.write(length as u32);
        for word in words.iter().take(length.div_ceil(4)) {
            TX_DATA.write(u32::from_le_bytes(*word));
        }
        result
    }
}

fn mac_read(register: u32) -> u32 {
    MAC_CSR_CMD.write(MAC_BUSY | MAC_READ | register);
    while MAC_CSR_CMD.read() & MAC_BUSY != 0 {}
    MAC_CSR_DATA.read()
}

fn mac_write(register: u32, value: u32) {
    MAC_CSR_DATA.write(value);
    MAC_CSR_CMD.write(MAC_BUSY | register);
    while MAC_CSR_CMD.read() & MAC_BUSY != 0 {}
}
