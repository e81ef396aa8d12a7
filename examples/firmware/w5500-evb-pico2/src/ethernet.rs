//! The Ethernet controller: the W5500 on its pins.

use embassy_executor::Spawner;
use embassy_net_wiznet::chip::W5500;
use embassy_net_wiznet::{Device, Runner, State};
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::peripherals::{
    DMA_CH0, DMA_CH1, PIN_16, PIN_17, PIN_18, PIN_19, PIN_20, PIN_21, SPI0,
};
use embassy_rp::spi::{self, Async, Spi};
use embassy_rp::{Peri, otp};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;
use static_cell::StaticCell;

use crate::Irqs;

/// The controller's pins on this board.
pub struct Pins {
    pub spi: Peri<'static, SPI0>,
    pub clock: Peri<'static, PIN_18>,
    pub mosi: Peri<'static, PIN_19>,
    pub miso: Peri<'static, PIN_16>,
    pub select: Peri<'static, PIN_17>,
    pub interrupt: Peri<'static, PIN_21>,
    pub reset: Peri<'static, PIN_20>,
    pub dma: (Peri<'static, DMA_CH0>, Peri<'static, DMA_CH1>),
}

type Bus = ExclusiveDevice<Spi<'static, SPI0, Async>, Output<'static>, Delay>;

#[embassy_executor::task]
async fn controller(runner: Runner<'static, W5500, Bus, Input<'static>, Output<'static>>) -> ! {
    runner.run().await
}

/// Starts the controller.
pub async fn start(spawner: Spawner, pins: Pins) -> Device<'static> {
    static STATE: StaticCell<State<4, 4>> = StaticCell::new();

    let [.., a, b, c, d, e] = otp::get_chipid().unwrap_or_default().to_be_bytes();
    let mut config = spi::Config::default();
    config.frequency = 50_000_000;
    let Pins { spi, clock, mosi, miso, select, interrupt, reset, dma } = pins;
    let spi = Spi::new(spi, clock, mosi, miso, dma.0, dma.1, Irqs, config);
    let bus = ExclusiveDevice::new(spi, Output::new(select, Level::High), Delay);
    let (device, runner) = embassy_net_wiznet::new(
        reporter::address([a, b, c, d, e]),
        STATE.init(State::new()),
        bus.expect("a pin cannot fail"),
        Input::new(interrupt, Pull::Up),
        Output::new(reset, Level::High),
    )
    .await
    .expect("the controller responds");
    spawner.spawn(controller(runner).expect("one controller"));
    device
}
